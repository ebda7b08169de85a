"""What a call will probably cost lets it start; a budget for none of them says so at once."""

from pathlib import Path

import pytest

from outlast.contracts import Budget
from tests.workflow.budget.budgeting import WORST, budget_of, dear, fan_out, gate_of, kinds_of, priced
from tests.workflow.budget.test_budget import PLAN, stopped
from tests.workflow.conftest import Runner


async def test_a_budget_below_the_worst_of_a_call_starts_all_the_same_and_overshoots_by_one_call_at_most(
    runner: Runner, tmp_path: Path
) -> None:
    """A call of these may cost 0.18 USD; as long as nobody knows better, it is taken for a twentieth of that."""
    ours = priced(runner, tmp_path / "agents")
    async with ours.worker(dear) as llm:
        handle = await ours.start(PLAN, fan_out(5, Budget(usd=0.1)))
        await gate_of(handle)
        shown = await budget_of(handle)
        await handle.signal("deny", "bob")
        cause = await stopped(handle)
    assert len(llm.calls) == 1
    assert shown.spent.usd <= 0.1 + WORST
    assert "$0.1702 of $0.1000" in cause.message


@pytest.mark.parametrize(
    ("budget", "said"), [(Budget(usd=0.001), "$0.0000 of $0.0010"), (Budget(tokens=500), "0 of 500 tokens")]
)
async def test_a_budget_that_cannot_start_one_call_says_at_once_what_it_needs(
    runner: Runner, tmp_path: Path, budget: Budget, said: str
) -> None:
    ours = priced(runner, tmp_path / "agents")
    async with ours.worker(dear) as llm:
        handle = await ours.start(PLAN, fan_out(3, budget))
        cause = await stopped(handle)
        assert await kinds_of(handle) == []
    assert llm.calls == []
    assert f"the budget cannot start one call ({said})" in cause.message
    assert "the first, a on claude-sonnet-5-5, needs about 1," in cause.message
    assert "answer 1,000" in cause.message
