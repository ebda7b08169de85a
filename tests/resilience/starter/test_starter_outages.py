"""The command line where something is missing, wrong, or crashes while it waits."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import (
    clean_environment,
    dev_server,
    free_port,
    messages_api,
    running_starter,
    stack_environment,
    starter,
    wait_for,
    worker,
)
from tests.stacks import Stack, whole_stack

HOW_TO_START_A_SERVER = "Start one with 'python starter.py up', or set TEMPORAL_ADDRESS."
HOW_TO_START_A_WORKER = "Start one with 'python worker.py' or 'python starter.py up'."


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    with whole.lent():
        yield whole


@pytest.fixture
def document(tmp_path: Path) -> str:
    file = tmp_path / "letter.txt"
    file.write_text(f"Dear Sir or Madam, this is about {tmp_path}.")  # no other test may have stored the same
    return str(file)


@pytest.mark.parametrize("command", [["plan", "x"], ["list"], ["status", "x"], ["cancel", "x"], ["trace", "x"]])
def test_no_server_is_code_3_and_says_how_to_start_one(tmp_path: Path, command: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}"

    ended = starter(*command, env=clean_environment(TEMPORAL_ADDRESS=address, STATE_DIR=str(tmp_path)))

    assert ended.returncode == 3
    assert f"no Temporal server answers at {address}" in ended.stderr
    assert HOW_TO_START_A_SERVER in ended.stderr


def test_no_worker_is_code_3_and_starts_nothing(stack: Stack, document: str) -> None:
    before = stack.runs()

    for command in (["plan", "x"], ["document", document]):
        ended = stack.run(*command, TASK_QUEUE="nobody")
        assert ended.returncode == 3
        assert "nothing was started: no worker serves task queue 'nobody'" in ended.stderr
        assert HOW_TO_START_A_WORKER in ended.stderr

    assert stack.runs() == before


def test_the_starter_waits_for_a_worker_that_is_just_starting(stack: Stack, tmp_path: Path) -> None:
    env = stack.env | {"TASK_QUEUE": "soon", "WORKER_WAIT": "60"}
    with running_starter(tmp_path, "plan", "x", env=env, name="early") as waiting:
        waiting.wait_until(
            lambda: "no worker serves task queue 'soon' yet; waits up to 60 s" in waiting.output, "it says so"
        )
        with worker(stack.directory, stack.server, stack.api, name="soon", TASK_QUEUE="soon"):
            assert waiting.wait(60) == 0, waiting.output


def test_detached_run_waits_for_a_worker(stack: Stack) -> None:
    ended = stack.run("plan", "x", "--id", "early", "--detach", TASK_QUEUE="later")

    assert ended.returncode == 0
    assert "no worker serves task queue 'later'; the run waits for one" in ended.stderr
    for command in ("status", "watch", "result", "trace", "cancel"):
        asked = stack.run(command, "early")
        assert asked.returncode == 3, command
        assert f"no worker serves task queue 'later'. {HOW_TO_START_A_WORKER}" in asked.stderr


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("CONTENT_STORE_URL", "ftp://nowhere", "CONTENT_STORE_URL=ftp://nowhere cannot be opened"),
        ("CONTENT_INLINE_BYTES", "many", "CONTENT_INLINE_BYTES: "),
        ("TEMPORAL_NAMESPACE", "nowhere", "Set TEMPORAL_NAMESPACE to one that exists"),
        ("TEMPORAL_PROFILE", "nobody", "TEMPORAL_PROFILE"),
    ],
)
def test_wrong_setting_is_named(stack: Stack, setting: str, value: str, words: str) -> None:
    ended = stack.run("plan", "x", **{setting: value})

    assert ended.returncode == 2
    assert words in ended.stderr
    assert stack.api.hits() == []


def test_different_content_stores_are_named_by_their_setting(stack: Stack, document: str, tmp_path: Path) -> None:
    elsewhere = (tmp_path / "elsewhere").as_uri()

    unread = stack.run("plan", "x", "--id", "elsewhere", CONTENT_STORE_URL=elsewhere)
    unseen = stack.run("document", document, CONTENT_STORE_URL=elsewhere)

    assert unread.returncode == 2
    assert f"not in this starter's content store ({elsewhere})" in unread.stderr
    assert "Set CONTENT_STORE_URL to the same URL for both, then: python starter.py result elsewhere" in unread.stderr
    assert stack.json("result", "elsewhere")["done"] == 3, "the run itself lost nothing"
    assert unseen.returncode == 1
    assert "ContentMissing: letter.txt: " in unseen.stderr
    assert "set CONTENT_STORE_URL to the same URL for both" in unseen.stderr


def test_waiting_outlasts_a_crash_of_the_server(tmp_path: Path) -> None:
    plan = [{"step": n, "agent": "writer", "input": f"Do {n}.", "depends_on": [n - 1][: n - 1]} for n in range(1, 11)]
    file = tmp_path / "chain.json"
    file.write_text(json.dumps(plan))
    with whole_stack(tmp_path) as stack:
        server, api, env = stack.server, stack.api, stack.env
        api.script(latency=0.3)
        command = ("plan", "--plan", str(file), "--id", "chain")
        with running_starter(tmp_path, *command, env=env, name="chain") as waiting:
            wait_for(lambda: len(api.hits()) >= 4, "four calls are made")
            server.kill()
            # Long enough that the SDK gives up asking by itself, so that our own waiting is what is tested.
            waiting.wait_until(lambda: "still waiting" in waiting.output, "the starter says so")
            server.start()

            assert waiting.wait(90) == 0, waiting.output

        assert "completed · 10 done, 0 failed, 0 skipped" in waiting.output
        assert waiting.output.count("the server does not answer; still waiting, nothing is lost") == 1
        hits = api.hits()
        assert {hit["user"].split(".")[0] for hit in hits} == {f"Do {n}" for n in range(1, 11)}
        assert len(hits) <= 11, "only the call that ran during the crash may be made again"


def test_waiting_says_when_no_worker_answers(tmp_path: Path) -> None:
    with dev_server(tmp_path) as server, messages_api(tmp_path) as api:
        api.script(hold=True)
        env = stack_environment(tmp_path, server, api)
        with (
            worker(tmp_path, server, api) as first,
            running_starter(tmp_path, "plan", "x", "--id", "orphan", env=env, name="orphan") as waiting,
        ):
            wait_for(api.hits, "the planner is asked")
            first.kill()
            waiting.wait_until(lambda: "no worker answers" in waiting.output, "the starter says so")
            assert HOW_TO_START_A_WORKER in waiting.output
            api.script(hold=False)
            with worker(tmp_path, server, api, name="second"):
                assert waiting.wait(60) == 0, waiting.output


def test_a_result_waits_for_a_store_that_is_away_and_leaves_with_the_code_of_its_run(
    stack: Stack, document: str, tmp_path: Path
) -> None:
    stack.done("document", document, "--id", "read-late")
    content, away = stack.directory / "content", stack.directory / "content.away"
    whole = stack.done("result", "read-late")
    content.rename(away)
    try:
        impatient = stack.run("result", "read-late", STORE_WAIT="0")
        assert impatient.returncode == 3, impatient.stderr
        assert "the run has ended, but its texts cannot be read yet" in impatient.stderr
        assert "python starter.py result read-late" in impatient.stderr
        with running_starter(tmp_path, "result", "read-late", env=stack.env, name="late") as reading:
            reading.wait_until(lambda: "still waiting, nothing is lost" in reading.output, "the starter to wait")
            away.rename(content)
            assert reading.wait(30) == 0
            assert "the content store answers again" in reading.output
            assert whole.splitlines()[-1] in reading.output
    finally:
        if away.exists():
            away.rename(content)


def test_status_says_what_a_run_waits_for(stack: Stack) -> None:
    stack.api.script(outage=529)
    stack.done("plan", "x", "--id", "patient", "--detach")
    wait_for(lambda: len(stack.api.hits()) >= 3, "three attempts")
    (retry,) = stack.json("status", "patient")["retries"]
    assert (retry["activity"], retry["error"]) == ("call_model", "ModelUnavailable")
    assert "529" in retry["reason"]
    assert "waiting · call_model · attempt " in stack.done("status", "patient")
    stack.api.script(outage=0)
    assert "done" in stack.done("watch", "patient")
    assert "retries" not in stack.json("status", "patient")
