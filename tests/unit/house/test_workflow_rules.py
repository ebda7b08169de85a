"""The rules of workflow code hold in every file, and each one is shown to stop what it is there to stop."""

import pytest

from tests.unit.house import workflow_rules as rules
from tests.unit.house.workflow_rules import POLICIES, WORKFLOW_RULES, Rule, Source, contract_names, sources

pytestmark = pytest.mark.xdist_group("workflow_rules")  # all the code is read once

SOURCES = sources()
FLOW = "workflows/made_up.py"
LIBRARY = "outlast/dag.py"
ACTIVITY = "outlast/tools/activities.py"
RUN = "class A:\n    @workflow.run\n    async def run"
ACT = "class A:\n    @activity.defn\n    async def act"
CALL = "run_activity(A.act, request"
POLICY = "def a() -> ActivityConfig:\n    return "
START, SCHEDULE = "start_to_close_timeout=X", "schedule_to_close_timeout=X"
RETRY = "retry_policy=RetryPolicy(maximum_attempts=3)"

BAD: dict[Rule, list[tuple[str, str]]] = {
    rules.is_deterministic: [
        (FLOW, "import time"),
        (FLOW, "from random import choice"),
        (LIBRARY, "import os.path"),
        (FLOW, "x = datetime.now(UTC)"),
        (FLOW, "x = datetime.datetime.utcnow()"),
        (FLOW, "x = date.today()"),
        (FLOW, "async def f():\n    await asyncio.wait(tasks)"),
        (FLOW, "async def f():\n    await asyncio.sleep(1)"),
        (LIBRARY, "x = open('file').read()"),
        (FLOW, "x = hash('a')"),
    ],
    rules.imports_on_top: [(FLOW, "def f():\n    import json"), (LIBRARY, "def f():\n    from json import loads")],
    rules.bare_packages: [("workflows/__init__.py", '"""Workflows."""\nfrom workflows.contracts import Plan')],
    rules.no_set_order: [
        (FLOW, "for x in {1, 2}:\n    pass"),
        (FLOW, "y = [x for x in set(names)]"),
        (FLOW, "y = {x: 1 for x in frozenset(names)}"),
        (FLOW, "names = {a for a in b}\nfor x in names:\n    pass"),
        (FLOW, "for x in set(a) - set(b):\n    pass"),
        (FLOW, "y = list(set(a))"),
        (FLOW, "y = ', '.join({a, b})"),
        (LIBRARY, "y = (*{a, b},)"),
    ],
    rules.one_contract_each: [
        (FLOW, f"{RUN}(self) -> Plan: ..."),
        (FLOW, f"{RUN}(self, a: Plan, b: Plan) -> Plan: ..."),
        (FLOW, f"{RUN}(self, a: dict[str, str]) -> Plan: ..."),
        (FLOW, f"{RUN}(self, a: StepState) -> Plan: ..."),
        (FLOW, f"{RUN}(self, a: Plan) -> str: ..."),
        (ACTIVITY, f"{ACT}(self, a: Content, *, b: int = 1) -> None: ..."),
        (ACTIVITY, f"{ACT}(self, a: Content): ..."),
    ],
    rules.policy_for_each_call: [
        (FLOW, f"{CALL})"),
        (FLOW, f"{CALL}, start_to_close_timeout=X)"),
        (FLOW, f"{CALL}, **policies.act(), summary='x')"),
        (FLOW, f"{CALL}, **somewhere.act())"),
        (FLOW, "workflow.execute_activity_method(A.act, request, **policies.act())"),
        (LIBRARY, "workflow.start_local_activity(act, 1, 2, **policies.act())"),
    ],
    rules.only_failures_are_caught: [
        (FLOW, "try:\n    f()\nexcept Exception:\n    pass"),
        (LIBRARY, "try:\n    f()\nexcept (ValueError, BaseException):\n    pass"),
        (LIBRARY, "try:\n    f()\nexcept:\n    pass"),
        (LIBRARY, "async def f():\n    try:\n        g()\n    finally:\n        await h()"),
        (LIBRARY, "async def f():\n    await asyncio.gather(a, b, return_exceptions=True)"),
        (LIBRARY, "with suppress(Exception):\n    f()"),
        (FLOW, "@workflow.defn(failure_exception_types=[ValueError])\nclass A: ..."),
    ],
    rules.runs_are_managed: [(FLOW, f"@workflow.defn\n{RUN}(self, request: Plan) -> Plan: ...")],
    rules.upgrades_when_continued: [(FLOW, "workflow.continue_as_new(self.request)")],
    rules.bounded_policies: [
        (POLICIES, f"{POLICY}other()"),
        (POLICIES, f"{POLICY}ActivityConfig({START}, {RETRY})"),
        (POLICIES, f"{POLICY}ActivityConfig({SCHEDULE}, {RETRY})"),
        (POLICIES, f"{POLICY}ActivityConfig({START}, {SCHEDULE})"),
        (POLICIES, f"{POLICY}ActivityConfig({START}, {SCHEDULE}, retry_policy=RetryPolicy(maximum_attempts=0))"),
    ],
}
BAD_CASES = [
    pytest.param(rule, path, code, id=f"{rule.__name__}-{number}")
    for rule, cases in BAD.items()
    for number, (path, code) in enumerate(cases)
]

GOOD = [
    (FLOW, "import json\nfrom outlast.llm.activities import AgentActivities\nfrom outlast.workflow import policies"),
    (LIBRARY, "x = 'a' in {'a', 'b'}\ny = sorted(set(z))\nn = len({1})\nfor a in {1: 2}:\n    pass"),
    (LIBRARY, "async def f():\n    await asyncio.gather(a, b)\n    await workflow.wait(tasks)\n    x = workflow.now()"),
    (
        FLOW,
        f"@workflow.defn\n{RUN}(self, a: Plan) -> Plan: ...".replace("class A", "class A(AgentWorkflow[Plan, Plan])"),
    ),
    (FLOW, f"{CALL}, **policies.act(card, 'x'))"),
    (POLICIES, f"{POLICY}ActivityConfig({START}, {SCHEDULE}, {RETRY})"),
    (
        ACTIVITY,
        f"import os, random, time\ndef f():\n    import json\n    os.open('a')\n{ACT}(self, a: Content) -> None: ...",
    ),
]


@pytest.mark.parametrize("rule", WORKFLOW_RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    broken = [problem for source in SOURCES for problem in rule(source)]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(("rule", "path", "code"), BAD_CASES)
def test_the_rule_stops_a_bad_example_and_says_where_and_what_to_do(rule: Rule, path: str, code: str) -> None:
    broken = list(rule(Source(path, code)))
    assert broken
    assert all(problem.startswith(path) for problem in broken)
    assert all(len(problem) > len(path) + 30 for problem in broken)


def test_every_rule_has_a_bad_example() -> None:
    assert set(BAD) == set(WORKFLOW_RULES)


@pytest.mark.parametrize(("path", "code"), GOOD)
def test_no_rule_stops_what_is_allowed(path: str, code: str) -> None:
    assert [problem for rule in WORKFLOW_RULES for problem in rule(Source(path, code))] == []


def test_the_rules_see_what_they_look_for() -> None:
    """A renamed folder, decorator or call would leave them without anything to look at."""
    text = "\n".join(source.text for source in SOURCES)
    marks = ("@workflow.run", "@workflow.init", "@activity.defn", "**policies.", "run_activity(")
    assert [mark for mark in marks if mark not in text] == []
    run = {source.path for source in SOURCES if source.in_workflows}
    assert {"workflows/plan_and_execute.py", "outlast/agents/agents.py", LIBRARY, POLICIES} <= run
    assert ACTIVITY not in run
    assert {"Plan", "PlanRequest", "ModelTurn", "Content"} <= contract_names()
    assert not {"ErrorKind", "StepState"} & contract_names()
