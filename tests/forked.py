"""Our doors and the double of the Messages API, forked from a process that has imported everything: without the seconds of
computing that each would import for. A suite starts hundreds of them.

Everything else is as in `python starter.py`: the file runs as `__main__` in a process of its own, with its own environment,
streams, signals and exit code. An import that a command forgot is not missed here, and an interpreter that would crash
at its end is not seen to. So `running_starter`, the commands of the guides, `up`, `RealProcess` itself and whoever says
`interpreter=True` start an interpreter each.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.real_process import PROJECT, RealProcess

_one_at_a_time = threading.Lock()
"""Each start and look of `multiprocessing` looks at all its processes, and two looks at once take each other's answer."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.preloading"])


class Forked:
    """A forked process with the manners of `subprocess.Popen`, as far as tests need them.

    `script` is a file of the project; `stdin`, `stdout` and `stderr` are files, and the outputs are appended to.
    """

    def __init__(
        self,
        script: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: Path,
        stdout: Path,
        stderr: Path,
    ) -> None:
        streams = (str(stdin), str(stdout), str(stderr))
        self._process: ForkServerProcess = _context.Process(
            target=_run, args=(script, list(arguments), dict(env), streams), daemon=True
        )
        with _one_at_a_time:
            self._process.start()
        assert self._process.pid is not None
        self.args = [script, *arguments]
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        with _one_at_a_time:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@dataclass
class ForkedProcess(RealProcess):
    """One that may be crashed and started again; `command` is its file in the project, and its arguments."""

    def _begin(self) -> Forked:
        assert self.cwd == PROJECT
        return Forked(
            self.command[0],
            self.command[1:],
            env=self.env,
            stdin=Path(os.devnull),
            stdout=self.log,
            stderr=self.log,
        )


def _run(script: str, arguments: list[str], env: dict[str, str], streams: tuple[str, str, str]) -> None:
    """Become `python script arguments`; runs in the forked process and does not come back."""
    for number, (path, flags) in enumerate(
        zip(streams, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_APPEND] * 2), strict=True)
    ):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing has closed it
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(env)
    os.chdir(PROJECT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [script, *arguments]
    code = 1
    try:
        runpy.run_path(str(PROJECT / script), run_name="__main__")
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # as an interpreter would
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
