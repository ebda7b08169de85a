"""The walls of the house hold in every file, and each wall is shown to stop what it is there to stop."""

import pytest

from tests.unit.bad_examples import BAD, CALL, FLOW, MOVE, POLICY, RETRY, RUN, SCHEDULE, START
from tests.unit.house import ROOMS, Rule, Source, sources
from tests.unit.wall_rules import WALLS
from tests.unit.workflow_rules import WORKFLOW_RULES, contract_names

RULES = (*WALLS, *WORKFLOW_RULES)
SOURCES = sources()

GOOD = [
    ("cli/made_up.py", "from outlast.storage.activities import ContentStore\nfrom workflows.plan_and_execute import X"),
    ("cli/made_up.py", "from outlast.plans.checking import read_plan\nfrom workflows.contracts import Plan"),
    ("outlast/devstack/made_up.py", "from local_model import BANNER"),
    (FLOW, "from outlast.llm.activities import AgentActivities\nfrom outlast.agents.asking import Ask"),
    (FLOW, "from activities import errors\nfrom workflows import policies"),
    (MOVE, "x = 'a' in {'a', 'b'}\ny = sorted(set(z))\nn = len({1})\nfor a in {1: 2}:\n    pass"),
    (MOVE, "async def f():\n    await asyncio.gather(a, b)\n    await workflow.wait(tasks)\n    x = workflow.now()"),
    (
        FLOW,
        f"{RUN}(self, request: Plan) -> Plan: ...".replace(
            "class A", "@workflow.defn\nclass A(AgentWorkflow[Plan, Plan])"
        ),
    ),
    (FLOW, f"{CALL}, **policies.act(card, 'x'))"),
    ("outlast/workflow/policies.py", f"{POLICY}ActivityConfig({START}, {SCHEDULE}, {RETRY})"),
    ("tests/made_up.py", "import anthropic, local_model, time"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    broken = [problem for source in SOURCES for problem in rule(source)]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "path", "code"), BAD, ids=[f"{rule.__name__}-{number}" for number, (rule, _, _) in enumerate(BAD)]
)
def test_the_rule_stops_a_bad_example_and_says_where_and_what_to_do(rule: Rule, path: str, code: str) -> None:
    broken = list(rule(Source(path, code)))
    assert broken
    assert all(problem.startswith(path) for problem in broken)
    assert all(len(problem) > len(path) + 30 for problem in broken)


def test_every_rule_has_a_bad_example() -> None:
    assert [rule.__name__ for rule in RULES if rule not in [bad for bad, _, _ in BAD]] == []


@pytest.mark.parametrize(("path", "code"), GOOD)
def test_no_rule_stops_what_is_allowed(path: str, code: str) -> None:
    assert [problem for rule in RULES for problem in rule(Source(path, code))] == []


def test_the_rules_see_the_whole_house() -> None:
    assert {source.room for source in SOURCES} >= set(ROOMS)
    assert "outlast/dag.py" in {source.path for source in SOURCES}
    assert {"Plan", "PlanRequest", "ModelTurn", "Content"} <= contract_names()
    assert not {"RunState", "ErrorKind", "StepState"} & contract_names()


def test_the_calls_and_marks_that_rules_look_for_are_really_there() -> None:
    """A renamed decorator or call would leave the rules without anything to look at."""
    text = "\n".join(source.text for source in SOURCES if source.under("workflows", "activities"))
    marks = ("@workflow.run", "@workflow.init", "@activity.defn", "**policies.", "run_activity(")
    assert [mark for mark in marks if mark not in text] == []
