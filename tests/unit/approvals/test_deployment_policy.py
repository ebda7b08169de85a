"""What a deployment says of its gates, and what a run may say beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from outlast.cli.inputs import read_plan_file
from outlast.cli.leaving import LeavingError
from outlast.contracts import DeploymentPolicy, GatePolicy, OnTimeout, Risk
from outlast.plans.checking import read_plan
from outlast.settings import Settings, SettingsError

FILE = """
deadline = "12h"
remind_every = "4h"

[risk.high]
needed = 2
deadline = "3d"

[tools.pay]
approvers = ["ada", "bob", "cy"]
needed = 2
on_timeout = "halt"
stop_asking = false

[questions]
deadline = "1d"
remind_every = "4h"
"""


def said(tmp_path: Path, text: str = FILE, **fields: object) -> DeploymentPolicy:
    file = tmp_path / "gates.toml"
    file.write_text(text)
    return Settings.model_validate({"gates_file": file, **fields}).gate_policy()


def test_the_tool_goes_before_the_risk_and_both_before_the_rest(tmp_path: Path) -> None:
    policy = said(tmp_path, gate_approvers="ann, bob")

    plain, high, pay = policy.of(Risk.LOW, ""), policy.of(Risk.HIGH, "mail"), policy.of(Risk.HIGH, "pay")
    assert (plain.deadline, plain.needed, plain.eligible) == (43_200, 1, ("ann", "bob"))
    assert (high.deadline, high.needed, high.remind_every) == (259_200, 2, 14_400)
    assert (pay.deadline, pay.needed, pay.eligible) == (259_200, 2, ("ada", "bob", "cy"))
    assert pay.on_timeout is OnTimeout.HALT
    assert [GatePolicy(stop_asking=True).within(one).stop_asking for one in (plain, pay)] == [True, False]
    assert (policy.questions.deadline, policy.questions.remind_every) == (86_400, 14_400)


def test_without_a_file_the_settings_hold_and_one_that_is_named_must_be_there(tmp_path: Path) -> None:
    policy = Settings.model_validate({"gate_deadline": "90m"}).gate_policy()
    assert policy.of(Risk.HIGH, "pay") == GatePolicy(deadline=5400, needed=1)
    assert Settings().gate_policy().of(Risk.LOW, "").deadline == 86_400
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match=f"GATES_FILE={wrong}: there is no such file"):
            Settings(gates_file=wrong).gate_policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('deadline = "soon"', "the beginning: 'soon' is no time; write seconds, or such as 90s, 30m, 24h, 3d"),
        ("[tools.pay]\nneeded = 0", "tools.pay: needed: Input should be greater than or equal to 1"),
        ("[risk.huge]\nneeded = 2", "risk.huge"),
        ("[tools.pay]\nwho = 'me'", "tools.pay.who is unknown; known are approvers, "),
        ("[tools.pay]\nneeded = 2\napprovers = ['a']", "tools.pay: needed: 2 people must approve, but eligible"),
        ("[tools.pay]\ndeadlines = {high = 60}", "tools.pay.deadlines is unknown"),
        (
            "approvers = ['a']\n[tools.pay]\nneeded = 2",
            "risk.low and tools.pay, with what the rest of the file says: needed: 2",
        ),
        (
            "on_timeout = 'escalate'\nescalate_to = ['a']\n[risk.high]\nescalate_to = []",
            "risk.high, with what the rest",
        ),
        ("deadline = ", "Invalid value"),
        ("tools = 3", "tools: write a table of fields, not 3"),
        ("[tools]\npay = 2", "tools.pay: write a table of fields, not 2"),
        ("deadline = true", "True is no time; write seconds"),
        ("needed = true", "needed: write how many people must approve"),
        ("approvers = ['ada', ' ']", "approvers: one of the names is empty"),
        ("remind_every = '9999999d'", "remind_every: write at most 365d"),
        ("[tools.pay]\nescalate_to = ['boss']\nescalate_after = inf", "tools.pay: escalate_after: write at most 365d"),
        ("[questions]\nremind_every = '400d'", "questions: remind_every: write at most 365d"),
        ("[questions]\nneeded = 2", "questions.needed is unknown; known are deadline, remind_every"),
        ("[questions]\nremind_every = 0.1", "questions: remind_every: Input should be greater"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        said(tmp_path, text)
    assert str(caught.value).startswith(f"GATES_FILE={tmp_path / 'gates.toml'}: ")
    assert message in str(caught.value)


def test_a_run_may_ask_for_more_but_not_for_less() -> None:
    house = GatePolicy(needed=2, eligible=("ada", "bob", "cy"), deadline=600, remind_every=60)

    assert GatePolicy().within(house) == house.within(None)
    assert GatePolicy(needed=3).within(house).needed == 3
    weaker = GatePolicy(needed=1, eligible=("mallory",), deadline=60).within(house)
    assert (weaker.needed, weaker.eligible, weaker.deadline) == (2, house.eligible, 60)
    assert GatePolicy(eligible=("Ada", "bob", "mallory")).within(house).eligible == ("Ada", "bob")


def test_a_run_escalates_to_nobody_who_may_not_decide_here() -> None:
    house = GatePolicy(needed=2, eligible=("ada", "bob"), escalate_to=("boss",), escalate_after=600)
    opened = GatePolicy(
        eligible=("ada",), escalate_to=("mallory", "eve"), escalate_after=1, on_timeout=OnTimeout.ESCALATE
    )

    assert opened.within(house).escalate_to == ("boss",)
    assert GatePolicy(escalate_to=("Bob", "eve"), escalate_after=1).within(house).escalate_to == ("Bob",)
    alone = opened.within(GatePolicy(eligible=("ada", "bob")))
    assert (alone.escalate_to, alone.escalate_after, alone.on_timeout) == ((), None, OnTimeout.DENY)
    assert opened.within(GatePolicy(needed=2)).escalate_to == ("mallory", "eve")  # where anybody may decide


@pytest.mark.parametrize("field", ["requester_may_approve", "edit_needs_another_approver"])
def test_what_a_deployment_forbids_no_run_allows(tmp_path: Path, field: str) -> None:
    strict, loose = (True, False) if field.startswith("edit") else (False, True)
    forbids, allows = ({field: value} for value in (strict, loose))
    entries = [f"[tools.pay]\n{field} = {str(value).lower()}" for value in (strict, loose)]
    house, open_house = (said(tmp_path, entry).of(Risk.HIGH, "pay") for entry in entries)
    # As a worker hands it to a run.
    house = GatePolicy.model_validate_json(house.model_dump_json())

    assert getattr(GatePolicy.model_validate(allows).within(house), field) is strict
    assert getattr(GatePolicy.model_validate(allows).within(GatePolicy()), field) is loose
    assert getattr(GatePolicy().within(open_house), field) is loose
    assert getattr(GatePolicy.model_validate(forbids).within(open_house), field) is strict
    assert getattr(GatePolicy().within(GatePolicy()), field) is strict


def test_without_a_deployment_it_is_as_it_always_was() -> None:
    assert GatePolicy().within(None) == GatePolicy(
        needed=1, deadline=300, requester_may_approve=False, edit_needs_another_approver=True, stop_asking=True
    )
    assert GatePolicy(deadlines={Risk.HIGH: 9}).within(None).seconds(Risk.HIGH) == 9


def test_only_a_plan_of_ones_own_says_who_approves_a_step() -> None:
    steps = {"steps": [{"step": "pay", "agent": "a", "input": "Pay.", "confirm": True, "gate": {"needed": 2}}]}

    mine, _, _ = read_plan(steps, own=True)
    models, _, _ = read_plan(steps)

    assert mine is not None
    assert mine.steps[0].gate == GatePolicy(needed=2)
    assert mine.steps[0].gate.over(GatePolicy(deadline=60)) == GatePolicy(needed=2, deadline=60)
    assert models is not None
    assert models.steps[0].gate is None


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"confrim": True}, "steps[0].confrim: there is no such field; did you mean confirm?"),
        (
            {"confirm": True, "gate": {"approvers": ["ada"]}},
            "steps[0].gate.approvers: there is no such field; known are needed",
        ),
        ({"confirm": True, "gates": {"needed": 2}}, "steps[0].gates: there is no such field; did you mean gate?"),
    ],
)
def test_a_plan_file_whose_approvals_are_misspelt_is_refused(tmp_path: Path, step: dict[str, Any], said: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": [{"step": 1, "agent": "writer", "input": "Pay.", **step}]}))
    with pytest.raises(LeavingError) as caught:
        read_plan_file(file, "--plan")
    assert said in str(caught.value)
