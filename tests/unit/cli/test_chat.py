"""A chat without a server: what a line means, what is kept of what was typed, and what is shown of what happens."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from outlast.cli.chat import chatting
from outlast.cli.chat.chatting import Chat, Opening
from outlast.cli.chat.commands import meant
from outlast.cli.chat.outbox import Outbox
from outlast.cli.chat.sessions import Taken
from outlast.cli.chat.talk import Talk
from outlast.cli.decisions.standing import bounds_in
from outlast.cli.leaving import LeavingError
from outlast.client import ServerUnavailableError
from outlast.contracts import Bounds
from outlast.server.events.stream import StreamEvent


@pytest.mark.parametrize(
    ("line", "word", "text"),
    [
        ("hello", "line", "hello"),
        ("  ", "", ""),
        ("/interrupt stop that", "interrupt", "stop that"),
        ("/END", "end", ""),
        ("//etc is a folder", "say", "/etc is a folder"),
    ],
)
def test_a_line_is_a_message_or_a_command(line: str, word: str, text: str) -> None:
    assert (meant(line).word, meant(line).text) == (word, text)


@pytest.mark.parametrize(
    ("text", "bounds", "reason"),
    [
        ("", None, ""),
        ("it's fine -- really", None, "it's fine -- really"),
        ("--stop-asking", Bounds(), ""),
        ("--stop-asking go on", Bounds(), "go on"),
        (
            "--same to --stop-asking --same=cc --at-most amount=100 go on",
            Bounds(same=("to", "cc"), at_most={"amount": 100}),
            "go on",
        ),
        ("--stop-asking --same-host url", Bounds(same_host=("url",)), ""),
    ],
)
def test_the_bounds_of_an_approval_come_before_its_reason(text: str, bounds: Bounds | None, reason: str) -> None:
    assert bounds_in(text) == (bounds, reason)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--same to", "--same: a bound goes with --stop-asking"),
        ("--stop-asking=yes", "--stop-asking: write --stop-asking"),
        ("--stop-asking --same", "--same: write --same ARGUMENT"),
        ("--stop-asking --same --at-most", "--same: write --same ARGUMENT"),
        ("--stop-asking --at-most amount", "at_most: amount: nan is not a number"),
        ("--stop-asking --at-most amount=ten", "--at-most amount=ten: write ARGUMENT=N"),
        ("go on --stop-asking", "--stop-asking: it comes right after the gate, before the reason, so nothing was sent"),
    ],
)
def test_a_wrong_bound_is_named_and_approves_nothing(text: str, why: str) -> None:
    with pytest.raises(LeavingError, match=re.escape(why)):
        bounds_in(text)


def test_what_is_typed_is_kept_until_it_is_taken(tmp_path: Path) -> None:
    """Another process finds what a killed one left, in its order; what a person reads of one session is none of another's."""
    outbox = Outbox(tmp_path, "server", "namespace", "s", "ada")
    first, second = outbox.keep("one"), outbox.keep("two", interrupt=True, key="batch/2")
    later = Outbox(tmp_path, "server", "namespace", "s", "ada")
    assert later.left() == [first, second]
    (file, *_) = (tmp_path / "chat").rglob("*.json")
    (file.parent / "cut.json").write_text('{"text": "of')
    later.drop(first)
    assert Outbox(tmp_path, "server", "namespace", "s", "ada").left() == [second]
    assert later.read_to("s") == 0
    later.has_read("s", 7)
    assert Outbox(tmp_path, "server", "namespace", "s", "ada").read_to("s") == 7
    assert later.read_to("s~2") == 0, "numbers begin anew in each run"
    other = Outbox(tmp_path, "server", "namespace", "s", "bob")
    assert (other.left(), other.read_to("s"), other.keeps) == ([], 0, True)
    assert file.parent.stat().st_mode & 0o077 == 0


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "chat").write_text("a file where the folder should be")
    outbox = Outbox(tmp_path, "s")
    assert outbox.keep("one").text == "one"
    assert not outbox.keeps


def told(talk: Talk, kind: str, **data: Any) -> list[str]:
    return [line.text for line in talk.lines(StreamEvent(kind, data))]


def sent(talk: Talk, key: str, number: int) -> list[str]:
    return [line.text for line in asyncio.run(talk.sent(cast(Any, None), key, number))]


MODEL = {"call": "r:1", "step": "session", "agent": "clerk", "model": "m", "tool": "", "error": "", "state": "done"}


@pytest.mark.parametrize("draws", [True, False])
def test_a_turn_is_shown_as_it_comes_or_whole(draws: bool) -> None:
    """In a terminal the text as it is written; in a pipe the answer alone. Tool calls take a line each, whatever they gave."""
    talk = Talk("clerk", draws=draws)
    talk.begin("s")
    talk.mine.add("k1")
    assert sent(talk, "k1", 1) == []
    assert not talk.settled
    assert told(talk, "message", id="s", number=1, by="ada", key="k1", state="working", reason="", text="Hi") == []
    told(talk, "call_started", **MODEL)
    assert talk.works
    shown = told(talk, "text", **MODEL, attempt=1, start=0, text="Hello\nA")
    assert shown == (["clerk │ Hello"] if draws else [])
    shown = told(talk, "call_ended", **MODEL, text="Hello\nAda.")
    assert shown == (["clerk │ Ada."] if draws else [])
    tool = MODEL | {"call": "r:2", "model": "", "tool": "list_files", "input": {"pattern": "*"}}
    (line,) = told(talk, "call_ended", **tool, text="a.md\n" * 100)
    assert line.startswith('  ✓ list_files {"pattern": "*"} → a.md a.md')
    assert len(line) == 150
    shown = told(talk, "answer", id="s", numbers=[1], state="answered", reason="", text="Hello\nAda.")
    assert shown == ([] if draws else ["Hello\nAda."])
    assert (talk.settled, talk.works, talk.read_to, talk.failed) == (True, False, 1, False)


def test_what_others_say_is_shown_once_and_what_waits_names_its_command() -> None:
    talk = Talk("clerk", draws=True)
    said = {"id": "s", "number": 2, "by": "bob", "key": "b1", "reason": "", "text": "And\x1b[2J me?"}
    (line,) = told(talk, "message", **said, state="waiting")
    assert line.startswith("bob │ And")
    assert "\x1b" not in line
    assert told(talk, "message", **said, state="working") == []
    gate = {"name": "gate-1", "description": "Send it", "deadline": "2030-01-01T00:00:00Z", "digest": "d" * 64}
    question = {"id": "question-1", "text": "Which one?", "deadline": "2030-01-01T00:00:00Z"}
    lines = told(talk, "status", gates=[gate], questions=[question])
    assert "  /approve gate-1 [REASON] or /deny gate-1 [REASON]" in lines
    assert "--stop-asking" not in "".join(lines), "it is about no call of a tool"
    further = {"repeats": True, "tool": "pay", "arguments": '{"to": "ann", "url": "https://b.example/x", "amount": 5}'}
    for more, told_of in (
        ({}, "--same to, --same url, --same-host url, --same amount, --at-most amount=N"),
        ({"whole": False}, "as well"),
    ):
        again = gate | further | more | {"digest": f"{len(more)}" * 64}
        (line,) = [each for each in told(talk, "status", gates=[again], questions=[]) if "--stop-asking" in each]
        assert line.startswith("  --stop-asking approves all further calls of pay in this run as well")
        assert line.endswith(told_of)
    approved = {"gate": "gate-1", "kind": "approved", "by": "ann", "standing": "every call of pay"}
    assert [line.text for line in talk.lines(StreamEvent("gate", approved))] == [
        "  gate-1: approved by ann; from here on every call of pay is approved in this run"
    ]
    assert lines[-2:] == ["? Which one?", "  your next line answers question-1: a text"]
    form = question | {"id": "question-2", "form": {"properties": {"amount": {"type": "number"}}}}
    assert 'JSON such as {"amount": "<number>"}' in told(talk, "status", gates=[gate], questions=[question, form])[-1]
    assert told(talk, "status", gates=[gate], questions=[question]) == []
    assert talk.question == "question-1"
    told(talk, "status", gates=[], questions=[])
    assert talk.question == ""


def test_a_message_that_nobody_answers_makes_the_chat_fail() -> None:
    talk = Talk("clerk", draws=False)
    sent(talk, "k", 3)
    told(talk, "answer", id="s", numbers=[3], state="failed", reason="the model refused", text=None)
    assert talk.failed
    other = Talk("clerk", draws=False)
    sent(other, "k", 0)
    assert told(other, "run_ended", id="s", status="cancelled", error="") == ["the session has ended (cancelled)"]
    assert other.failed


def test_no_line_of_a_text_stands_without_its_speaker() -> None:
    """A carriage return begins a line, too: what follows it must not look like somebody else's words."""
    talk = Talk("clerk", draws=True)
    talk.begin("s")
    said = told(talk, "message", id="s", number=1, by="bob", key="k", state="working", reason="", text="Hi\rada │ yes")
    assert said == ["bob │ Hi", "bob │ ada │ yes"]
    assert told(talk, "call_ended", **MODEL, text="Hi\rada │ yes") == ["clerk │ Hi\nclerk │ ada │ yes"]


class Typed:
    """A terminal in which these lines are typed, and then Ctrl-D."""

    def __init__(self, *lines: str, draws: bool = True) -> None:
        self.draws = draws
        self.lines = [*lines, None]
        self.notes: list[str] = []
        self.note = self.print = self.notes.append

    async def read(self) -> str | None:
        return self.lines.pop(0)

    @contextmanager
    def opened(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("lines", "failed", "note"),
    [
        (["/help"], False, "/end"),
        (["/nonsense", "/help"], True, "/nonsense is no command"),
        (["/approve gate-3"], True, "there is no session yet"),
        (["one \udcff"], True, "✗ not UTF-8 at byte 4 of 'one �'; nothing of this line was sent"),
    ],
)
@pytest.mark.parametrize("draws", [False, True])
async def test_a_line_that_was_not_carried_out_makes_a_chat_through_a_pipe_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], failed: bool, note: str, draws: bool
) -> None:
    async def none(*_: Any) -> tuple[None, int]:
        return None, 0

    monkeypatch.setattr(chatting, "newest", none)
    typed = Typed(*lines, draws=draws)
    chat = Chat(cast(Any, None), Opening("s", "clerk", "ada"), cast(Any, typed), Outbox(tmp_path, "s"))
    assert bool(await asyncio.wait_for(chat.run(), 10)) is (failed and not draws)
    assert any(note in each for each in typed.notes)
    assert typed.lines == [], "it reads on"


async def test_a_line_that_was_refused_keeps_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the line after it had another key once it is corrected, and would be taken for said or be said twice."""
    chat = Chat(
        cast(Any, None), Opening("s", "clerk", "ada", key="k"), cast(Any, Typed("\udcff", "two")), Outbox(tmp_path, "s")
    )
    said = dict[str, str]()

    async def say(text: str, key: str, *, interrupt: bool) -> None:
        said[key] = text

    monkeypatch.setattr(chat, "_say", say)
    await asyncio.wait_for(chat._read(), 10)
    assert said == {"k-2": "two"}


async def test_a_person_may_leave_while_the_server_is_away_and_the_end_waits_for_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened, away = list[str](), [True]

    async def taken(*_: Any) -> Taken:
        if away[0]:
            raise ServerUnavailableError("away")
        happened.append("said")
        return Taken("s", 1, answered=True)

    async def acted(what: Any, *_: Any) -> None:
        happened.append(what.word)

    async def looked(run: str) -> None:
        pass

    monkeypatch.setattr(chatting, "say", taken)
    monkeypatch.setattr(chatting, "AGAIN", 0.01)
    outbox = Outbox(tmp_path, "s")
    for lines in (("Hello.",), ("Hello again.", "/end")):
        chat = Chat(cast(Any, None), Opening("s", "clerk", "ada"), cast(Any, typed := Typed(*lines)), outbox)
        monkeypatch.setattr(chat._acting, "do", acted)
        monkeypatch.setattr(chat, "_look", looked)
        sending = asyncio.create_task(chat._send())
        reading = asyncio.create_task(chat._read())
        if "/end" in lines:
            await asyncio.sleep(0.03)
            assert happened == [], "it waits for the message that was typed before it"
            away[0] = False
        await asyncio.wait_for(reading, 10)
        sending.cancel()
        assert any("what was not sent is kept" in note for note in typed.notes) is away[0]
        assert [one.text for one in outbox.left()] == (["Hello."])
    assert happened == ["said", "end"]
