"""What the commands of schedules and delays read: policies, moments, delays."""

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from temporalio.client import ScheduleOverlapPolicy

from outlast.cli.inputs import read_delay, read_task
from outlast.cli.leaving import LeavingError
from outlast.cli.schedules.commands import Overlap
from outlast.cli.schedules.operating import policy_of, read_when


def test_every_overlap_policy_has_its_word() -> None:
    assert [policy_of(word) for word in get_args(Overlap)] == list(ScheduleOverlapPolicy)


def test_a_moment_is_read_with_its_zone() -> None:
    assert read_when("2026-11-25T09:00+01:00", "--from") == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert read_when("2026-11-25", "--from") == datetime(2026, 11, 25).astimezone()  # local is what is meant
    with pytest.raises(LeavingError, match="--to later: write a date"):
        read_when("later", "--to")


@pytest.mark.parametrize(("given", "seconds"), [("90", 90), ("2h", 7200), ("0.5s", 0.5), ("365d", 31_536_000)])
def test_a_delay_is_read(given: str, seconds: float) -> None:
    assert read_delay(given) == timedelta(seconds=seconds)
    assert read_delay(None) is None


@pytest.mark.parametrize("given", ["0", "-1h", "soon", "366d", "9" * 400])
def test_what_is_no_delay_is_refused_by_name(given: str) -> None:
    with pytest.raises(LeavingError, match="--delay"):
        read_delay(given)


def test_standard_input_that_is_not_utf8_is_refused_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, task in ((b"lamps", "lamps"), (b"\xef\xbb\xbflamps", "lamps"), (b"lamps \xff", None)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8", "surrogateescape"))
        if task is not None:
            assert read_task(None, Path("-")) == task
            continue
        with pytest.raises(LeavingError, match="--task-file -: not UTF-8 at byte 6; save it as UTF-8"):
            read_task(None, Path("-"))
