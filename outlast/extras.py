"""Optional dependencies: what each extra of the distribution brings, and the one error for an extra that is missing."""

from importlib.util import find_spec

EXTRAS: dict[str, tuple[str, ...]] = {
    "aiohttp": ("aiohttp",),
    "bedrock": ("boto3", "botocore"),
    "cli": ("jinja2", "rich", "starlette", "typer", "uvicorn"),
    "devstack": ("xllamacpp",),
    "documents": ("bs4", "lxml", "pypdf"),
    "encryption": ("cryptography",),
    "http": ("ag_ui", "sse_starlette"),
    "mcp": ("mcp",),
    "notify": ("apprise",),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "postgres": ("psycopg",),
    "router": ("sklearn",),
    "search": ("ddgs", "feedparser"),
    "slack": ("slack_sdk",),
    "sql": ("sqlalchemy",),
    "testing": ("psutil", "starlette", "uvicorn"),
    "vertex": ("google.auth", "requests"),
}
"""The modules of each extra (`pyproject.toml`) that our code imports; `testing` brings servers, which are programs, too."""


class MissingExtraError(ImportError, ValueError):
    """An extra is not installed that is needed, usually because a setting asks for it; the message names the command."""


def require(extra: str, purpose: str) -> None:
    """Check that an extra is installed, before anything of it is imported.

    Args:
        extra: Its name in `pyproject.toml`.
        purpose: What needs it, as the beginning of a sentence: "NOTIFY_URLS", "reading PDF".

    Raises:
        MissingExtraError: It is not installed.
    """
    missing = [module for module in EXTRAS[extra] if not installed(module)]
    if missing:
        names = ", ".join(missing)
        raise MissingExtraError(f"{purpose} needs {names}, not installed here: pip install 'outlast[{extra}]'")


def installed(module: str) -> bool:
    """Whether a module can be imported; it is not imported by the question."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package around it is not there
        return False
