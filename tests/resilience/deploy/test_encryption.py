"""With PAYLOAD_KEYS no word of a run lies in clear: not in the server's database, the store, the state directory, logs or traces.
And `gc` finds what these runs refer to.

Words stand where people, models, tools and errors put text. Whatever was written while the run lived is searched for them, as
they are and as base64.
"""

import json
import os
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outlast.storage.garbage.users import FOLDER
from outlast.storage.marker import MARKER
from outlast.storage.objects import TRASH
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


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, list[bytes]]]:
    """A stack whose runs have ended, and what its worker and starters exported."""
    place, bodies = tmp_path_factory.mktemp("encrypted"), list[bytes]()
    with stack(place, bodies, new_key("k")) as running:
        live(running, place / "plan.json")
        yield running, bodies


def test_no_word_of_a_run_lies_in_clear(lived: tuple[Stack, list[bytes]], tmp_path: Path) -> None:
    running, bodies = lived
    report = tmp_path / "report.html"
    running.done("report", "session", "--output", str(report))
    assert WORDS["session"] in report.read_text()  # whoever has the key reads all of it
    clear: dict[str, Any] = {
        str(path.relative_to(running.directory)): found
        for path in sorted(running.directory.rglob("*"))
        if path.is_file() and (found := found_in(path.read_bytes(), WORDS))
    }
    assert clear == {}
    assert len(bodies) > 3
    assert found_in(b"".join(bodies), WORDS) == set()
    assert len(texts_of(running)) > 10


def texts_of(running: Stack) -> set[str]:
    """Return the keys of all that lies in the store, outside the trash; all of it becomes a month old."""
    content, found = running.directory / "content", set()
    for path in content.rglob("*"):
        if path.is_file() and path.name != MARKER:
            found.add(str(path.relative_to(content)))
            os.utime(path, (time.time() - 30 * 86400,) * 2)
    return {key for key in found if not key.startswith((TRASH, FOLDER))}


def test_gc_leaves_all_that_runs_refer_to_and_takes_what_a_deleted_run_wrote(
    lived: tuple[Stack, list[bytes]], tmp_path: Path
) -> None:
    running, _ = lived
    before = texts_of(running)
    blind = running.run("gc", "--delete", PAYLOAD_KEYS="")
    assert blind.returncode == 2
    assert "PAYLOAD_KEYS: it is encrypted with the key 'k', which is not there; nothing was deleted" in blind.stderr
    found = running.json("gc", "--delete")
    assert (found["unreferenced"], found["runs"], texts_of(running)) == ({}, 4, before)

    running.temporal("workflow", "delete", "--yes", "-w", "gated", "--address", running.server.address)
    wait_for(lambda: "gated" not in running.runs(), "the run is deleted", timeout=120)
    dry = running.done("gc")
    assert texts_of(running) == before
    assert "a dry run: 'python starter.py gc --delete' does it" in dry
    assert re.search(r"paid reply +2 .*\n", dry)
    gone = running.json("gc", "--delete")["unreferenced"]
    assert gone["paid reply"]["objects"] == 2
    assert gone["content"]["ages"].keys() == {"older"}
    left = texts_of(running)
    assert len(before - left) == sum(tally["objects"] for tally in gone.values())
    assert "2 turns" in running.done("result", "session")
    texts_of(running)  # what lies in the trash is old now, too
    emptied = running.json("gc", "--delete")["emptied"]
    assert emptied["objects"] == len(before - left)
    assert not [path for path in (running.directory / "content" / TRASH).rglob("*") if path.is_file()]


def test_gc_asks_for_every_namespace_that_uses_the_store(lived: tuple[Stack, list[bytes]]) -> None:
    running, _ = lived
    users = running.directory / "content" / FOLDER
    (note,) = users.iterdir()
    (users / "another").write_text(json.dumps({"id": "another", "namespace": "elsewhere"}))
    refused = running.run("gc")
    assert (refused.returncode, "used by 'elsewhere' (id another) as well" in refused.stderr) == (2, True)
    assert "a dry run" in running.done("gc", "--forget", "another")
    (users / "another").unlink()
    assert note.exists()
    for wrong, said in ((("--older-than", "5m"), "at least an hour"), (("--namespace", "nowhere"), "nowhere")):
        asked = running.run("gc", *wrong)
        assert (asked.returncode, said in asked.stderr) == (2, True), asked.stderr


def test_a_run_that_waits_at_a_gate_goes_on_with_another_key_and_a_moved_store(tmp_path: Path) -> None:
    old, plan = new_key("k"), tmp_path / "plan.json"
    first = {"step": 1, "agent": "writer", "input": WORDS["input"] + LONG}
    second = {"step": 2, "agent": "writer", "input": "Send it.", "depends_on": [1], "confirm": True}
    plan.write_text(json.dumps({"steps": [first, second]}))
    with stack(tmp_path, [], old) as before:
        before.api.script(rules=[{"system": "You are", "text": WORDS["answer"] + LONG}])
        before.done("plan", "--plan", str(plan), "--id", "rotated", "--requester", "", "--detach")
        wait_for(lambda: before.json("status", "rotated").get("gates"), "the gate")
        before.worker.stop()
        moved = before.directory / "elsewhere"
        (before.directory / "content").rename(moved)
        now = before.env | {"PAYLOAD_KEYS": f"{new_key('n')},{old}", "CONTENT_STORE_URL": moved.as_uri()}
        with worker(before.directory, before.server, before.api, name="again", **now) as working:
            after = Stack(before.directory, before.server, before.api, working, now)
            after.done("approve", "rotated", "--as", "ann")
            assert WORDS["answer"] in after.done("result", "rotated")
            assert WORDS["answer"] in after.done("why", "rotated", "1"), "what the old key had encrypted"
            assert len(after.api.hits()) == 2, "what was answered before is not asked again"
            lost = after.run("result", "rotated", PAYLOAD_KEYS=old)
            assert (lost.returncode, "the key 'n', which is not there" in lost.stderr) == (2, True), lost.stderr


def test_what_looks_for_words_finds_them() -> None:
    coded = [b64encode(b"x" * at + b'{"quokkatool":1}') for at in range(3)]
    for data in (b"..quokkatool..", "quokkatool".encode("utf-16-le"), *coded):
        assert found_in(data, WORDS) == {"tool"}
