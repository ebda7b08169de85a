"""Content that is made to hurt its parser is refused or read, soon and in bounded memory, while the event loop goes on."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable
from contextlib import closing
from typing import Any

import psutil
import pytest
from temporalio.exceptions import ApplicationError

from activities.search.sources.feeds import read_feed
from outlast.documents.activities import read_document
from outlast.documents.parsing import limits, schemas
from outlast.documents.parsing.pool import PARSERS, SLOTS, Job, ParserPool
from outlast.documents.parsing.schemas import SchemaInvalidError, violations
from outlast.errors import ErrorKind, kind_of
from tests.document_files import SENTENCE, pdf
from tests.hostile_files import DOCUMENTS, FEEDS, SCHEMAS
from tests.real_process import command_of

SECONDS = 10
"""How long one file may take, from when its turn comes."""
CPU_SECONDS = 1
"""The limit of this test, so that the files that reach it do not take minutes; that the worker's own is lower than `SECONDS` is
tested below."""
MEMORY = limits.MEMORY_BYTES + 100 * 1024**2
BLOCKED_SECONDS = 0.5
POPEN = subprocess.Popen

READ = {"no-border.txt", "spaces.txt", "table.docx", "attributes.html", "style.html"}
"""What is only large, and so must be read; anything else may be read or refused."""
TOO_LARGE = ("media.docx", "body.docx", "empty-paragraphs.docx", "nested.html", "pages.pdf", "run-lengths.pdf")


class Bystander:
    """Something else on the event loop: how long it was ever kept waiting, and the largest parser that it saw meanwhile."""

    def __init__(self) -> None:
        self.waited = 0.0
        self.memory = 0

    async def look(self) -> None:
        parent, looked = psutil.Process(), 0.0
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.waited = max(self.waited, time.monotonic() - before)
            if time.monotonic() - looked > 0.1:
                looked = time.monotonic()
                self.memory = max([self.memory, *map(_memory, parent.children())])


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss if "outlast.documents.parsing.child" in command_of(process) else 0
    except psutil.Error:
        return 0


async def outcome(read: Awaitable[object], turn: asyncio.Semaphore) -> tuple[str, float]:
    """Name what came of an attempt, and how long it took."""
    async with turn:
        started = time.monotonic()
        try:
            await read
            found = "read"
        except ApplicationError as error:
            found = kind_of(error)
        except SchemaInvalidError:
            found = "refused"
        return found, time.monotonic() - started


@pytest.mark.timeout(500)  # half a minute of computing, which other tests on the machine can make long
async def test_hostile_content_is_refused_or_read_and_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CPU_SECONDS", CPU_SECONDS)
    monkeypatch.setattr(schemas, "CHECK_SECONDS", 1)
    files = {name: make() for name, make in DOCUMENTS.items()}
    feeds = {name: make() for name, make in FEEDS.items()}
    turn, bystander = asyncio.Semaphore(SLOTS), Bystander()
    looking = asyncio.create_task(bystander.look())
    attempts: dict[str, Awaitable[tuple[str, float]]] = {
        **{name: outcome(read_document(data, name, part_characters=20_000), turn) for name, data in files.items()},
        **{f"feed {name}": outcome(read_feed(data, name), turn) for name, data in feeds.items()},
        **{f"schema {name}": outcome(PARSERS.off_loop(violations, *given), turn) for name, given in SCHEMAS.items()},
    }
    outcomes = dict(zip(attempts, await asyncio.gather(*attempts.values()), strict=True))
    looking.cancel()
    assert len(outcomes) >= 60
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # other tests on the machine slow this one down
    assert {name: took for name, (_, took) in outcomes.items() if took > SECONDS * busy} == {}
    assert {found for found, _ in outcomes.values()} <= {
        *("read", "refused", ErrorKind.DOCUMENT_TOO_LARGE, ErrorKind.DOCUMENT_UNREADABLE, ErrorKind.DOCUMENT_EMPTY),
        *(ErrorKind.DOCUMENT_SCANNED, ErrorKind.DOCUMENT_UNSUPPORTED, ErrorKind.SOURCE_UNAVAILABLE),
    }
    assert {name for name in READ if outcomes[name][0] == "read"} == READ
    assert {name: outcomes[name][0] for name in TOO_LARGE} == dict.fromkeys(TOO_LARGE, ErrorKind.DOCUMENT_TOO_LARGE)
    assert bystander.waited < BLOCKED_SECONDS * busy
    assert 0 < bystander.memory < MEMORY


def test_the_limits_of_a_worker_keep_to_ten_seconds() -> None:
    assert limits.cpu_seconds(limits.FREE_BYTES) + 1 < SECONDS
    assert schemas.CHECK_SECONDS < SECONDS


@pytest.mark.parametrize(
    ("pool", "seconds", "data", "kind", "says"),
    [
        (ParserPool(1), 1, b"<html>" + b"<p a='" * 50_000, limits.Limit.TIME, "more than 1 s of computing"),
        (ParserPool(1, memory=60_000_000), 9, b"x" * 50_000_000, limits.Limit.MEMORY, "more than 57 MB of memory"),
        (ParserPool(1, output=3_000_000), 9, b"x" * 4_000_000, limits.Limit.OUTPUT, "more than 2 MB of text"),
    ],
    ids=["time", "memory", "output"],
)
def test_each_limit_says_what_it_is(
    pool: ParserPool, seconds: float, data: bytes, kind: limits.Limit, says: str
) -> None:
    with pytest.raises(limits.ParsingStoppedError, match=says) as caught:
        pool.run_blocking(_reading(data, seconds))
    assert caught.value.limit is kind
    # The next piece of content is none the worse for it.
    assert pool.run_blocking(_reading(b"short", 9)).texts == ("short",)
    pool.close()


async def test_a_document_over_a_limit_is_a_final_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CPU_SECONDS", 1)
    with pytest.raises(ApplicationError) as caught:
        await read_document(DOCUMENTS["open-attribute.html"](), "page.html")
    assert (kind_of(caught.value), caught.value.non_retryable) == (ErrorKind.DOCUMENT_TOO_LARGE, True)
    assert caught.value.message == (
        "page.html takes more than 1 s of computing to be read; split it, or hand it in as plain text."
    )


def test_a_long_file_has_time_for_each_page() -> None:
    pool = ParserPool(1)
    found = pool.run_blocking(_reading(pdf(*[SENTENCE] * 30), 0.01, "long.pdf"))
    assert found.result["pages"] == 30
    pool.close()


def test_a_parser_that_others_kill_is_replaced() -> None:
    pool = ParserPool(1)
    pool.run_blocking(_reading(b"one"))
    for child in _parsers():
        child.kill()
    assert pool.run_blocking(_reading(b"two")).texts == ("two",)
    pool.close()


# Whoever is started by nohup, or behind a shell's &, ignores some of them, and so does what it starts.
@pytest.mark.parametrize(
    "number",
    [one for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN],
)
def test_a_parser_that_a_stop_of_its_whole_group_finds_at_its_start_is_replaced(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """As Ctrl-C or a supervisor sends it: it comes before the parser ignores it, and the content is not to blame."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = POPEN(command, **options)
        started.append(process)
        if len(started) == 1:
            process.send_signal(number)
        return process

    monkeypatch.setattr("outlast.documents.parsing.pool.subprocess.Popen", start)
    with closing(ParserPool(1)) as pool:
        assert pool.run_blocking(_reading(b"one")).texts == ("one",)
        assert [process.returncode for process in started] == [-number, None]


def test_a_parser_at_its_work_finishes_it_when_its_group_is_stopped() -> None:
    known, pool = _parsers(), ParserPool(1)
    pool.run_blocking(_reading(b"one"))
    (parser,) = [each for each in _parsers() if each not in known]
    for number in (signal.SIGTERM, signal.SIGINT):
        parser.send_signal(number)
    assert pool.run_blocking(_reading(b"two")).texts == ("two",)
    assert [each for each in _parsers() if each not in known] == [parser], "it went on"
    pool.close()


def test_a_parser_has_no_secrets_and_ends_with_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    known = {each.pid for each in _parsers()}
    pool = ParserPool(1)
    pool.run_blocking(_reading(b"one"))
    (child,) = [each for each in _parsers() if each.pid not in known]
    if child.environ():
        assert set(child.environ()) <= {"PYTHONPATH", "PYTHONUTF8", "LC_CTYPE"}
    process = pool._idle.pop()
    assert process._process.stdin is not None
    process._process.stdin.close()  # as when the worker is gone
    assert process._process.wait(5) == 0
    process.end()


def _parsers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "outlast.documents.parsing.child" in command_of(each)]


def _reading(data: bytes, seconds: float = 9, name: str = "page.html") -> Job:
    return Job("document", data, {"name": name, "media_type": "", "part_characters": None}, seconds)
