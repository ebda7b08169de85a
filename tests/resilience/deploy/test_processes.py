"""`worker.py --processes 2` as real processes: work on both, one health, one /metrics, a dead one replaced, all drained."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.forked import ForkedProcess
from tests.processes import (
    PROJECT,
    clean_environment,
    dev_server,
    free_port,
    messages_api,
    stack_environment,
    starter,
    wait_for,
    worker,
)
from tests.real_process import command_of

PROGRAM = """
from outlast.worker.running import run_worker

class Triage:
    pass

run_worker(workflows=[Triage], agents_dir={agents_dir!r})
"""


def asked(port: int, path: str = "/") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def children(pid: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(pid).children() if "worker.py" in command_of(each)]


@pytest.mark.timeout(150)
def test_two_processes_work_as_one_worker_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    health, metrics = free_port(), free_port()
    ports = ("--processes", "2", "--health-port", str(health), "--metrics-port", str(metrics))
    with dev_server(tmp_path) as server, messages_api(tmp_path) as api:
        env = stack_environment(tmp_path, server, api)
        with worker(tmp_path, server, api, *ports) as pool:
            wait_for(lambda: asked(health) == (200, "2 of 2 worker processes answer\n"), "both are well")
            done = starter("plan", "Compare tides.", "--id", "one", env=env)
            assert done.returncode == 0, done.stderr
            status, text = asked(metrics, "/metrics")
            assert status == 200
            assert {'process="0"', 'process="1"'} <= {part for part in ('process="0"', 'process="1"') if part in text}
            assert text.count("# TYPE temporal_request ") <= 1

            api.script(hold=True)
            detached = starter("plan", "Once more.", "--id", "two", "--detach", env=env)
            assert detached.returncode == 0, detached.stderr
            wait_for(lambda: api.hits()[-1]["outcome"] == "running", "a call runs")
            before = children(pool.pid)
            assert len(before) == 2
            for one in before:
                one.send_signal(signal.SIGKILL)
            wait_for(lambda: asked(health)[0] == 200 and len(children(pool.pid)) == 2, "both were replaced")
            assert not {one.pid for one in before} & {one.pid for one in children(pool.pid)}
            api.script(hold=False)
            assert starter("result", "two", env=env).returncode == 0
            assert pool.output.count("; the next one starts in") == 2

            after = children(pool.pid)
            assert pool.stop(30) == 0
            assert not [one for one in after if one.is_running()]


def test_processes_that_cannot_start_end_their_pool_with_the_same_code(tmp_path: Path) -> None:
    with messages_api(tmp_path) as api:
        env = stack_environment(tmp_path, f"127.0.0.1:{free_port()}", api)
        pool = ForkedProcess(["worker.py", "--processes", "2"], tmp_path / "pool.log", env)
        pool.start()
        assert pool.wait(60) == 3
        assert "no Temporal server answers" in pool.output


@pytest.mark.parametrize(
    ("agents_dir", "message"),
    [
        (".", "worker: workflows: Triage is not a workflow; put @workflow.defn above the class\n"),
        (
            "none",
            "worker: agents_dir='none': there is no folder {folder}/none; make it, with one Markdown file for each agent",
        ),
    ],
)
def test_a_worker_that_is_given_something_wrong_names_it_and_leaves(
    tmp_path: Path, agents_dir: str, message: str
) -> None:
    """Before it looks for a server: there is none."""
    env = clean_environment(PYTHONPATH=str(PROJECT), TEMPORAL_ADDRESS="127.0.0.1:9")
    command = [sys.executable, "-c", PROGRAM.format(agents_dir=agents_dir)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(message.format(folder=tmp_path))
