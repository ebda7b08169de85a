"""What the server keeps of callers and of texts: tokens by hash, rates, ids of events, and what a slow client is sent."""

import asyncio
import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from outlast.cli.chat.sessions import session_of
from outlast.contracts import Bounds, GateView, Streamed, WaitsBelow
from outlast.server.access import Rates, Scope, Tokens, new_token
from outlast.server.agui import session_for
from outlast.server.events.feed import LONGEST_LIVE, Feed, Live
from outlast.server.events.log import Logged
from outlast.server.events.stream import StreamEvent, stream_events
from outlast.server.gates import DecideBody
from outlast.server.pages.forms import FormError, bound_rows, bounds_of
from outlast.server.pages.run_page import waiting_below


def test_a_token_is_known_by_its_hash_alone() -> None:
    token, entry = new_token("Ada Lovelace", [Scope.READ, Scope.START, Scope.READ])
    assert entry == f"Ada Lovelace:read+start:{hashlib.sha256(token.encode()).hexdigest()}"
    tokens = Tokens((entry, new_token("bob", [Scope.DECIDE])[1]))
    caller = tokens.caller(f" {token}\n")
    assert caller is not None
    assert (caller.name, caller.scopes) == ("Ada Lovelace", frozenset({Scope.READ, Scope.START}))
    assert tokens.caller(token[:-1]) is None
    assert tokens.caller(entry) is None
    assert not Tokens(())
    for name in ("", "a:b", "a,b", "x" * 64, "a\x00b"):
        with pytest.raises(ValueError, match="write a name"):
            new_token(name, [Scope.READ])


def test_a_caller_has_a_minutes_requests_and_gets_them_back() -> None:
    now = 0.0
    rates = Rates(60, clock=lambda: now)
    assert [rates.take("a") for _ in range(60)] == [0.0] * 60
    assert rates.take("a") == pytest.approx(1.0)
    assert rates.take("b") == 0.0, "callers do not share"
    now = 1.1
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0


@pytest.mark.parametrize("word", ["yes", "true", "on", "1", 1, 1.0, ["to"]])
def test_no_word_lets_an_approval_stand_over_http(word: Any) -> None:
    sent = {"verdict": "approve", "digest": "d" * 12, "stop_asking": word}
    with pytest.raises(ValidationError, match="stop_asking"):
        DecideBody.model_validate(sent)
    assert DecideBody.model_validate(sent | {"stop_asking": True}).stop_asking is True


def test_the_form_of_a_gate_bounds_an_approval() -> None:
    arguments = '{"to": "ann", "url": "https://bank.example/x", "amount": 5}'
    rows = bound_rows(arguments, {"bound-0": "same", "most-2": "100"})
    assert [(row.name, row.host, row.number, row.chosen, row.most) for row in rows] == [
        ("to", "", False, "same", ""),
        ("url", "https://bank.example:443", False, "", ""),
        ("amount", "", True, "", "100"),
    ]
    sent = {"name-0": "to", "bound-0": "same", "name-1": "url", "bound-1": "", "name-2": "amount", "most-2": "100"}
    assert bounds_of(sent) == Bounds(same=("to",), at_most={"amount": 100})
    assert bounds_of({"name-0": "to"}) == Bounds()
    for wrong in (
        {"name-0": "to", "bound-0": "any"},
        {"name-0": "to", "bound-0": "at_most", "most-0": "5"},
        {"name-2": "a", "most-2": "ten"},
        {"name-2": "a", "most-2": "nan"},
    ):
        with pytest.raises(FormError):
            bounds_of(wrong)
    assert bound_rows("cut …", {}) == []


def test_what_waits_in_runs_below_is_listed_with_where_it_is_decided() -> None:
    gate = GateView(name="gate-1", description="Send it", deadline=datetime.now(UTC), digest="d" * 64)
    deeper = WaitsBelow(run="a/b", agent="clerk", gates=(gate,))
    waits = WaitsBelow(run="a", agent="lead", questions=("question-1: Which?",), below=(deeper,))
    found = [(one.run, what, name) for one, what, name in waiting_below([waits])]
    assert found == [("a", "question-1: Which?", ""), ("a/b", "Send it", "gate-1")]


def test_a_session_is_named_by_its_first_run() -> None:
    assert [session_of(run) for run in ("a", "a~2", "a~31", "a~b", "~2", "a~2~3")] == [
        "a",
        "a",
        "a",
        "a~b",
        "~2",
        "a~2",
    ]


def test_no_two_threads_are_one_session() -> None:
    threads = ("a~2", "a-2", "a%7E2", "a%257E2", "a")
    sessions = [session_of(session_for(thread)) for thread in threads]
    assert len(set(sessions)) == len(threads)


def test_a_text_is_taken_piece_by_piece_and_anew_with_each_attempt() -> None:
    live = Live({})
    assert live.take(Streamed(start=0, text="Hello"))
    assert not live.take(Streamed(start=2, text="llo")), "nothing new"
    assert live.take(Streamed(start=3, text="lo, Ada"))
    assert live.text == "Hello, Ada"
    assert live.take(Streamed(attempt=2, start=0, text="Good"))
    assert (live.attempt, live.text) == (2, "Good")
    assert not live.take(Streamed(attempt=1, start=10, text="late"))
    assert live.take(Streamed(attempt=2, start=50, text="gap"))
    assert (live.start, live.text) == (50, "gap")
    assert live.take(Streamed(attempt=2, start=53, text="x" * (LONGEST_LIVE + 7)))
    assert len(live.text) == LONGEST_LIVE
    assert live.end == 53 + LONGEST_LIVE + 7


def feed() -> Any:
    """A feed that is filled by hand."""
    return SimpleNamespace(
        events=[],
        places={},
        status=None,
        version=0,
        texts={},
        caught_up=asyncio.Event(),
        over=False,
        changed=asyncio.Event(),
    )


def add(to: Any, *numbers: int) -> None:
    for number in numbers:
        to.places[f"run:{number}"] = len(to.events)
        to.events.append(Logged(f"run:{number}", "call_started", {"n": number}))


async def read(source: Any, after: str = "") -> list[StreamEvent]:
    return [each async for each in stream_events(cast(Any, None), cast(Feed, source), after)]


async def test_a_slow_client_is_sent_the_newest_and_no_queue() -> None:
    """While it takes its time, ten pieces and ten states come; it gets one of each, and every event that has an id."""
    source = feed()
    add(source, 1, 2)
    taken = stream_events(cast(Any, None), cast(Feed, source))
    first = await anext(taken)
    live = source.texts["run", "5"] = Live({"call": "run:5"})
    for number in range(10):
        live.take(Streamed(start=number, text=str(number)))
        source.status, source.version = {"n": number}, number + 1
        add(source, 10 + number)
    source.over = True
    rest = [each async for each in taken]
    assert [each.id for each in [first, *rest] if each.id] == ["run:1", "run:2", *(f"run:{n}" for n in range(10, 20))]
    assert [each.data for each in rest if not each.id] == [
        {"n": 9}, {"call": "run:5", "attempt": 1, "start": 0, "text": "0123456789"},
    ]  # fmt: skip


@pytest.mark.parametrize(("ended", "ids"), [(False, []), (True, ["run:3"])])
async def test_a_page_is_sent_what_happens_after_it_was_opened_and_the_end(ended: bool, ids: list[str]) -> None:
    source = feed()
    add(source, 1, 2)
    if ended:
        source.events.append(Logged("run:3", "run_ended", {}))
    source.caught_up.set()
    source.over = True
    sent = stream_events(cast(Any, None), cast(Feed, source), live=True)
    assert [each.id async for each in sent] == ids


@pytest.mark.parametrize(
    ("after", "ids", "kinds"),
    [("", ["run:1", "run:2"], 2), ("run:1", ["run:2"], 1), ("run:2", [], 0), ("gone:9", ["run:1", "run:2"], 3)],
)
async def test_a_client_resumes_after_the_id_that_it_has_seen(after: str, ids: list[str], kinds: int) -> None:
    source = feed()
    add(source, 1, 2)
    source.over = True
    source.caught_up.set()
    found = await read(source, after)
    assert [each.id for each in found if each.id] == ids
    assert len(found) == kinds
