"""With PAYLOAD_KEYS no word of a run lies in clear: not in the server's database, the store, the state directory, logs or traces.

Words stand where people, models, tools and errors put text. Whatever was written while the run lived is searched for them, as
they are and as base64.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outlast.storage.payload_codec import new_key
from tests.doubles.otlp import collector
from tests.processes import dev_server, messages_api, stack_environment, wait_for, worker
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("encryption")

WORDS = {
    "task": "quokkatask",
    "input": "quokkainput",
    "answer": "quokkaanswer",
    "edit": "quokkaedit",
    "reason": "quokkareason",
    "schema": "quokkaschema",
    "tool": "quokkatool",
    "error": "quokkaerror",
    "session": "quokkasession",
    "steered": "quokkasteered",
}
LONG = " and so on" * 300
"""Makes a text too long for history."""


@contextmanager
def stack(place: Path, bodies: list[bytes], key: str) -> Iterator[Stack]:
    """Run a stack that writes everything below `place/kept`, but for the double's log and what agents are to write."""
    kept, beside = place / "kept", place / "beside"
    kept.mkdir()
    beside.mkdir()
    with collector() as otlp, dev_server(kept) as server, messages_api(beside) as api:
        take = otlp.take

        def noted(path: str, body: bytes) -> None:
            bodies.append(body)
            take(path, body)

        otlp.take = noted  # type: ignore[method-assign]
        settings = {
            "PAYLOAD_KEYS": key,
            "WORKSPACE_DIR": str(beside / "workspace"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "LOG_LEVEL": "INFO",
        }
        with worker(kept, server, api, **settings) as working:
            yield Stack(kept, server, api, working, stack_environment(kept, server, api, **settings))


def live(running: Stack, plan: Path) -> None:
    """Let people, models, tools and errors say their words."""
    said = WORDS["answer"] + LONG
    refused = {"status": 400, "error_type": "invalid_request_error", "message": WORDS["error"]}
    write = {"path": "a.md", "content": WORDS["tool"] + LONG}
    running.api.script(
        rules=[
            {"user": "fail at this", **refused},
            {"user": WORDS["session"], "tool": "write_file", "input": write, "before_turn": 1},
            {"system": "You are", "text": said},
        ]
    )
    steps = [
        {"step": 1, "agent": "writer", "input": WORDS["input"], "confirm": True},
        {"step": 2, "agent": "writer", "input": WORDS["input"] + LONG, "depends_on": [1]},
    ]
    plan.write_text(json.dumps({"steps": steps}))
    running.done("plan", WORDS["task"], "--plan", str(plan), "--id", "gated", "--requester", "", "--stream", "--detach")
    wait_for(lambda: running.json("status", "gated").get("gates"), "the gate")
    edit = json.dumps({"input": WORDS["edit"] + LONG})
    running.done("decide", "gated", "--verdict", "approve", "--edit", edit, "--reason", WORDS["reason"], "--as", "ada")
    running.done("approve", "gated", "--reason", WORDS["reason"], "--as", "bob")  # who edits does not approve
    assert WORDS["answer"] in running.done("result", "gated")
    assert WORDS["edit"] in running.done("why", "gated", "1")
    plan.write_text(json.dumps({"steps": [{"step": 1, "agent": "writer", "input": "fail at this"}]}))
    assert WORDS["error"] in running.run("plan", "--plan", str(plan), "--id", "failing").stderr
    running.done("agent", "file-clerk", WORDS["session"], "--id", "session")
    running.done("rollback", "session")


def found_in(data: bytes, words: dict[str, str]) -> set[str]:
    """Return which words bytes hold: in clear, as UTF-16, or as base64 at whatever offset."""
    forms = {
        what: {word.encode(), word.encode("utf-16-le"), *(_coded(word, at) for at in range(3))}
        for what, word in words.items()
    }
    return {what for what, each in forms.items() if any(form in data for form in each)}


def _coded(word: str, offset: int) -> bytes:
    # A character is six bits; those that hold a bit of what stands before or after the word are left out.
    return b64encode(b"x" * offset + word.encode())[-(-offset * 8 // 6) : (offset + len(word)) * 8 // 6]


def test_no_word_of_a_run_lies_in_clear(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    with stack(tmp_path, bodies, new_key("k")) as running:
        live(running, tmp_path / "plan.json")
        report = tmp_path / "report.html"
        running.done("report", "gated", "--output", str(report))
        assert WORDS["answer"] in report.read_text()  # whoever has the key reads all of it
    clear: dict[str, Any] = {
        str(path.relative_to(running.directory)): found
        for path in sorted(running.directory.rglob("*"))
        if path.is_file() and (found := found_in(path.read_bytes(), WORDS))
    }
    assert clear == {}
    assert len(bodies) > 3
    assert found_in(b"".join(bodies), WORDS) == set()
    assert len([path for path in (running.directory / "content").rglob("*") if path.is_file()]) > 10


def test_what_looks_for_words_finds_them() -> None:
    coded = [b64encode(b"x" * at + b'{"quokkatool":1}') for at in range(3)]
    for data in (b"..quokkatool..", "quokkatool".encode("utf-16-le"), *coded):
        assert found_in(data, WORDS) == {"tool"}
