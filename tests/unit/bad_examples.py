"""For each rule of the house code that breaks it, so that a rule which finds nothing is known to work."""

from tests.unit import wall_rules as walls
from tests.unit import workflow_rules as rules
from tests.unit.house import Rule

FLOW = "workflows/made_up.py"
MOVE = "workflows/patterns/made_up.py"
RUN = "from workflows.contracts import Plan, RunState\nclass A:\n    @workflow.run\n    async def run"
ACT = "from activities.contracts import Content\nclass A:\n    @activity.defn\n    async def act"
CALL = "run_activity(A.act, request"
POLICY = "def a() -> ActivityConfig:\n    return "
START, SCHEDULE = "start_to_close_timeout=X", "schedule_to_close_timeout=X"
RETRY = "retry_policy=RetryPolicy(maximum_attempts=3)"

BAD: list[tuple[Rule, str, str]] = [
    (walls.door_one, "starter.py", "from worker import working"),
    (walls.door_one, "cli/made_up.py", "from activities.llm.base import ModelTable"),
    (walls.door_one, "cli/made_up.py", "from activities.agent import AgentActivities"),
    (walls.door_one, "cli/made_up.py", "from workflows import policies"),
    (walls.door_one, "cli/made_up.py", "def f():\n    from workflows.patterns.ask import Ask"),
    (walls.door_one, "cli/made_up.py", "from . import leaving"),
    (walls.door_two, "worker.py", "from cli.leaving import say"),
    (walls.door_two, "worker.py", "import local_model"),
    (walls.behind_door_two, "rooms.py", "from workflows import policies"),
    (walls.closet, "bootstrap.py", "from activities.content import ContentStore"),
    (walls.closet, "bootstrap.py", "if TYPE_CHECKING:\n    from workflows.contracts import Plan"),
    (walls.room_one, FLOW, "from bootstrap import Settings"),
    (walls.room_one, FLOW, "from activities.content import ContentStore"),
    (walls.room_one, MOVE, "import activities.agent"),
    (walls.room_one, MOVE, "from activities.llm import base"),
    (walls.workflows_apart, MOVE, "from workflows.plan_and_execute import PlanAndExecuteWorkflow"),
    (walls.workflows_apart, FLOW, "from workflows import document_analysis"),
    (walls.policies_and_contracts_below, "workflows/policies.py", "from workflows.patterns.ask import Ask"),
    (walls.policies_and_contracts_below, "workflows/contracts/made_up.py", "from workflows import policies"),
    (walls.room_two, "activities/made_up.py", "from workflows.contracts import Plan"),
    (walls.room_two, "activities/made_up.py", "def f():\n    import bootstrap"),
    (walls.room_two, "activities/made_up.py", "from cli import leaving"),
    (walls.one_anthropic, "activities/agent.py", "import anthropic"),
    (walls.one_anthropic, "worker.py", "def f():\n    from anthropic.types import Message"),
    (walls.local_model_alone, "local_model/made_up.py", "from activities.errors import ErrorKind"),
    (walls.local_model_alone, "cli/made_up.py", "from local_model import BANNER"),
    (walls.plain_contracts, "workflows/contracts/made_up.py", "import temporalio"),
    (walls.plain_contracts, "activities/contracts/made_up.py", "from activities.errors import ErrorKind"),
    (walls.no_tests_inside, "cli/made_up.py", "from tests.processes import free_port"),
    (walls.imports_on_top, FLOW, "def f():\n    import json"),
    (walls.bare_packages, "workflows/__init__.py", '"""Room 1."""\nfrom workflows.contracts import Plan'),
    (walls.telling_names, "activities/utils.py", ""),
    (walls.telling_names, "workflows/common/made_up.py", ""),
    (walls.short_files, FLOW, "\n" * 301),
    (rules.no_world, FLOW, "import time"),
    (rules.no_world, FLOW, "from random import choice"),
    (rules.no_world, MOVE, "import os.path"),
    (rules.no_world, FLOW, "x = datetime.now(UTC)"),
    (rules.no_world, FLOW, "x = datetime.datetime.utcnow()"),
    (rules.no_world, FLOW, "x = date.today()"),
    (rules.no_world, FLOW, "async def f():\n    await asyncio.wait(tasks)"),
    (rules.no_world, FLOW, "async def f():\n    await asyncio.sleep(1)"),
    (rules.no_world, FLOW, "x = open('file').read()"),
    (rules.no_world, FLOW, "x = hash('a')"),
    (rules.no_set_order, FLOW, "for x in {1, 2}:\n    pass"),
    (rules.no_set_order, FLOW, "y = [x for x in set(names)]"),
    (rules.no_set_order, FLOW, "y = {x: 1 for x in frozenset(names)}"),
    (rules.no_set_order, FLOW, "names = {a for a in b}\nfor x in names:\n    pass"),
    (rules.no_set_order, FLOW, "for x in set(a) - set(b):\n    pass"),
    (rules.no_set_order, FLOW, "y = list(set(a))"),
    (rules.no_set_order, FLOW, "y = ', '.join({a, b})"),
    (rules.no_set_order, FLOW, "y = (*{a, b},)"),
    (rules.one_contract_each, FLOW, f"{RUN}(self) -> Plan: ..."),
    (rules.one_contract_each, FLOW, f"{RUN}(self, a: Plan, b: Plan) -> Plan: ..."),
    (rules.one_contract_each, FLOW, f"{RUN}(self, a: dict[str, str]) -> Plan: ..."),
    (rules.one_contract_each, FLOW, f"{RUN}(self, a: RunState) -> Plan: ..."),
    (rules.one_contract_each, FLOW, f"{RUN}(self, a: Plan) -> str: ..."),
    (rules.one_contract_each, "activities/made_up.py", f"{ACT}(self, a: Content, *, b: int = 1) -> None: ..."),
    (rules.one_contract_each, "activities/made_up.py", f"{ACT}(self, a: Content): ..."),
    (rules.policy_for_each_call, FLOW, f"{CALL})"),
    (rules.policy_for_each_call, FLOW, f"{CALL}, start_to_close_timeout=X)"),
    (rules.policy_for_each_call, FLOW, f"{CALL}, **policies.act(), summary='x')"),
    (rules.policy_for_each_call, FLOW, f"{CALL}, **somewhere.act())"),
    (rules.policy_for_each_call, FLOW, "workflow.execute_activity_method(A.act, request, **policies.act())"),
    (rules.policy_for_each_call, MOVE, "workflow.start_local_activity(act, 1, 2, **policies.act())"),
    (rules.bounded_policies, "workflows/policies.py", f"{POLICY}other()"),
    (rules.bounded_policies, "workflows/policies.py", f"{POLICY}ActivityConfig({START}, {RETRY})"),
    (rules.bounded_policies, "workflows/policies.py", f"{POLICY}ActivityConfig({SCHEDULE}, {RETRY})"),
    (rules.bounded_policies, "workflows/policies.py", f"{POLICY}ActivityConfig({START}, {SCHEDULE})"),
    (
        rules.bounded_policies,
        "workflows/policies.py",
        f"{POLICY}ActivityConfig({START}, {SCHEDULE}, retry_policy=RetryPolicy(maximum_attempts=0))",
    ),
]
