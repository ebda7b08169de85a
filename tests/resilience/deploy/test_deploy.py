"""The deployment without an engine: what its images are made of and start with is run here as steps and processes.

One test builds the worker's image in a clean virtual environment and works with it. Its packages are those that are installed
here: `make install` has had them from pip, by the same hashes.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker

from tests.deployed_metrics import asked_metrics
from tests.parts import PROMTOOL, needed
from tests.processes import (
    PROJECT,
    DevServer,
    MessagesApi,
    RealProcess,
    clean_environment,
    dev_server,
    free_port,
    messages_api,
    wait_for,
)

pytestmark = pytest.mark.xdist_group("stack")

DEPLOY = PROJECT / "deploy"
DOCKERFILE = (DEPLOY / "image" / "Dockerfile").read_text().replace("\\\n", " ")
ATTRIBUTES = {"AgentPattern": "Keyword", "AgentState": "Keyword", "PendingGate": "Keyword"} | {
    "GateDeadline": "Datetime",
    "CostUsd": "Double",
}
LOSSES = {"status": 401, "error_type": "authentication_error", "message": "no", "user": "this one fails"}


def stage(name: str) -> list[str]:
    """The instructions of one stage of the Dockerfile."""
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found, name
    return [line for line in found[1].splitlines() if line and not line.startswith("#")]


def build(directory: Path) -> Path:
    """Do what the engine does for `worker-build`, in a folder: copies what it copies, runs what it runs."""
    app, venv = directory / "app", directory / "venv"
    app.mkdir()
    tools = directory / "tools"  # the `python` of the base image
    tools.mkdir()
    (tools / "python").symlink_to(os.path.realpath(sys.executable))
    env = clean_environment(PATH=f"{tools}:{os.environ['PATH']}")
    for line in stage("worker-build"):
        word, rest = line.split(maxsplit=1)
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                into = app / target if not target.startswith("./") else app
                if (PROJECT / source).is_dir():
                    shutil.copytree(PROJECT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    into.mkdir(parents=True, exist_ok=True)
                    shutil.copy(PROJECT / source, into)
        elif word == "RUN":
            command = rest.replace("/opt/venv", str(venv))
            if asked := re.fullmatch(r".* -m pip install .*--require-hashes -r (\S+)", command):
                install(locked(app / asked[1]), venv)
                continue
            done = subprocess.run(
                ["/bin/sh", "-ec", command], cwd=app, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{rest}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        else:
            assert word == "WORKDIR"
    return app


def locked(lock: Path) -> dict[str, str]:
    """What a lock file asks for on this machine: name to version and hashes."""
    found = re.findall(
        r"^([\w.-]+)==(.+?)(?: ; (.+?))? \\\n((?: +--hash=\S+(?: \\)?\n?)+)", lock.read_text(), re.MULTILINE
    )
    return {
        name: f"{version} {hashes}"
        for name, version, marker, hashes in found
        if not marker or Marker(marker).evaluate()
    }


def install(asked: Mapping[str, str], venv: Path) -> None:
    """Give an environment packages that are installed here, by links."""
    ours = locked(PROJECT / "locks" / "dev.txt")
    into = next(venv.glob("lib/python*/site-packages"))
    for name, version in asked.items():
        assert ours[name] == version, f"{name}: `make install` has another one than the image"
        for file in distribution(name).files or ():
            if ".." not in file.parts:
                (into / file).parent.mkdir(parents=True, exist_ok=True)
                (into / file).symlink_to(file.locate())


def image_command(name: str, venv: Path, **ports: int) -> list[str]:
    """The entry point and the command of an image, with the ports of this test and the loopback."""
    (command,) = (json.loads(line.removeprefix("CMD ")) for line in stage(name) if line.startswith("CMD "))
    changes = {f"--{port.replace('_', '-')}": str(number) for port, number in ports.items()} | {"--host": "127.0.0.1"}
    for flag, value in changes.items():
        command[command.index(flag) + 1] = value
    assert command[0] == "python"
    (entry,) = (
        json.loads(line.removeprefix("ENTRYPOINT ")) for line in stage("base") if line.startswith("ENTRYPOINT ")
    )
    assert entry == ["with-secrets"]
    return ["/bin/sh", str(DEPLOY / "image" / "with-secrets.sh"), str(venv / "bin" / "python"), *command[1:]]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def read(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def run_job(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = clean_environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment)
    return subprocess.run(
        ["/bin/sh", str(DEPLOY / script)], env=env, capture_output=True, text=True, timeout=90, check=False
    )


def temporal(server: DevServer, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("temporal")), *arguments, "--address", server.address, "-n", "agents"]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.timeout(400)
def test_the_image_s_steps_make_a_worker_that_works_and_drains(tmp_path: Path, server: DevServer) -> None:
    where = {"TEMPORAL_ADDRESS": server.address, "TEMPORAL_NAMESPACE": "agents"}
    for _ in range(2):  # a job that ran before runs again after an upgrade
        made = run_job("temporal/namespace.sh", **where)
        assert made.returncode == 0, made.stdout + made.stderr
    listed = temporal(server, "operator", "search-attribute", "list")
    assert {
        name: kind for name, kind in re.findall(r"^\s*(\w+)\s+(\w+)", listed, re.MULTILINE) if name in ATTRIBUTES
    } == ATTRIBUTES

    app, venv = build(tmp_path), tmp_path / "venv"
    before = files(app)
    health, metrics = free_port(), free_port()
    (tmp_path / "key").write_text("sk-from-a-file\n")
    with messages_api(tmp_path) as api:
        env = clean_environment(
            **where,
            ANTHROPIC_BASE_URL=api.url,
            ANTHROPIC_API_KEY_FILE=str(tmp_path / "key"),
            STATE_DIR=str(tmp_path / "state"),
            HEARTBEAT_TIMEOUT="15",
        )
        command = image_command("worker", venv, health_port=health, metrics_port=metrics)
        worker = RealProcess(command=command, log=tmp_path / "worker.log", env=env, cwd=app)
        try:
            worker.start()
            worker.wait_until(lambda: "worker ready" in worker.output, "the worker is ready")
            assert read(health) == "ok\n"
            _work(api, server, [*command[:3], "starter.py"], env, app)
            exported = set(re.findall(r"^(\w+)\{", read(metrics, "/metrics"), re.MULTILINE))
            assert asked_metrics("temporal_") - exported == set(), "asked for, but not exported"
            _stops_after_its_call(api, worker, [*command[:3], "starter.py"], env, app)
        finally:
            worker.stop()
    # What a read-only file system would have refused: not even bytecode is written beside the code.
    assert files(app) - before == set()


def _work(api: MessagesApi, server: DevServer, starter: list[str], env: Mapping[str, str], app: Path) -> None:
    """One run that succeeds, one that fails, and one that nobody knows, so that each metric has something to count."""
    for task, code in (("this one works", 0), ("this one fails", 1)):
        api.script(rules=[LOSSES])
        done = subprocess.run([*starter, "plan", task], cwd=app, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
    unknown = ("--type", "NobodyKnows", "--task-queue", "agents", "--workflow-id", "nobody-knows")
    temporal(server, "workflow", "start", *unknown)
    wait_for(
        lambda: "WorkflowTaskFailed" in temporal(server, "workflow", "show", "-w", "nobody-knows"),
        "a failed workflow task",
    )
    temporal(server, "workflow", "terminate", "-w", "nobody-knows")


def _stops_after_its_call(
    api: MessagesApi, worker: RealProcess, starter: list[str], env: Mapping[str, str], app: Path
) -> None:
    """SIGTERM through the entry point lets the running call finish, and the worker leaves with 0."""
    api.reset()
    api.script(hold=True)
    asked = subprocess.Popen(
        [*starter, "plan", "during a stop", "--detach"], cwd=app, env=dict(env), stdout=subprocess.DEVNULL
    )
    assert asked.wait(30) == 0
    wait_for(api.hits, "a call that runs")
    worker.send(signal.SIGTERM)
    worker.wait_until(lambda: "waiting for running calls" in worker.output, "the worker drains")
    api.script(hold=False)
    assert worker.wait(30) == 0
    assert {hit["outcome"] for hit in api.hits()} == {"answered"}


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    wrapped = [
        "/bin/sh",
        str(DEPLOY / "image" / "with-secrets.sh"),
        "/bin/sh",
        "-c",
        'echo "[$SMTP_URL|${SMTP_URL_FILE-}]"',
    ]
    missing = subprocess.run(
        wrapped, env={"SMTP_URL_FILE": str(tmp_path / "none")}, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert f"SMTP_URL_FILE={tmp_path / 'none'} cannot be read" in missing.stderr
    (tmp_path / "url").write_text("smtp://a:b$c'd@host\n")
    given = subprocess.run(
        wrapped, env={"SMTP_URL_FILE": str(tmp_path / "url")}, capture_output=True, text=True, check=True
    )
    assert given.stdout == "[smtp://a:b$c'd@host|]\n"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    subprocess.run([DEPLOY / "make-secrets.sh", tmp_path / "s"], capture_output=True, check=True)
    compose: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    first = {path.name: path.read_text() for path in (tmp_path / "s").iterdir()}
    assert {f"./secrets/{name}" for name in first} == {secret["file"] for secret in compose["secrets"].values()}
    assert all(len(text) == 48 for name, text in first.items() if name not in ("anthropic_api_key", "payload_keys"))
    subprocess.run([DEPLOY / "make-secrets.sh", tmp_path / "s"], capture_output=True, check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "s").iterdir()} == first


def test_prometheus_takes_the_rules_and_its_configuration(tmp_path: Path) -> None:
    promtool = needed(PROMTOOL)
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    del configuration["otlp"]  # newer than the promtool of Debian 12
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    shutil.copy(DEPLOY / "prometheus" / "alerts.yaml", tmp_path)
    checked = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yaml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert re.search(r"SUCCESS: \d+ rules found", checked.stdout)
    rules = ["test", "rules", str(DEPLOY / "prometheus" / "alerts_test.yaml")]
    tried = subprocess.run([promtool, *rules], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
