"""The distribution: what its core and its extras bring, what each module imports of them, and what is public."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

import outlast
import outlast.contracts
from outlast.extras import EXTRAS
from tests import installed
from tests.real_process import PROJECT

PLACES = {
    "bedrock": ("outlast.llm.clients",),
    "cli": ("outlast.cli", "outlast.devstack", "outlast.server"),
    "devstack": ("outlast.devstack.local_model",),
    "documents": ("outlast.documents.formats",),
    "encryption": (
        "outlast.storage.payload_codec",
        "outlast.storage.sealing",
    ),
    "mcp": ("outlast.tools.mcp",),
    "notify": ("outlast.notices",),
    "otel": ("outlast.telemetry",),
    "router": ("outlast.routing.training",),
    "search": ("outlast.documents.formats.feed",),
    "slack": ("outlast.notices.slack.api", "outlast.server.slack"),
    "sql": ("outlast.tools.standard",),
    "testing": ("outlast.testing.chaos", "outlast.testing.messages_api"),
}
"""Where the library may import what an extra brings; everywhere else the core has to do."""

APPLICATION = ("activities", "cli", "samples/refund", "workflows", "starter.py", "worker.py")
DISTRIBUTIONS = packages_distributions()


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        yield from (name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "outlast"})


def providers(module: str) -> set[str]:
    """The distributions that an imported module may come from."""
    if module.startswith(("opentelemetry.sdk", "temporalio.contrib.opentelemetry")):
        return {"opentelemetry-sdk"}
    if module.startswith("opentelemetry.exporter"):
        return {"opentelemetry-exporter-otlp-proto-http"}
    if module.startswith("opentelemetry"):
        return {"opentelemetry-api"}
    return {installed.normal(name) for name in DISTRIBUTIONS.get(module.split(".")[0], [])}


def test_the_core_is_light() -> None:
    core = installed.core()
    assert len(core) <= 34, sorted(core)
    heavy = {
        "aiohttp",
        "apprise",
        "cryptography",
        "lxml",
        "mcp",
        "opentelemetry-sdk",
        "scikit-learn",
        "sqlalchemy",
        "typer",
    }
    assert not heavy & set(core)


def test_the_library_imports_the_core_and_each_extra_in_its_place() -> None:
    core = set(installed.core())
    brought = {name: set(installed.extra(name)) - core for name in EXTRAS}
    used: set[str] = set()
    for file in sorted((PROJECT / "outlast").rglob("*.py")):
        module = ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
        for imported in imports(file):
            found = providers(imported)
            if found & core:
                continue
            fitting = [name for name, places in PLACES.items() if found & brought[name] and module.startswith(places)]
            assert fitting, f"{module} imports {imported}: neither of the core nor of an extra that may be used there"
            used.update(fitting)
    assert used == set(PLACES)


def test_the_application_needs_no_more_than_all_extras() -> None:
    everything = set(installed.extra("all"))
    for root in APPLICATION:
        files = (PROJECT / root).rglob("*.py") if (PROJECT / root).is_dir() else [PROJECT / root]
        for file in files:
            for imported in imports(file):
                ours = imported.split(".")[0] in ("activities", "cli", "samples", "starter", "worker", "workflows")
                assert ours or providers(imported) & everything, f"{file}: {imported}"


def test_each_extra_is_checked_by_modules_that_it_brings() -> None:
    assert set(EXTRAS) == set(installed.EXTRAS) - {"all", "dev"}
    for name, modules in EXTRAS.items():
        brought = set(installed.closure(installed.EXTRAS[name]))
        for module in modules:
            assert providers(module) & brought, f"{name}: {module}"
    named = installed.EXTRAS["all"][0].partition("[")[2].rstrip("]").split(",")
    assert set(named) == set(EXTRAS) - {"bedrock", "postgres", "testing", "vertex"}


PUBLIC = """
import json, sys, time
began = time.process_time()
import outlast
spent = time.process_time() - began
loaded = sorted({name.split(".")[0] for name in sys.modules} & {"anthropic", "pydantic", "sklearn", "sqlalchemy", "temporalio"})
import outlast.gather, outlast.review  # binding a submodule must not hide the public name
kinds = {name: type(getattr(outlast, name)).__name__ for name in outlast.__all__}
print(json.dumps({"spent": spent, "loaded": loaded, "kinds": kinds}))
"""


def test_importing_the_library_costs_little_and_every_public_name_is_there() -> None:
    ran = subprocess.run([sys.executable, "-c", PUBLIC], cwd=PROJECT, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["loaded"] == []
    assert found["spent"] < 0.25
    assert "module" not in found["kinds"].values()
    assert sorted(outlast.__all__) == outlast.__all__ == [name for name in dir(outlast) if name in outlast.__all__]


def typed(package: ModuleType) -> dict[str, str]:
    """What the type checker alone imports into a package: each name and its module."""
    [block] = [node for node in ast.parse(inspect.getsource(package)).body if isinstance(node, ast.If)]
    return {
        name.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names
    }


def test_mypy_and_python_see_the_same_public_names() -> None:
    assert typed(outlast) == outlast._PLACES
    assert {*typed(outlast), "__version__"} == set(outlast.__all__)
    assert outlast.__version__ == installed.METADATA["version"]
    with pytest.raises(AttributeError, match="module 'outlast' has no attribute 'nothing'"):
        _ = outlast.nothing


def test_contracts_that_are_imported_later_are_all_there() -> None:
    assert typed(outlast.contracts) == outlast.contracts._PLACES
    assert all(hasattr(outlast.contracts, name) for name in outlast.contracts.__all__)
    with pytest.raises(AttributeError, match=r"module 'outlast\.contracts' has no attribute 'nothing'"):
        _ = outlast.contracts.nothing


BARE = """
import importlib, json, pkgutil, sys
from pathlib import Path

blocked, places, folder = set(json.loads(sys.argv[1])), tuple(json.loads(sys.argv[2])), Path(sys.argv[3])

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import outlast
for found in pkgutil.walk_packages(outlast.__path__, "outlast.", onerror=lambda name: None):
    if not found.name.startswith(places):
        importlib.import_module(found.name)

from temporalio.exceptions import ApplicationError
from outlast.documents.formats.extraction import extract
from outlast.documents.formats.feed import read_feed
from outlast.llm.claude import make_client
from outlast.llm.endpoint import Endpoint
from outlast.notices.channels import channels
from outlast.notices.slack.api import SlackApi
from outlast.routing.training import train
from outlast.settings import Settings
from outlast.storage.payload_codec import new_key
from outlast.telemetry.traces import tracing
from outlast.tools.mcp.servers import McpServers
from outlast.tools.standard import standard_tools
from outlast.cli import main

(folder / "mcp.json").write_text('{"mcpServers": {"one": {"command": "true"}}}')
uses = {
    "notify": lambda: channels("json://127.0.0.1"),
    "slack": lambda: SlackApi("xoxb-1", "http://127.0.0.1/api/"),
    "sql": lambda: standard_tools(None, folder, database_url="sqlite:///x.db"),
    "mcp": lambda: McpServers.read(folder / "mcp.json"),
    "encryption": lambda: Settings(payload_keys=new_key("k"), _env_file=None),
    "otel": lambda: tracing("http://127.0.0.1:4318"),
    "documents": lambda: extract(b"<html><body>text</body></html>", "a.html"),
    "search": lambda: read_feed(b"<rss/>", "a feed"),
    "router": lambda: train(None),
    "testing": lambda: importlib.import_module("outlast.testing.chaos"),
    "bedrock": lambda: Endpoint.in_cloud("bedrock", None, 1.0),
    "vertex": lambda: Endpoint.in_cloud("vertex", None, 1.0),
}
said = {}
for name, use in uses.items():
    try:
        use()
    except (ValueError, ApplicationError) as error:
        said[name] = str(error)
make_client("key", None, 1.0)
print(json.dumps(said))
sys.stdout.flush()
main()
"""


def test_without_extras_the_core_imports_and_each_feature_names_the_command(tmp_path: Path) -> None:
    blocked = [*(module for modules in EXTRAS.values() for module in modules), "mcp", "httpx"]
    places = [place for name in ("cli", "documents", "testing") for place in PLACES[name]]
    places += [f"outlast.tools.standard.{name}" for name in ("database", "row")]
    places += [f"outlast.telemetry.{name}" for name in ("lasting", "quiet", "span_redaction", "tying")]
    command = [sys.executable, "-c", BARE, json.dumps(blocked), json.dumps(places), str(tmp_path)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.stdout, ran.stderr
    said = json.loads(ran.stdout)
    assert set(said) == {"vertex", *PLACES} - {"cli", "devstack"}
    for name, message in said.items():
        assert f"not installed here: pip install 'outlast[{name}]'" in message
    assert ran.returncode == 2
    assert ran.stderr.strip() == (
        "outlast: the command line needs jinja2, rich, starlette, typer, uvicorn, not installed here: "
        "pip install 'outlast[cli]'"
    )
