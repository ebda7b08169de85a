"""Nothing that a run brings steers a terminal or hides: pages, commands, notices and HTML over a hostile run."""

import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Group, RenderableType
from rich.text import Text
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from outlast.approvals.views import timer_text, view_of
from outlast.cli import leaving, rendering
from outlast.cli.decisions.listing import WaitingGate, WaitingQuestion
from outlast.cli.decisions.sending import described
from outlast.cli.printing import written_json
from outlast.cli.result_texts import Reader
from outlast.cli.results.anything import read_anything
from outlast.cli.runs.listing import Wanted, runs_page
from outlast.cli.runs.trace_page import trace_page
from outlast.cli.watching.page import gate_line
from outlast.command_line import command
from outlast.contracts import (
    CallTrace,
    DecisionLog,
    GatePolicy,
    GateState,
    GateView,
    Notice,
    Produced,
    ProposedAction,
    Question,
    RunState,
    RunStatus,
    StandingApproval,
    StepRow,
    StepState,
    Trace,
)
from outlast.devstack.board import Board
from outlast.display import displayable, escaped_json
from outlast.notices.text import as_html, commands, plain, subject
from outlast.redaction import PresentableStream, Redactor
from outlast.server.pages.forms import bound_rows, read_arguments, shown_arguments
from outlast.server.pages.rendering import render
from outlast.storage.activities import ContentStore
from outlast.testing.environment import IsolatedSettings

BAD = "\x1b]0;x\x07\x9b2J\x08\r\x7f\u202e\u2066\u200b\u200e\ufeff\u2028\U000e0041\u00ad"
HOSTILE = {each for each in BAD if not each.isascii()} | {
    chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))
}
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def name(said: str) -> str:
    """A name that a run, a file or a model chose."""
    return f"{said}{BAD}"


GATE = GateView(
    name=name("gate-1"), description=name("send"), deadline=NOW, digest="d" * 64, agent=name("agent"), arguments="{}",
    repeats=True, before=(Produced(step=name("step"), agent=name("agent"), summary=name("said")),),
)  # fmt: skip
STANDING = StandingApproval(
    gate=name("gate-1"), tool="t", by=(name("ann"),), since=NOW, digest="d" * 64, words=name("every call")
)
STATUS = RunStatus(
    workflow_id=name("run"),
    pattern="plan",
    state=RunState.RUNNING,
    steps=(StepRow(step=name("step"), agent=name("agent"), state=StepState.FAILED, note=name("it failed")),),
    notices=(name("what was sent"),),
    questions=(Question(id=name("q"), text=name("really?"), deadline=NOW),),
    gates=(GATE,),
    standing=(STANDING,),
)
CALL = {
    "workflow_id": name("run"),
    "step": name("step"),
    "agent": name("agent"),
    "model": name("m"),
    "error": name("error"),
    "approved": STANDING.description,
}
CALLS = Trace(calls=(CallTrace(**CALL, started=NOW, ms=5, success=False),))
RUNS = [
    {"id": name("run"), "type": name("type"), "status": name("failed"), "started": NOW.isoformat()}
    | {"begins": None, "seconds": 1.0}
]
NOTICE = Notice(
    workflow_id=name("run"), gate=name("gate-1"), kind="opened", what=name("send"), tool=name("t"), target=name("to"),
    arguments=name("{}"), risk="high", requester=name("me"), deadline=NOW, digest="d" * 64, pending=True,
    before=GATE.before,
)  # fmt: skip


def printed(parts: Iterable[RenderableType], *, terminal: bool = False) -> str:
    raw = io.StringIO()
    options = {"force_terminal": True, "color_system": "standard"} if terminal else {}
    console = rendering.SafeConsole(file=raw, width=200, highlight=False, **options)
    for part in parts:
        console.print(part)
    return raw.getvalue()


def inbox_page() -> str:
    run = SimpleNamespace(
        found=SimpleNamespace(id=name("run")),
        shown=SimpleNamespace(turned_down=[name("no")]),
        status=STATUS,
        log=DecisionLog(),
        outputs={name("step"): name("answer")},
    )
    session = SimpleNamespace(csrf="c", who=name("me"), grant="")
    shown = shown_arguments(json.dumps({"to": name("x")}))
    about = {
        "gate": GATE,
        "shown": shown,
        "typed": shown,
        "stale": "",
        "reason": name("why"),
        "wrong": name("wrong"),
        "rows": 4,
        "bounds": bound_rows(shown, {"most-0": name("5")}),
        "steps": STATUS.steps,
        "steps_left": 1,
        "records": [],
        "records_left": 0,
        "web_ui": f"http://ui.example/{name('ui')}",
    }
    page = render(
        "gate.html",
        session=session,
        notice=name("told"),
        now=NOW,
        run=run,
        name=GATE.name,
        barred=False,
        unsigned=False,
        **about,
    )
    # Some fields come back as they were, without being shown: they name the run, the gate and its arguments.
    return re.sub(r'<input type="hidden" name="(run|gate|name-0)"[^>]*>', "", page)


def home_page() -> str:
    asked = [Question(id=name("q"), text=name("which?"), deadline=deadline) for deadline in (None, NOW)]
    waiting: list[WaitingGate | WaitingQuestion] = [WaitingQuestion(name("run"), "r", "t", each) for each in asked]
    waiting.append(WaitingGate(name("run"), "r", "t", GATE))
    session = SimpleNamespace(csrf="c", who=name("me"), grant="", scopes=["start"])
    about = {"waiting": waiting, "count": 3, "page": 1, "pages": 1, "runs": [], "agent": "", "notice": ""}
    page = render("home.html", session=session, now=NOW, **about)
    assert "until it is answered" in page
    return page


RENDERED: dict[str, Callable[[], str]] = {
    "status": lambda: printed([rendering.status_page(STATUS)]),
    "list": lambda: printed(runs_page(RUNS, Wanted())),
    "trace": lambda: printed(trace_page(STATUS, CALLS)),
    "text that forgot to be cleaned": lambda: printed([name("x"), Text(name("y")), Group(Text(name("z")))]),
    "json": lambda: written_json({"id": name("run"), name("key"): [name("x")]}, indent=2),
    "inbox": inbox_page,
    "what waits": home_page,
    "waiting in the terminal": lambda: "\n".join(map(rendering.safe, described(GATE, NOW))),
    "notice": lambda: "\n".join([subject(NOTICE), plain(NOTICE), as_html(NOTICE)]),
    "gate line": lambda: rendering.safe(gate_line(name("run"), GATE, NOW)),
    "memo and timer": lambda: view_of(gate_state()).model_dump_json() + timer_text(gate_state()),
}


def gate_state() -> GateState:
    action = ProposedAction(description=name("send"), agent="writer", tool="send_mail", input={"to": name("x")})
    known = {"proposed": "d" * 64, "digest": "d" * 64, "policy": GatePolicy()}
    return GateState(name="gate-1", action=action, opened=NOW, deadline=NOW, **known)


@pytest.mark.parametrize("what", RENDERED)
def test_no_page_lets_a_run_steer_the_reader(what: str) -> None:
    text = RENDERED[what]()
    assert text.strip()
    assert not HOSTILE & set(text), what


def test_the_console_keeps_its_own_colours_and_lets_none_through() -> None:
    text = printed([rendering.status_page(STATUS)], terminal=True)
    assert "\x1b[" in text
    assert "\x1b]" not in text
    assert not (HOSTILE - {"\x1b"}) & set(text)


def failing(error: Exception) -> Callable[[], int]:
    app = typer.Typer()

    def fail(said: str = "") -> None:
        sys.stdout.write(name("printed") + "\n")
        sys.stderr.write(name("complained") + "\n")
        raise error

    app.command()(fail)
    return lambda: leaving.run(app, [])


@pytest.mark.parametrize(
    "error",
    [
        leaving.LeavingError(2, name("there is no run")),
        RuntimeError(name("unexpected")),
        typer.BadParameter(name("no file")),
        FileNotFoundError(2, "gone", name("file")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_command_lets_an_error_steer_the_terminal(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    before = sys.stdout, sys.stderr
    assert failing(error)() != 0
    assert (sys.stdout, sys.stderr) == before
    out, err = capsys.readouterr()
    assert "printed" in out
    assert err.count("\n") >= 2
    assert not HOSTILE & set(out + err)


def test_a_hostile_argument_is_not_echoed(capsys: pytest.CaptureFixture[str]) -> None:
    assert leaving.run(typer_app(), [name("nothing")]) == leaving.WRONG
    assert leaving.run(typer_app(), ["echo", name("--option")]) == leaving.WRONG
    out, err = capsys.readouterr()
    assert err
    assert not HOSTILE & set(out + err)


def typer_app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command("echo")(lambda: None)
    app.command("other")(lambda: None)
    return app


def test_the_board_shows_log_lines_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.StringIO()
    monkeypatch.setattr(sys, "stdout", PresentableStream(raw))
    Board(rendering.console()).ended("worker", name("exit"), [name("line")], name("then"))
    assert "worker" in raw.getvalue()
    assert not HOSTILE & set(raw.getvalue())


@pytest.mark.parametrize(
    "run",
    ["plain", "a b", "a'b", 'a"b', "a;reboot", "$(reboot)", "`reboot`", "a\\b", "büro", "-rf", "a|b>c", "*", "~", "#1"],
)
def test_commands_are_quoted_for_the_shell(run: str) -> None:
    dashed = ["--"] if run.startswith("-") else []
    assert shlex.split(command("watch", run)) == ["python", "starter.py", "watch", *dashed, run]
    assert shlex.split(rendering.approving(run, "gate 1")) == [
        "python",
        "starter.py",
        "approve",
        *dashed,
        run,
        "gate 1",
    ]
    status = STATUS.model_copy(update={"workflow_id": run, "gates": (GATE.model_copy(update={"name": "gate-1"}),)})
    shown = " ".join(printed([rendering.status_page(status)]).split())
    assert f"→ {command('approve', run, 'gate-1')}" in shown
    assert f"→ {command('answer', run)} TEXT" in shown


def test_no_command_is_offered_for_a_name_that_cannot_be_shown() -> None:
    assert commands(NOTICE) == ()
    assert "cannot be shown" in command("watch", name("run"))


def test_what_is_fine_stays_as_it_is() -> None:
    for text in ("Zürich\t→ 東京\nשלום سلام", "naïve café", "a" * 100_000, "✓ 🇫🇷 ❤️"):
        assert displayable(text) == text
    assert displayable("👨\u200d👩 می\u200cخواهم a\u200db") == "👨👩 میخواهم a�b"
    assert displayable("葛\U000e0100城 1️⃣") == "葛\U000e0100城 1️⃣"
    for hidden in ("a\ufe0fb", "\ufe0fb", "a\U000e0101b", "❤️\ufe01", "a\U000e0090b", "a\U0001d173b", "a\u180bb"):
        assert "�" in displayable(hidden), ascii(hidden)
    assert displayable("one\r\ntwo\rthree") == "one\ntwo\nthree"


def test_escaped_json_means_the_same() -> None:
    hidden = "é\ufe0f\U000e0100\u3164\u034f\u180b"
    data = {"text": BAD + "é\n\t\"'" + hidden, BAD: [None, 1.5, True]}
    written = escaped_json(json.dumps(data, ensure_ascii=False, indent=1))
    assert json.loads(written) == data
    assert "é" in written
    assert not (HOSTILE | set(hidden[1:])) & set(written)
    assert read_arguments(shown_arguments(json.dumps(data))) == data


def test_pages_are_cut_to_no_width() -> None:
    wide: Any = Text("x" * 300)
    assert printed([wide]).replace("\n", "") == "x" * 300


def test_what_is_nested_too_deep_to_look_at_is_left_out() -> None:
    secret = "sk-ant-0123456789"
    deep: object = secret
    for _ in range(3000):
        deep = [deep]
    redactor = Redactor()
    redactor.learn("settings", [("secret", secret)])
    assert secret[:8] not in json.dumps(redactor.deeply({"a": deep}))


@pytest.mark.parametrize("levels", [900, 100_000])
async def test_a_result_that_is_nested_too_deeply_is_shown_as_it_came(levels: int, tmp_path: Path) -> None:
    text = "[" * levels + "]" * levels
    reader = Reader(ContentStore.open(tmp_path.as_uri()), IsolatedSettings(), "run")
    page = await read_anything(reader, RawValue(Payload(data=text.encode())))
    assert page.data() == {"result": text}
