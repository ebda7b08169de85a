"""What keeps workflow code replayable and activities bounded, as far as the text of the code shows it."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.unit.house import ROOT, Rule, Source, calls, dotted, functions

WORLD = {
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
"""Modules that no workflow imports, and what to do instead."""

CALLS = {
    r"(datetime|date)(\.datetime|\.date)?\.(now|utcnow|today)": "the clock differs on replay; use workflow.now()",
    r"asyncio\.(wait|as_completed)": "its order differs on replay; use workflow.wait or workflow.as_completed",
    r"asyncio\.sleep": "name the timer: workflow.sleep(…, summary=…)",
    r"asyncio\.to_thread|.*\.run_in_executor": "threads run in any order; do it in an activity",
    r"asyncio\.(run|new_event_loop)": "the workflow has its own loop; await instead",
    r"open|input|print|breakpoint": "workflows touch no file and no terminal; do it in an activity",
    r"hash|id": "it differs from process to process; use hashlib or the value itself",
}

SETS = ("set", "frozenset")
IN_ORDER = ("list", "tuple", "enumerate", "iter", "next", "zip", "map", "filter", "reversed", "dict", "dict.fromkeys")
"""Calls that go through their arguments in order; sorted, len, min, any and the like do not care."""

ACTIVITY_CALL = re.compile(r"(workflow\.(execute|start)_(local_)?activity(_method|_class)?|run_activity)$")
UNCHECKED_CALL = re.compile(r"workflow\.(execute|start)_activity")
CHECKING = "outlast/workflow/activity_calls.py"


def no_world(source: Source) -> Iterator[str]:
    if not source.under("workflows"):
        return
    for found in source.imports:
        if found.top in WORLD:
            yield f"{source.path}:{found.line}: {found.module} is of the world outside; {WORLD[found.top]}"
    for name, node in calls(source.tree):
        for pattern, mend in CALLS.items():
            if re.fullmatch(pattern, name):
                yield f"{source.path}:{node.lineno}: {name}(): {mend}"


def no_set_order(source: Source) -> Iterator[str]:
    if not source.under("workflows"):
        return
    named = {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and _is_set(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(source.tree):
        for gone_through in _gone_through(node):
            if _is_set(gone_through, named):
                yield f"{source.path}:{gone_through.lineno}: a set has another order on replay; sort it, or use a dict"


def _is_set(node: ast.expr, named: set[str]) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_set(node.left, named) or _is_set(node.right, named)
    if isinstance(node, ast.Call):
        return dotted(node.func) in SETS
    return isinstance(node, ast.Set | ast.SetComp) or dotted(node) in named


def _gone_through(node: ast.AST) -> list[ast.expr]:
    """Return what this node goes through one by one."""
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        return [node.iter]
    if isinstance(node, ast.Starred):
        return [node.value]
    if isinstance(node, ast.Call):
        name = dotted(node.func)
        joins = isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "extend")
        return [*node.args] if joins or name in IN_ORDER else []
    return []


@cache
def contract_names() -> frozenset[str]:
    """Return the names of all contracts, those that derive from other contracts included."""
    bases: dict[str, list[str]] = {}
    for path in sorted((*(ROOT / "activities/contracts").glob("*.py"), *(ROOT / "workflows/contracts").glob("*.py"))):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [dotted(base) for base in node.bases]
    names = {"Contract"}
    for _ in bases:
        names |= {name for name, its in bases.items() if names & set(its)}
    return frozenset(names)


def one_contract_each(source: Source) -> Iterator[str]:
    """Workflows' `run` and `__init__`, and activities, take one contract; run and activities return one or nothing."""
    if not source.under("workflows", "activities"):
        return
    taken = {
        found.name for found in source.imports if re.fullmatch(r"\w+\.contracts(\.\w+)?", found.module)
    } & contract_names()
    for function in functions(source.tree):
        marks = {dotted(mark.func if isinstance(mark, ast.Call) else mark) for mark in function.decorator_list}
        if not marks & {"workflow.run", "workflow.init", "activity.defn"}:
            continue
        where = f"{source.path}:{function.lineno}: {function.name}"
        inputs = [argument for argument in _arguments(function) if argument.arg not in ("self", "cls")]
        if len(inputs) != 1 or _written(inputs[0].annotation) not in taken:
            yield f"{where} takes ({', '.join(each.arg for each in inputs)}); give it one contract, and nothing else"
        if "workflow.init" not in marks and _written(function.returns) not in {*taken, "None"}:
            yield f"{where} returns {_written(function.returns) or 'anything'}; give back one contract"


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    given = function.args
    rest = [argument for argument in (given.vararg, given.kwarg) if argument]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


def _written(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation).strip("'") if annotation else ""


def policy_for_each_call(source: Source) -> Iterator[str]:
    if not source.under("workflows"):
        return
    for name, node in calls(source.tree):
        if not ACTIVITY_CALL.match(name) or source.path == CHECKING:
            continue
        where = f"{source.path}:{node.lineno}: {name}"
        if UNCHECKED_CALL.match(name):
            yield f"{where}: use run_activity, or a result that a person has given by hand stops the run for good"
        spread = [each.value for each in node.keywords if each.arg is None]
        policies = [each for each in spread if isinstance(each, ast.Call) and dotted(each.func).startswith("policies.")]
        if len(policies) != 1 or len(node.keywords) != 1:
            yield f"{where}: bound it by **policies.…(…) alone; write a policy for it in outlast/workflow/policies.py"
        if len(node.args) != 2:
            yield f"{where}: pass the activity and one contract; more arguments lose their types"


def bounded_policies(source: Source) -> Iterator[str]:
    if source.path != "outlast/workflow/policies.py":
        return
    for function in functions(source.tree):
        if _written(function.returns) not in ("ActivityConfig", "LocalActivityConfig"):
            continue
        made = [node for name, node in calls(function) if name in ("ActivityConfig", "LocalActivityConfig")]
        where = f"{source.path}:{function.lineno}: {function.name}"
        if not made:
            yield f"{where}: make its ActivityConfig here, so that all bounds are seen"
        for config in made:
            given = {each.arg: each.value for each in config.keywords}
            for bound in ("start_to_close_timeout", "schedule_to_close_timeout"):
                if bound not in given:
                    yield f"{where}: set {bound}, or a lost worker is noticed never"
            if not _bounded(given.get("retry_policy")):
                yield f"{where}: set retry_policy=RetryPolicy(maximum_attempts=…), or it is tried for ever"


def _bounded(policy: ast.expr | None) -> bool:
    if not isinstance(policy, ast.Call) or dotted(policy.func) != "RetryPolicy":
        return False
    attempts = next((each.value for each in policy.keywords if each.arg == "maximum_attempts"), None)
    # Zero means without end.
    return attempts is not None and not (isinstance(attempts, ast.Constant) and not attempts.value)


BROAD = ("", "Exception", "BaseException")
"""What a handler must not catch: a bug would become data, and what its clean-up schedules would stay in history."""


def only_failures_are_caught(source: Source) -> Iterator[str]:
    """Bugs leave the workflow task to be retried: nothing catches them, and no clean-up awaits anything after one."""
    if not source.under("workflows"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(each is None or dotted(each) in BROAD for each in caught):
                yield f"{source.path}:{node.lineno}: a bug would be caught here; catch FAILURES or ENDINGS of patterns/failing.py"
        elif isinstance(node, ast.Try):
            for part in node.finalbody:
                if any(isinstance(inner, ast.Await | ast.AsyncFor | ast.AsyncWith) for inner in ast.walk(part)):
                    yield f"{source.path}:{part.lineno}: this is awaited after a bug, too; do it in `except ENDINGS:` and `else:`"
        elif isinstance(node, ast.keyword) and node.arg == "return_exceptions":
            yield f"{source.path}:{node.value.lineno}: a bug would become a value; wait with `finished` of patterns/failing.py"
        elif isinstance(node, ast.keyword) and node.arg == "failure_exception_types":
            yield f"{source.path}:{node.value.lineno}: a bug would fail the run; convert what people did wrong to InputInvalid"
    for name, call in calls(source.tree):
        if re.fullmatch(r"(contextlib\.)?suppress", name) and any(dotted(each) in BROAD for each in call.args):
            yield f"{source.path}:{call.lineno}: a bug would be suppressed here; name the failure"


def runs_are_managed(source: Source) -> Iterator[str]:
    """The base refuses made-up state, ends a halted run and closes its state; without it a halt would be lost."""
    if not source.under("workflows"):
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef) or "workflow.defn" not in [
            dotted(mark.func if isinstance(mark, ast.Call) else mark) for mark in node.decorator_list
        ]:
            continue
        bases = [dotted(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases]
        if "AgentWorkflow" not in bases:
            yield f"{source.path}:{node.lineno}: {node.name}: derive it from AgentWorkflow[…], which manages its run"


WORKFLOW_RULES: tuple[Rule, ...] = (
    no_world,
    no_set_order,
    one_contract_each,
    policy_for_each_call,
    bounded_policies,
    only_failures_are_caught,
    runs_are_managed,
)
