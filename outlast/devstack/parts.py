"""The parts of the stack: command line, environment, health checks and log of each.

A person's own `TEMPORAL_*` variables or profile (a cluster, a key) must not reach the parts, or the worker of this folder would
work for that cluster. And only the worker needs secrets: the others get what a program needs to run.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from outlast.client import Settings
from outlast.devstack.ports import HOST
from outlast.devstack.server import server_command
from outlast.file_names import own_file
from outlast.processes.environment import bare_environment

NAMESPACE = "default"
PACKAGES = Path(__file__).resolve().parents[2]
"""Where this library is imported from: a checkout, or the installed packages."""
WORKER_GRACE = 10.0
"""Seconds the worker waits for running calls when the stack ends; what is cut off is done again at the next start."""


@dataclass(frozen=True)
class Part:
    """A process to keep running.

    `checks` maps what is checked to its URL, and all must answer. `grace` is how many seconds it may take to end, `ready_within`
    to get healthy. `needs` names parts that must be healthy before it starts, `hint` helps when it does not start.
    An answer counts once it has written `bound` into its log, or has run for `settles_after` seconds: before, another process may
    give it, whose port this one fails to bind.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    checks: Mapping[str, str]
    grace: float
    ready_within: float = 120.0
    needs: tuple[str, ...] = ()
    hint: str = ""
    bound: str = ""
    settles_after: float = 5.0


def local_environment(address: str) -> dict[str, str]:
    """Return this process's environment, pointed at the local server and at nothing else of Temporal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    direct = ",".join(filter(None, [kept.get("NO_PROXY", kept.get("no_proxy", "")), HOST, "localhost"]))
    return kept | {
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def server_part(binary: Path, state_dir: Path, ports: Mapping[str, int]) -> Part:
    """Describe the Temporal dev server; its namespace is asked for through the Web UI, so that the check covers gRPC too."""
    database = state_dir / "temporal.db"
    ui = f"http://{HOST}:{ports['ui']}"
    hint = (
        f"If these lines speak of the database, {database} is damaged or was made by another version of the server. "
        f"Move it away ('mv {state_dir} {state_dir}.old') and start again; it holds the history of all runs so far."
    )
    return Part(
        name="server",
        command=server_command(binary, database, ports["server"], ports["ui"]),
        environment=bare_environment(os.environ),
        log=state_dir / "logs" / "server.log",
        checks={"Web UI": f"{ui}/", "gRPC, namespace": f"{ui}/api/v1/namespaces/{NAMESPACE}"},
        grace=10.0,
        hint=hint if database.exists() else "",
        bound="Server:",  # written when it listens on all its ports
    )


def model_part(state_dir: Path, ports: Mapping[str, int]) -> Part:
    """Describe the local model."""
    url = f"http://{HOST}:{ports['model']}"
    return Part(
        name="model",
        command=(sys.executable, "-m", "outlast.devstack.local_model", "--port", str(ports["model"])),
        environment=_python(bare_environment(os.environ, "LOCAL_MODEL_", "OMP_", "PYTHON")),
        log=state_dir / "logs" / "model.log",
        checks={"HTTP": f"{url}/health"},
        grace=5.0,
    )


def worker_program() -> Path:
    """Return the program that the stack runs as its worker: `worker.py`, of the working folder or beside the program started."""
    return own_file("worker.py")


def worker_part(
    settings: Settings,
    ports: Mapping[str, int],
    *program: str,
    command: Sequence[str] = (),
    name: str = "worker",
    environment: Mapping[str, str] | None = None,
) -> Part:
    """Describe a worker: that of the application, the one that the arguments `program` make Python run, or that of a `command`.

    `environment` is by default this process's, pointed at the local server. The worker drains when it ends, and waits less than
    one on its own unless SHUTDOWN_GRACE is set.
    """
    wait = settings.shutdown_grace if "shutdown_grace" in settings.model_fields_set else WORKER_GRACE
    health = f"http://{HOST}:{ports['worker health']}"
    environment = local_environment(f"{HOST}:{ports['server']}") if environment is None else dict(environment)
    return Part(
        name=name,
        command=(
            *(command or (sys.executable, *(program or (str(worker_program()),)))),
            *("--health-port", str(ports["worker health"])),
            *(("--metrics-port", str(ports["metrics"])) if "metrics" in ports else ()),
        ),
        environment=_python(environment | {"SHUTDOWN_GRACE": str(wait)}),
        log=settings.state_dir / "logs" / f"{name}.log",
        checks={"HTTP": f"{health}/"},
        grace=wait + 5.0,
        needs=("server",),
    )


def _python(environment: dict[str, str]) -> dict[str, str]:
    # The parts import the library that this process has; installed packages are found anyway.
    source = "" if str(PACKAGES) in sysconfig.get_paths().values() else str(PACKAGES)
    path = os.pathsep.join(filter(None, [source, environment.get("PYTHONPATH", "")]))
    # Unbuffered, so that the last lines before a crash are in the log.
    return environment | {"PYTHONUNBUFFERED": "1"} | ({"PYTHONPATH": path} if path else {})
