"""What keeps workflow code replayable and activities bounded, as far as its text shows it and no linter looks for it.

A rule is a function from a file to what is wrong in it, each with its line and what to do. Files are read, never imported, so
that a rule also works on a made-up file.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ("activities", "cli", "outlast", "samples", "starter.py", "worker.py", "workflows")
POLICIES = "outlast/workflow/policies.py"
RUN_ACTIVITY = "outlast/workflow/activity_calls.py"


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the project."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def in_workflows(self) -> bool:
        """Whether workflows run this file: the application's workflows, and the library's modules of "workflow-code"."""
        module = self.path.removesuffix(".py").replace("/", ".")
        return any(
            module == name or module.startswith(f"{name}.") for name in contract("workflow-code")["source_modules"]
        )


Rule = Callable[[Source], Iterator[str]]


@cache
def contract(wanted: str) -> dict[str, list[str]]:
    """Return one of import-linter's contracts in `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = next(
        each for each in project["tool"]["importlinter"]["contracts"] if each["id"] == wanted
    )
    return found


@cache
def sources() -> list[Source]:
    """Read every Python file of the product."""
    paths = [path for top in PRODUCT for path in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(paths)]


def dotted(node: ast.AST | None) -> str:
    """Write `a.b.c` of a name or attribute, of what is called for a call, of `A` for `A[B]`; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    if isinstance(node, ast.Call):
        return dotted(node.func)
    return dotted(node.value) if isinstance(node, ast.Subscript) else ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the name of what is called."""
    yield from ((dotted(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every import as its line and the module, or the module that names are taken from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


NOT_REPLAYABLE = {
    "glob": "read it in an activity",
    "io": "read it in an activity",
    "logging": "log through workflow.logger",
    "os": "pass it in the request",
    "pathlib": "read it in an activity",
    "random": "use workflow.random()",
    "requests": "call it from an activity",
    "secrets": "use workflow.uuid4()",
    "shutil": "do it in an activity",
    "socket": "call it from an activity",
    "subprocess": "run it in an activity",
    "sys": "pass it in the request",
    "tempfile": "do it in an activity",
    "threading": "await in the workflow's own loop",
    "time": "use workflow.now() and workflow.sleep()",
    "urllib": "call it from an activity",
    "uuid": "use workflow.uuid4()",
}
"""Modules of the standard library that no workflow imports, and what to do instead."""

NOT_REPLAYABLE_CALLS = {
    r"(datetime|date)(\.datetime|\.date)?\.(now|utcnow|today)": "the clock differs on replay; use workflow.now()",
    r"asyncio\.(wait|as_completed)": "its order differs on replay; use workflow.wait or workflow.as_completed",
    r"asyncio\.sleep": "name the timer: workflow.sleep(…, summary=…)",
    r"asyncio\.to_thread|.*\.run_in_executor": "threads run in any order; do it in an activity",
    r"asyncio\.(run|new_event_loop)": "the workflow has its own loop; await instead",
    r"open|input|print|breakpoint": "workflows touch no file and no terminal; do it in an activity",
    r"hash|id": "it differs from process to process; use hashlib or the value itself",
}


def is_deterministic(source: Source) -> Iterator[str]:
    """No clock, no randomness, no I/O."""
    if not source.in_workflows:
        return
    for line, name in imports(source.tree):
        if fix := NOT_REPLAYABLE.get(name.split(".")[0]):
            yield f"{source.path}:{line}: {name} differs on replay; {fix}"
    for name, node in calls(source.tree):
        for pattern, fix in NOT_REPLAYABLE_CALLS.items():
            if re.fullmatch(pattern, name):
                yield f"{source.path}:{node.lineno}: {name}(): {fix}"


def imports_on_top(source: Source) -> Iterator[str]:
    if source.in_workflows:
        for outer in functions(source.tree):
            for node in ast.walk(outer):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"{source.path}:{node.lineno}: the sandbox imports when it runs; import at the top"


def bare_packages(source: Source) -> Iterator[str]:
    if source.path in ("workflows/__init__.py", "outlast/workflow/__init__.py"):
        for node in source.tree.body:
            if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
                yield f"{source.path}:{node.lineno}: the sandbox runs this for each run; keep the docstring only"


IN_ORDER = ("list", "tuple", "enumerate", "iter", "next", "zip", "map", "filter", "reversed", "dict", "dict.fromkeys")
"""Calls that go through their arguments in order; sorted, len, min, any and the like do not care."""


def no_set_order(source: Source) -> Iterator[str]:
    """A set of strings has another order in another process."""
    if not source.in_workflows:
        return
    named = {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and _is_set(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(source.tree):
        for iterated in _iterated(node):
            if _is_set(iterated, named):
                yield f"{source.path}:{iterated.lineno}: a set has another order on replay; sort it, or use a dict"


def _is_set(node: ast.expr, named: set[str]) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_set(node.left, named) or _is_set(node.right, named)
    if isinstance(node, ast.Call):
        return dotted(node.func) in ("set", "frozenset")
    return isinstance(node, ast.Set | ast.SetComp) or dotted(node) in named


def _iterated(node: ast.AST) -> list[ast.expr]:
    """Return what this node goes through one by one."""
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        return [node.iter]
    if isinstance(node, ast.Starred):
        return [node.value]
    if isinstance(node, ast.Call):
        joins = isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "extend")
        return [*node.args] if joins or dotted(node.func) in IN_ORDER else []
    return []


@cache
def contract_names() -> frozenset[str]:
    """Return the names of all contracts, those that derive from other contracts included."""
    bases: dict[str, list[str]] = {}
    for source in sources():
        classes = (node for node in source.tree.body if isinstance(node, ast.ClassDef))
        for node in classes:  # two modules may have a class of one name
            bases.setdefault(node.name, []).extend(dotted(base) for base in node.bases)
    names, found = set[str](), {"Contract"}
    while found - names:
        names |= found
        found = {name for name, its in bases.items() if not names.isdisjoint(its)}
    return frozenset(names)


def one_contract_each(source: Source) -> Iterator[str]:
    """Workflows' `run` and `__init__`, and activities, take one contract; run and activities return one or nothing."""
    for function in functions(source.tree):
        marks = {dotted(mark) for mark in function.decorator_list}
        if not marks & {"workflow.run", "workflow.init", "activity.defn"}:
            continue
        where = f"{source.path}:{function.lineno}: {function.name}"
        inputs = [argument for argument in _arguments(function) if argument.arg not in ("self", "cls")]
        if len(inputs) != 1 or _written(inputs[0].annotation) not in contract_names():
            yield f"{where} takes ({', '.join(each.arg for each in inputs)}); give it one contract, and nothing else"
        if "workflow.init" not in marks and _written(function.returns) not in {*contract_names(), "None"}:
            yield f"{where} returns {_written(function.returns) or 'anything'}; give back one contract"


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    given = function.args
    rest = [argument for argument in (given.vararg, given.kwarg) if argument]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


def _written(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation).strip("'") if annotation else ""


ACTIVITY_CALL = re.compile(
    r"(workflow\.(execute|start)_(local_)?activity(_method|_class)?|run_(activity|local)(_anew)?)$"
)


def policy_for_each_call(source: Source) -> Iterator[str]:
    """Every activity is called through `run_activity`, with one contract and one policy."""
    if not source.in_workflows or source.path == RUN_ACTIVITY:
        return
    for name, node in calls(source.tree):
        if not ACTIVITY_CALL.match(name):
            continue
        where = f"{source.path}:{node.lineno}: {name}"
        if re.match(r"workflow\.(execute|start)_activity", name):
            yield f"{where}: use run_activity, or a result that a person has given by hand stops the run for good"
        spread = [each.value for each in node.keywords if each.arg is None]
        policies = [each for each in spread if isinstance(each, ast.Call) and dotted(each.func).startswith("policies.")]
        if len(policies) != 1 or len(node.keywords) != 1:
            yield f"{where}: bound it by **policies.…(…) alone; write a policy for it in {POLICIES}"
        if len(node.args) != 2:
            yield f"{where}: pass the activity and one contract; more arguments lose their types"


def bounded_policies(source: Source) -> Iterator[str]:
    """Every policy bounds one attempt, all attempts, and their number."""
    if source.path != POLICIES:
        return
    configs = ("ActivityConfig", "LocalActivityConfig")
    policies = [function for function in functions(source.tree) if _written(function.returns) in configs]
    for function in policies:
        made = [node for name, node in calls(function) if name in configs]
        where = f"{source.path}:{function.lineno}: {function.name}"
        if not made and not {name for name, _ in calls(function)} & {each.name for each in policies}:
            yield f"{where}: make its ActivityConfig here, so that all bounds are seen"
        for config in made:
            given = {each.arg: each.value for each in config.keywords}
            for bound in ("start_to_close_timeout", "schedule_to_close_timeout"):
                if bound not in given:
                    yield f"{where}: set {bound}, or a lost worker is noticed never"
            if not _bounded(given.get("retry_policy")):
                yield f"{where}: set retry_policy=RetryPolicy(maximum_attempts=…), or it is tried for ever"


def _bounded(retry: ast.expr | None) -> bool:
    if not isinstance(retry, ast.Call):
        return False
    attempts = next((each.value for each in retry.keywords if each.arg == "maximum_attempts"), None)
    # Zero means without end.
    return attempts is not None and not (isinstance(attempts, ast.Constant) and not attempts.value)


BROAD = ("", "Exception", "BaseException")
"""What a handler must not catch: a bug would become data, and what its clean-up schedules would stay in history."""


def only_failures_are_caught(source: Source) -> Iterator[str]:
    """Bugs leave the workflow task to be retried: nothing catches them, and no clean-up awaits anything after one."""
    if not source.in_workflows:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(each is None or dotted(each) in BROAD for each in caught):
                yield f"{source.path}:{node.lineno}: a bug would be caught here; catch FAILURES or ENDINGS of failures.py"
        elif isinstance(node, ast.Try):
            for part in node.finalbody:
                if any(isinstance(inner, ast.Await | ast.AsyncFor | ast.AsyncWith) for inner in ast.walk(part)):
                    yield f"{source.path}:{part.lineno}: this is awaited after a bug, too; do it in `except ENDINGS:` and `else:`"
        elif isinstance(node, ast.keyword) and node.arg == "return_exceptions":
            yield f"{source.path}:{node.value.lineno}: a bug would become a value; wait with `finished` of failures.py"
        elif isinstance(node, ast.keyword) and node.arg == "failure_exception_types":
            yield f"{source.path}:{node.value.lineno}: a bug would fail the run; convert what people did wrong to InputInvalid"
    for name, call in calls(source.tree):
        if re.fullmatch(r"(contextlib\.)?suppress", name) and any(dotted(each) in BROAD for each in call.args):
            yield f"{source.path}:{call.lineno}: a bug would be suppressed here; name the failure"


def runs_are_managed(source: Source) -> Iterator[str]:
    """The base refuses made-up state, ends a halted run and closes its state; without it a halt would be lost."""
    if not source.path.startswith(("workflows/", "samples/")):
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef) or "workflow.defn" not in map(dotted, node.decorator_list):
            continue
        if "AgentWorkflow" not in map(dotted, node.bases):
            yield f"{source.path}:{node.lineno}: {node.name}: derive it from AgentWorkflow[…], which manages its run"


def upgrades_when_continued(source: Source) -> Iterator[str]:
    """A run that continues as new begins on the current build: a pinned one would keep its old build for ever."""
    for name, node in calls(source.tree):
        if name == "workflow.continue_as_new" and "initial_versioning_behavior" not in {
            one.arg for one in node.keywords
        }:
            fix = "pass initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE"
            yield f"{source.path}:{node.lineno}: {fix}, or a pinned run never leaves its build"


WORKFLOW_RULES: tuple[Rule, ...] = (
    is_deterministic,
    imports_on_top,
    bare_packages,
    no_set_order,
    one_contract_each,
    policy_for_each_call,
    bounded_policies,
    only_failures_are_caught,
    runs_are_managed,
    upgrades_when_continued,
)
