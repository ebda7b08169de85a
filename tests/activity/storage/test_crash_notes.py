"""What a dead worker leaves: its notes are read once it is gone, never while it lives, and whatever its last line looks like."""

import asyncio
import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from outlast.worker import crash_notes
from outlast.worker.admission import MOST_LAG, PER_QUIET_SAMPLE, PER_SAMPLE, QUIET, AdmittedByLag, Lag
from outlast.worker.crash_notes import FOLDER, CrashNotes

RUN = ("workflow", "run")


def dying(directory: Path, tokens: list[bytes], ended: list[bytes]) -> None:
    notes = CrashNotes.open(directory)
    for token in tokens:
        notes.begin(token, RUN)
    for token in ended:
        notes.end(token)
    os._exit(9)


def left_by_a_dead_process(directory: Path, tokens: list[bytes], ended: list[bytes]) -> Path:
    process = multiprocessing.get_context("fork").Process(target=dying, args=(directory, tokens, ended))
    process.start()
    process.join()
    (path,) = (directory / FOLDER).iterdir()
    return path


def read(path: Path) -> list[bytes]:
    return [token for token, run in crash_notes._dead(path) if run == RUN]


def test_what_had_not_ended_is_read_once_and_the_file_is_gone(tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, [b"one", b"two", b"\x00\xff"], [b"one"])
    path.write_bytes(path.read_bytes() + b'{"begun": "aGFsZg==", "ru')
    assert read(path) == [b"two", b"\x00\xff"]
    assert read(path) == []
    assert not path.exists()


def test_notes_of_a_living_process_are_left_alone_and_deleted_at_its_end(tmp_path: Path) -> None:
    notes = CrashNotes.open(tmp_path)
    notes.begin(b"one", RUN)
    assert read(notes.path) == []
    assert notes.path.exists()
    assert notes.path.stat().st_mode & 0o777 == 0o600
    notes.close()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_long_life_does_not_make_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_notes, "LINES_KEPT", 10)
    notes = CrashNotes.open(tmp_path)
    notes.begin(b"stays", RUN)
    for number in range(100):
        notes.begin(f"{number}".encode(), RUN)
        notes.end(f"{number}".encode())
    text = notes.path.read_text()
    assert len(text.splitlines()) <= 12
    assert [token for token, _ in crash_notes._running(text)] == [b"stays"]
    notes.close()


async def test_room_is_bounded_and_given_back_and_closed_while_the_loop_is_late() -> None:
    lag = Lag()
    quiet = AdmittedByLag(200, lag)
    taken = [quiet.try_reserve_slot(None) for _ in range(PER_QUIET_SAMPLE + 1)]  # type: ignore[arg-type]
    assert (taken[:-1].count(None), taken[-1]) == (0, None), (
        "a loop with nothing to do takes the steps of a fan-out at once"
    )
    lag.seconds = QUIET
    rooms = AdmittedByLag(PER_SAMPLE + 2, lag)
    permits = [rooms.try_reserve_slot(None) for _ in range(PER_SAMPLE + 1)]  # type: ignore[arg-type]
    assert permits[:-1].count(None) == 0
    assert permits[-1] is None, "what was just taken has not shown its weight yet"
    lag.samples += 1
    assert [rooms.try_reserve_slot(None) is None for _ in range(3)] == [False, False, True], "the most at once"  # type: ignore[arg-type]
    rooms.release_slot(None)  # type: ignore[arg-type]
    lag.samples, lag.seconds = lag.samples + 1, MOST_LAG * 2
    assert rooms.try_reserve_slot(None) is None, "late"  # type: ignore[arg-type]
    waiting = asyncio.create_task(rooms.reserve_slot(None))  # type: ignore[arg-type]
    await asyncio.sleep(0.1)
    assert not waiting.done()
    lag.seconds = 0.0
    await asyncio.wait_for(waiting, 5)


async def test_a_blocked_loop_shows_as_lag() -> None:
    lag = Lag()
    async with lag.measured():
        await asyncio.sleep(0.12)
        time.sleep(0.4)  # noqa: ASYNC251 - blocking is what is measured
        await asyncio.sleep(0.01)
        assert lag.seconds > MOST_LAG


async def test_notes_that_cannot_be_locked_or_read_cost_a_fast_hand_over_and_never_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share without locks, a full disk, a file of another user."""

    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    path = left_by_a_dead_process(tmp_path, [b"one"], [])
    monkeypatch.setattr("fcntl.flock", refuses)
    assert read(path) == []
    notes = CrashNotes.open(tmp_path)
    notes.begin(b"two", RUN)
    notes.end(b"two")
    notes.close()
    assert list((tmp_path / FOLDER).iterdir()) == [path], "nobody may take them for those of a dead worker"
    monkeypatch.undo()
    assert read(path) == [b"one"]
    unreadable = tmp_path / FOLDER / f"1-other{crash_notes.SUFFIX}"
    unreadable.mkdir()
    assert read(unreadable) == []
    full = tmp_path / "full"
    full.write_text("no directory can be made here")
    CrashNotes.open(full).close()


@pytest.mark.parametrize(
    ("changed", "is_read"),
    [
        ({}, True),
        ({"host": "another", "kernel": "another"}, False),  # a shared disk, whose locks may not reach that machine
        ({"host": "another"}, True),  # a container that is gone
        ({"kernel": "another"}, True),  # before this machine was started again
        ({"namespace": "another"}, False),
    ],
)
def test_only_notes_of_this_machine_and_namespace_are_read(
    tmp_path: Path, changed: dict[str, str], is_read: bool
) -> None:
    path = left_by_a_dead_process(tmp_path, [b"one"], [])
    head, _, rest = path.read_text().partition("\n")
    path.write_text(json.dumps(json.loads(head) | {"namespace": "ours"} | changed) + "\n" + rest)
    assert bool(list(crash_notes._dead(path, "ours"))) == is_read
    assert path.exists() != is_read
