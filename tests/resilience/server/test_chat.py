"""A chat in a terminal or a pipe, over real processes: nothing that is typed is lost or said twice, whatever is killed."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import PROJECT, wait_for
from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(120)]


@dataclass
class Terminal:
    """A chat in a terminal of its own; `shown` is all that it has written, without what moves the cursor."""

    pid: int
    screen: int
    written: bytes = b""

    @property
    def shown(self) -> str:
        while select.select([self.screen], [], [], 0)[0]:
            try:
                self.written += os.read(self.screen, 65536)
            except OSError:
                break  # it has ended
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.written.decode(errors="replace"))

    def type(self, line: str) -> None:
        os.write(self.screen, f"{line}\r".encode())

    def sees(self, text: str) -> None:
        wait_for(lambda: text in self.shown, f"{text!r} on the screen, which is\n{self.written!r}")

    def leave(self) -> int:
        """Type Ctrl-D, and return the exit code."""
        os.write(self.screen, b"\x04")
        return self.ended()

    def ended(self) -> int:
        def code() -> list[int]:
            _ = self.shown
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return [os.waitstatus_to_exitcode(status)] if pid else []

        return wait_for(code, "the chat ends")[0]


@contextmanager
def terminal(served: Served, *arguments: str, **settings: str) -> Iterator[Terminal]:
    env = served.stack.env | {"TERM": "xterm", "COLUMNS": "100"} | settings
    pid, screen = pty.fork()
    if not pid:
        os.chdir(PROJECT)
        os.execve(sys.executable, [sys.executable, "starter.py", "chat", *arguments], env)
    opened = Terminal(pid, screen)
    try:
        opened.sees("/help tells more")
        yield opened
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(screen)


def conversation(served: Served, session: str) -> list[tuple[str, str, str]]:
    """Return what was said: who, what, and what became of it."""
    answer = served.ask("GET", f"/runs/{session}/messages").json()
    return [(one["by"], one["text"], one["state"]) for one in answer.get("messages", ())]


def test_two_people_talk_in_one_session_and_one_comes_back(served: Served) -> None:
    """What one says the other sees; what comes while the agent works waits; Ctrl-C breaks it off; who comes back reads on."""
    served.stack.api.script(rules=[{"user": "a long story", "size": 4000, "piece": 20, "pace": 0.2}])
    with terminal(served, "researcher", "--id", "two", "--as", "ada") as ada:
        ada.type("Tell a long story.")
        ada.sees("researcher │ Answer to: ada: Tell a long story.")
        with terminal(served, "researcher", "--id", "two", "--as", "bob") as bob:
            bob.sees("ada │ Tell a long story.")
            bob.type("Bob is here.")
            bob.sees("message 2 waits for the agent's next turn")
            ada.sees("bob │ Bob is here.")
            served.stack.api.script(rules=[{"user": "Bob is here", "text": "Hello Bob."}])
            ada.type("half a line\x03")
            ada.sees("(interrupted: interrupted by ada)")
            bob.sees("researcher │ Hello Bob.")
            ada.sees("researcher │ Hello Bob.")
            assert bob.leave() == 0
            assert "come back: python starter.py chat researcher --id two" in bob.shown
        ada.type("/end")
        ada.sees("the session has ended (completed)")
        assert ada.ended() == 0
    said = conversation(served, "two")
    assert said[:2] == [("ada", "Tell a long story.", "interrupted"), ("bob", "Bob is here.", "answered")]
    served.stack.api.script(rules=[])
    with terminal(served, "researcher", "--id", "two", "--as", "bob") as back:
        back.type("And now?")
        back.sees("researcher │ Answer to: bob: And now?")
        assert "Tell a long story" not in back.shown, "he has read that"
        assert back.leave() == 0


def test_a_gate_is_decided_in_place_and_tool_calls_take_a_line(served: Served) -> None:
    mail = {"to": ["shop@example.org"], "subject": "Lamps {turn}", "text": "Ten, please."}
    question = {"question": "Which?", "options": ["red", "blue"]}
    served.stack.api.script(rules=[
        {"user": "Which files", "tool": "list_files", "input": {"pattern": "**/*"}, "before_turn": 1},
        {"user": "Which lamp", "tool": "ask_person", "input": question, "before_turn": 7},
    ])  # fmt: skip
    options = ("mailer", "--id", "gated", "--as", "ada")
    with terminal(served, *options) as chat:
        chat.type("Which files are there?")
        chat.sees('✓ list_files {"pattern": "**/*"} →')
        chat.sees("mailer │ Answer to")
        served.stack.api.script(rules=[
            {"tool": "send_mail", "input": mail, "before_turn": 4},
            {"tool": "send_mail", "input": mail | {"to": ["all@example.org"]}, "before_turn": 5},
        ])  # fmt: skip
        chat.type("Order lamps.")
        chat.sees("/approve gate-1 [REASON] or /deny gate-1 [REASON]")
        chat.type("/approve")
        chat.sees("ada asked for it")
        with terminal(served, *options[:-1], "bob") as bob:
            bob.sees(
                "--stop-asking approves all further calls of send_mail in this run as well, or those within bounds: --same to"
            )
            bob.type("/approve --stop-asking --at-most to=3")
            bob.sees("stop_asking.at_most: 'to' is")
            bob.type("/approve it is planned --stop-asking")
            bob.sees("--stop-asking: it comes right after the gate, before the reason")
            bob.type("/approve gate-1 --stop-asking --same to it is planned")
            bob.sees("from here on every call of send_mail with to ['shop@example.org'] is approved in this run")
            bob.sees("gate-1: covered by bob")
            bob.sees("all@example.org")
            bob.type("/deny too many")
            bob.sees("gate-2 of gated: denied by bob")
            bob.type("/revoke")
            bob.sees("gate-1 of gated: revoked by bob; each call waits for people again")
            assert bob.leave() == 0
        chat.sees("gate-2: denied by bob")
        chat.type("Which lamp do I want?")
        chat.sees("your next line answers question-1: red or blue")
        chat.type("green")
        chat.sees("is not one of red, blue")
        chat.type("blue")
        chat.sees("question-1 of gated is answered: blue")
        assert chat.leave() == 0
    said = [("ada", text, "answered") for text in ("Which files are there?", "Order lamps.", "Which lamp do I want?")]
    wait_for(lambda: conversation(served, "gated") == said, "all is answered")


def test_a_pipe_says_each_line_once_whatever_is_killed(served: Served, tmp_path: Path) -> None:
    """Killed in the middle, the same lines under the same key are answered whole, and none is said or paid twice."""
    lines = "".join(f"Line {number}.\n" for number in range(4))
    command = ("chat", "researcher", "--id", "piped", "--as", "ada", "--key", "batch")
    whole = [f"Answer to: ada: Line {number}." for number in range(4)]
    served.stack.api.script(latency=0.3)
    with killed_after(served, command, lines, tmp_path, "Answer to: ada: Line 1."):
        pass
    served.stack.worker.kill()
    served.stack.worker.start()
    for _ in range(2):  # once more after its end: what was said there is known, and begins no other run
        done = served.stack.run(*command, stdin=f"{lines}/end\n")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == whole
        served.result("piped")
    assert "piped has ended already" in done.stderr
    assert conversation(served, "piped") == [("ada", f"Line {number}.", "answered") for number in range(4)]
    paid = [hit for hit in served.stack.api.hits() if hit.get("status", 200) == 200]
    assert len(paid) <= 5, "a killed worker asks the call again that it had in hand, and no other"
    served.stack.api.script(latency=0, rules=[{"user": "impossible", "status": 400, "message": "no such thing"}])
    failed = served.stack.run(*command[:3], "piped", stdin="Do the impossible.\n")
    assert failed.returncode == 1
    assert "not every message was answered" in failed.stderr
    assert (failed.stdout, "no such thing" in failed.stderr) == ("", True)


def test_lines_that_are_read_again_answer_a_question_once_and_no_other(served: Served) -> None:
    question = {"question": "Which?", "options": ["red", "blue"]}
    served.stack.api.script(rules=[{"user": "Which lamp", "tool": "ask_person", "input": question}])
    command, lines = ("chat", "mailer", "--id", "again", "--as", "ada", "--key", "lamps"), "Which lamp?\nred\nThanks.\n"
    asked = served.stack.run(*command, stdin="Which lamp?\n")
    assert (asked.returncode, "question-1" in asked.stderr) == (1, True), "its message has no answer"
    for _ in range(2):
        whole = served.stack.run(*command, stdin=lines)
        assert (whole.returncode, len(whole.stdout.splitlines())) == (0, 2), (whole.stdout, whole.stderr)
        assert whole.stdout.splitlines()[1] == "Answer to: ada: Thanks."
        assert "is not one of red, blue" not in whole.stderr
    assert conversation(served, "again") == [("ada", text, "answered") for text in ("Which lamp?", "Thanks.")]


def test_a_line_that_is_no_text_or_no_command_is_said_and_the_rest_goes_on(served: Served, tmp_path: Path) -> None:
    from outlast.cli.chat.outbox import Outbox

    Outbox(tmp_path, "x").keep("left \udcff by an older version")
    assert Outbox(tmp_path, "x").left()[0].text == "left � by an older version"
    env = served.stack.env | {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    said = subprocess.run(
        [sys.executable, "starter.py", "chat", "researcher", "--as", "ada", "--id", "bytes"],
        cwd=PROJECT, env=env, input=b"one \xff\ntwo\n/approve gate-3\n", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stdout) == (1, b"Answer to: ada: two\n"), said.stderr
    for told in (b"not UTF-8 at byte 4", b"no gate waits there", b"not every line could be carried out"):
        assert told in said.stderr


@contextmanager
def killed_after(served: Served, command: Any, lines: str, folder: Path, answer: str) -> Iterator[None]:
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "starter.py", *command], cwd=PROJECT, env=served.stack.env, text=True,
            stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(lines)
        process.stdin.flush()
        wait_for(lambda: answer in (folder / "out").read_text(), "it is in the middle")
        process.kill()
        process.wait()
        process.stdin.close()
    yield


def test_what_cannot_be_is_said_before_anything_is_started(served: Served) -> None:
    served.start("plan", {"plan": {"steps": [{"step": "a", "agent": "writer", "input": "x"}]}}, "a-plan")
    other = served.stack.run("chat", "writer", "--id", "a-plan", stdin="hello\n")
    assert other.returncode == 2
    assert "no session; choose another id" in other.stderr
    served.ask("POST", "/runs/theirs/messages", {"agent": "researcher", "text": "Hello."})
    theirs = served.stack.run("chat", "writer", "--id", "theirs", stdin="hello\n")
    assert (theirs.returncode, "that session is researcher's" in theirs.stderr) == (2, True)
    unknown = served.stack.run("chat", "wrtier", "--id", "typo", stdin="hello\n")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "no agent named wrtier; there are" in unknown.stderr.splitlines()[-1]
    assert "has no agent 'wrtier'; there are" in unknown.stderr.splitlines()[0], "before anything is typed"
    right = served.stack.run("chat", "writer", "--id", "typo", "--as", "ada", stdin="One.\n")
    assert (right.returncode, right.stdout.splitlines()[-1]) == (0, "Answer to: ada: One."), right.stderr
    missing = served.stack.run("chat", "writer", "--continues", "nobody", stdin="hello\n")
    assert (missing.returncode, "there is no session" in missing.stderr) == (2, True)
    first = served.stack.run("chat", "writer", "--id", "before", "--as", "ada", stdin="My name is Ada.\n")
    assert first.returncode == 0, first.stderr
    served.ask("POST", "/runs/before/end")
    served.result("before")
    onward = served.stack.run("chat", "writer", "--id", "before", "--as", "ada", stdin="Still there?\n")
    assert (onward.returncode, onward.stdout) == (0, "Answer to: ada: Still there?\n")
    fork = served.stack.run("chat", "writer", "--id", "after", "--as", "ada", "--continues", "before", stdin="And?\n")
    assert fork.stdout == "Answer to: ada: And?\n"
    assert served.stack.api.hits()[-1]["turn"] == 2, "the conversation before was not sent along"


def test_a_fork_is_talked_to_and_a_reset_session_goes_on_where_it_is(served: Served) -> None:
    """Neither is waited for, and what was said in them is read back."""
    said = served.stack.run("chat", "writer", "--id", "forked", "--as", "ada", stdin="One.\nTwo.\nThree.\n")
    assert said.returncode == 0, said.stderr
    forked = served.stack.run("fork", "forked", "--from-turn", "2", "--id", "fork")
    assert (forked.returncode, "chat writer --id fork" in forked.stdout) == (0, True), forked.stderr
    onward = served.stack.run("chat", "writer", "--id", "fork", "--as", "ada", stdin="And?\n")
    assert onward.stdout == "Answer to: ada: And?\n"
    numbers = [each["number"] for each in served.ask("GET", "/runs/fork/messages").json()["messages"]]
    assert numbers == [1, 2], "the message that is answered anew is among them"
    served.stack.temporal("workflow", "reset", "--workflow-id", "forked", "--type", "LastWorkflowTask", "--reason", "x")
    assert served.ask("POST", "/runs/forked/messages", {"text": "Four."}).json()["number"] == 4
    wait_for(lambda: conversation(served, "forked")[3:] == [("ada", "Four.", "answered")], "the new run is read")
