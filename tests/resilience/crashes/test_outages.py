"""The store and the provider away at any moment of any pattern: every run completes, nothing is paid twice, exit codes fit.

The suite strikes a few faults once each, at moments drawn anew each time; `make chaos` strikes all of them ten times.
"""

import os
import random
from collections.abc import Iterator

import pytest

from tests.resilience.crashes.outages import Outages, outages, table

pytestmark = [pytest.mark.xdist_group("outages"), pytest.mark.timeout(3600)]

SHORT = ("gone", "full", "API down")
MOMENTS = int(os.environ.get("OUTAGE_MOMENTS", "0"))
"""How often each fault strikes; 0 for the short form, whose outages are short as well."""


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outages]:
    with outages(tmp_path_factory.mktemp("outages"), seconds=None if MOMENTS else 3.0) as found:
        yield found
        print(f"\n{table(found.rounds)}")  # noqa: T201


@pytest.mark.parametrize("moment", range(MOMENTS or 1))
@pytest.mark.parametrize(
    "fault", ("gone", "unmounted", "full", "read-only", "529", "429", "API down") if MOMENTS else SHORT
)
def test_runs_outlast_an_outage_at_any_moment_and_pay_nothing_twice(struck: Outages, fault: str, moment: int) -> None:
    share = random.SystemRandom().random()
    found = struck.strike(fault, share)
    assert not found.wrong, (fault, share, found.wrong)
    assert found.repeated == 0, (fault, share, struck.repeated())
