"""The short form of `make chaos`: one case; its seed, drawn anew each time, says which half of the patterns."""

import random
from pathlib import Path

import pytest

from outlast.testing.chaos import Plan, chaos
from tests.resilience.chaos.application import ENVIRONMENT, application

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(300)]

FAULTS, SCENARIOS = 6, 8


async def test_patterns_outlast_what_strikes(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with application(tmp_path) as found:
        scenarios = random.Random(seed).sample(found.scenarios(), SCENARIOS)
        report = await chaos(
            scenarios,
            found.setup,
            plan=Plan(per_case=FAULTS, width=6),
            seeds=[seed],
            effects=found.effects,
            environment=ENVIRONMENT,
            directory=tmp_path,
            tell=print,
        )
    assert not report.wrong, report.wrong
    assert set(report.runs) == {each.name for each in scenarios}
    assert report.faults >= FAULTS - 1  # a starter that is not there cannot be killed
