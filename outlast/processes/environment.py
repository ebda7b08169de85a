"""Environments: secrets of ours that can be sent as they are, and for other programs what they need to run and no secret."""

import re
import unicodedata
from collections.abc import Mapping, MutableMapping

HEADER_VARIABLES = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "TEMPORAL_API_KEY",
)
"""Secrets that libraries read from the environment and send as headers."""
NEEDED = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE", "TMPDIR", "TMP", "TEMP"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
    )
)
_NEEDED = re.compile(r"LC_[A-Z]+")


def bare_environment(environment: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """Return what a program needs of an environment, and the variables whose names begin with one of the prefixes."""
    return {
        name: value
        for name, value in environment.items()
        if name in NEEDED or _NEEDED.fullmatch(name) or (prefixes and name.startswith(prefixes))
    }


def clean_environment(environment: MutableMapping[str, str]) -> list[str]:
    """Strip the secrets that libraries read for themselves; says which cannot be sent."""
    problems = []
    for name in HEADER_VARIABLES:
        if name in environment:
            try:
                environment[name] = clean_secret(environment[name], header=name.endswith("_KEY"))
            except ValueError as error:
                problems.append(f"{name}: {error}")
    return problems


def clean_secret(text: str, *, header: bool) -> str:
    """Strip a secret; raises ValueError, which never shows it, where it cannot be sent in a header."""
    text = text.strip()
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") for character in text):
        raise ValueError("holds a line break or another control character; paste it again, as one line")
    if header and not (text.isascii() and " " not in text):
        raise ValueError("holds a space or a character that is not ASCII; paste it again, without quotes around it")
    return text
