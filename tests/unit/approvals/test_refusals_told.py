"""A refusal at a gate says what to do; whoever works alone would otherwise be stuck at the first one."""

from outlast.cli.decisions.messaging import with_way_out
from outlast.contracts import NOT_BY_REQUESTER


def test_who_started_the_run_is_told_how_to_go_on() -> None:
    told = with_way_out(f"refused: carl {NOT_BY_REQUESTER}")
    assert told.startswith(f"refused: carl {NOT_BY_REQUESTER}; ")
    assert '--requester ""' in told


def test_other_refusals_stay_as_they_are() -> None:
    assert with_way_out("refused: dora may not decide here") == "refused: dora may not decide here"
