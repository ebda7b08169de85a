"""Who may import whom, and what files may be called and weigh: data and imports flow one way."""

import ast
import sys
from collections.abc import Iterator

from tests.unit.house import ROOMS, Import, Rule, Source

ACTIVITIES_FOR_DOOR_ONE = (
    "outlast.agents.files",
    "outlast.approvals.tokens",
    "outlast.storage.activities",
    "outlast.contracts",
    "outlast.display",
    "outlast.environment",
    "outlast.errors",
    "outlast.file_names",
    "outlast.storage.payload_codec",
    "outlast.private_files",
    "outlast.redaction",
    "outlast.routing.tables",
    "outlast.routing.training",
    "outlast.documents.parsing.schemas",
)
MOVES_FOR_DOOR_ONE = ("outlast.consensus.voting", "outlast.plans.checking")
"""Pure moves that say what is wrong with an input, before anything is started."""
ACTIVITIES_FOR_BOOTSTRAP = (
    "outlast.contracts",
    "outlast.environment",
    "outlast.llm.base",
    "outlast.storage.payload_codec",
    "outlast.storage.payload_guard",
    "outlast.redaction",
    "settings",
    "telemetry",
)
BAD_NAMES = ("utils", "util", "helpers", "helper", "common", "shared", "manager", "core")
PARSERS = ("bs4", "docx", "feedparser", "jsonschema", "lxml", "pypdf", "referencing")
"""Libraries that content from outside can keep busy, or fill any memory with."""
LINES = 300


def _ours(source: Source) -> list[Import]:
    """Return the imports of project modules, relative ones included."""
    return [found for found in source.imports if found.top in (*ROOMS, "tests", "benchmarks", "samples", "")]


def _within(found: Import, *packages: str) -> bool:
    return any(found.module == package or found.module.startswith(f"{package}.") for package in packages)


def _breaks(source: Source, wall: str, forbidden: list[Import]) -> Iterator[str]:
    for found in forbidden:
        what = f"{found.module}.{found.name}".rstrip(".")
        yield f"{source.path}:{found.line}: {what}: {wall}"


def _is_workflow_module(module: str) -> bool:
    """Tell a workflow (`workflows.plan_and_execute`) from the package and what all workflows use."""
    name = module.removeprefix("workflows.")
    return module.startswith("workflows.") and "." not in name and name not in ("contracts", "patterns", "policies")


def door_one(source: Source) -> Iterator[str]:
    if source.path != "starter.py" and not source.under("cli"):
        return
    allowed = ("bootstrap", "cli", "workflows.contracts", *MOVES_FOR_DOOR_ONE, *ACTIVITIES_FOR_DOOR_ONE)
    wrong = [
        found
        for found in _ours(source)
        if not _within(found, *allowed) and not _is_workflow_module(found.module) and found.top != "local_model"
    ]
    yield from _breaks(
        source,
        "starter and cli talk to Temporal through the client; take it from bootstrap, workflow classes, "
        f"workflows.contracts or {', '.join((*MOVES_FOR_DOOR_ONE, *ACTIVITIES_FOR_DOOR_ONE))}, or pass it in",
        wrong,
    )


def door_two(source: Source) -> Iterator[str]:
    if source.path == "worker.py":
        wrong = [
            found
            for found in _ours(source)
            if not _within(
                found, "bootstrap", "processes", "replaying", "rooms", "telemetry", "activities", "workflows"
            )
        ]
        yield from _breaks(source, "the worker builds the two rooms from bootstrap; move this there", wrong)


def behind_door_two(source: Source) -> Iterator[str]:
    if source.path == "outlast/worker/registry.py":
        wrong = [found for found in _ours(source) if not _within(found, "bootstrap", "activities")]
        yield from _breaks(
            source, "rooms builds activities from settings; what knows workflows belongs in worker", wrong
        )


def closet(source: Source) -> Iterator[str]:
    if source.path in ("outlast/client.py", "outlast/settings.py"):
        wrong = [found for found in _ours(source) if not _within(found, *ACTIVITIES_FOR_BOOTSTRAP)]
        allowed = ", ".join(ACTIVITIES_FOR_BOOTSTRAP)
        yield from _breaks(source, f"both doors import bootstrap, so it knows only {allowed}; turn it round", wrong)


def room_one(source: Source) -> Iterator[str]:
    if not source.under("workflows"):
        return
    wrong = [found for found in _ours(source) if found.top not in ("workflows", "activities")]
    yield from _breaks(source, "workflows know no door and no model; pass it in the request", wrong)
    wrong = [
        found
        for found in _ours(source)
        if _within(found, "activities")
        and not _within(found, "outlast.contracts", "outlast.display", "outlast.errors")
        and not found.name.endswith("Activities")
    ]
    yield from _breaks(
        source,
        "workflows take from activities only classes *Activities, contracts, display and errors; call an activity",
        wrong,
    )


def workflows_apart(source: Source) -> Iterator[str]:
    if source.under("workflows"):
        wrong = [found for found in _ours(source) if _is_workflow_module(found.module)]
        yield from _breaks(source, "no workflow or pattern imports a workflow; move what both need to patterns", wrong)


def policies_and_contracts_below(source: Source) -> Iterator[str]:
    if source.path == "outlast/workflow/policies.py" or source.under("workflows/contracts"):
        wrong = [found for found in _ours(source) if _within(found, "workflows.patterns", "outlast.workflow.policies")]
        yield from _breaks(source, "all patterns use this file, so it uses none; move the code to a pattern", wrong)


def room_two(source: Source) -> Iterator[str]:
    if source.under("activities"):
        wrong = [found for found in _ours(source) if found.top != "activities"]
        yield from _breaks(source, "activities know only their own package; put it in outlast.contracts", wrong)


def one_anthropic(source: Source) -> Iterator[str]:
    if source.room in ROOMS and not source.path.startswith("outlast/llm/claude"):
        wrong = [found for found in source.imports if found.top == "anthropic"]
        yield from _breaks(source, "only outlast/llm/claude*.py import anthropic; use outlast.llm.base", wrong)


def parsers_apart(source: Source) -> Iterator[str]:
    if source.room in ROOMS and not source.under("activities/formats", "activities/parsing", "local_model"):
        wrong = [found for found in source.imports if found.top in PARSERS]
        yield from _breaks(
            source,
            "content from outside is parsed in outlast.documents.formats, by way of outlast.documents.parsing.pool",
            wrong,
        )


def local_model_alone(source: Source) -> Iterator[str]:
    if source.under("local_model"):
        wrong = [found for found in _ours(source) if found.top != "local_model"]
        yield from _breaks(source, "the local model is a server of its own; give it what it needs over HTTP", wrong)
    elif source.room in ROOMS and not source.under("cli/embedded"):
        wrong = [found for found in source.imports if found.top == "local_model"]
        yield from _breaks(source, "only cli/embedded knows the local model; everybody else speaks HTTP to it", wrong)


def plain_contracts(source: Source) -> Iterator[str]:
    if source.under("activities/contracts", "workflows/contracts"):
        allowed = {*sys.stdlib_module_names, "pydantic"}
        rooms = ("outlast.contracts", f"{source.room}.contracts")
        wrong = [found for found in source.imports if found.top not in allowed and not _within(found, *rooms)]
        yield from _breaks(source, "contracts are a schema: pydantic, stdlib and other contracts alone", wrong)


def no_tests_inside(source: Source) -> Iterator[str]:
    if source.room in ROOMS:
        wrong = [found for found in source.imports if found.top in ("tests", "benchmarks", "samples", "pytest")]
        yield from _breaks(source, "the product runs without its tests; move what it needs into a room", wrong)


def imports_on_top(source: Source) -> Iterator[str]:
    if source.under("workflows"):
        for outer in ast.walk(source.tree):
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(outer):
                    if isinstance(node, ast.Import | ast.ImportFrom):
                        yield f"{source.path}:{node.lineno}: the sandbox imports when it runs; import at the top"


def bare_packages(source: Source) -> Iterator[str]:
    if source.path in ("workflows/__init__.py", "workflows/patterns/__init__.py"):
        for node in source.tree.body:
            if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
                yield f"{source.path}:{node.lineno}: the sandbox runs this for each run; keep the docstring only"


def telling_names(source: Source) -> Iterator[str]:
    for part in source.path.removesuffix(".py").split("/"):
        if part in BAD_NAMES:
            yield f"{source.path}: {part!r} says nothing; name it after what it does or holds"


def short_files(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > LINES:
        yield f"{source.path}: {lines} lines are more than {LINES}; split it by what its parts are for"


WALLS: tuple[Rule, ...] = (
    door_one,
    door_two,
    behind_door_two,
    closet,
    room_one,
    workflows_apart,
    policies_and_contracts_below,
    room_two,
    one_anthropic,
    parsers_apart,
    local_model_alone,
    plain_contracts,
    no_tests_inside,
    imports_on_top,
    bare_packages,
    telling_names,
    short_files,
)
