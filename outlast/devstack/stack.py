"""The whole stack of a folder: taken lock, chosen ports, written state, supervised parts.

The worker reads `up.json` for the model's address and believes it only under the lock, so both come first.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO

from outlast.client import Settings
from outlast.devstack.board import Board
from outlast.devstack.parts import Part, model_part, server_part, worker_part, worker_program
from outlast.devstack.ports import HOST, choose_ports, is_free
from outlast.devstack.process import rotate
from outlast.devstack.server import find_temporal
from outlast.devstack.state import Child, StackState, end_leftovers, read_state, take_lock, write_state
from outlast.devstack.supervisor import Supervisor

PORTS = ("server", "ui", "model", "worker health", "metrics")
ATTEMPTS = 3
"""How often a start is tried anew because another process took a port first."""


class AlreadyRunningError(Exception):
    """Another stack runs in this folder."""


class WrongOptionError(Exception):
    """The options do not go together; the message says how to change them."""


@dataclass(frozen=True)
class StackOptions:
    """What a person asked for: ports (None: as set, else the usual, else free ones; 0: free ones) and which parts to run."""

    port: int | None = None
    ui_port: int | None = None
    worker: bool = True
    """Whether to run a worker."""
    worker_command: tuple[str, ...] = ()
    """The command that runs it; by default `worker.py`, where it is there."""
    model: bool = True


class Stack:
    """One run of the stack, from `open` to `stop`."""

    def __init__(self, settings: Settings, options: StackOptions, board: Board) -> None:
        """Take the lock, choose ports, write `up.json`; nothing is started yet.

        Raises TemporalMissingError, WrongOptionError, PortTakenError, AlreadyRunningError, OSError.
        """
        self._settings, self._options, self._board = settings, options, board
        self._binary = find_temporal()
        if options.worker and not options.worker_command and not worker_program().is_file():
            board.say(
                f"There is no {worker_program()}, so no worker runs. Write one that calls outlast.run_worker, "
                "or name the command that runs yours: --worker 'python your_worker.py'.",
                "yellow",
            )
            options = self._options = replace(options, worker=False)
        if settings.local and options.worker and not options.model:
            raise WrongOptionError(
                "the worker needs a model: set ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or ANTHROPIC_BASE_URL, or add --no-worker"
            )
        self._directory = settings.state_dir
        self._lock = _locked(take_lock(self._directory))
        last = read_state(self._directory)
        if ended := end_leftovers(last):
            board.say(f"ended what a killed stack left: {', '.join(ended)}", "yellow")
        self._asked = {
            "server": settings.up_port if options.port is None else options.port,
            "ui": settings.up_ui_port if options.ui_port is None else options.ui_port,
        }
        self._arrange(last.ports if last else {})

    def _arrange(self, last: Mapping[str, int]) -> None:
        """Choose ports, write `up.json` and describe the parts."""
        settings, options = self._settings, self._options
        with_model = settings.local and options.model
        ports = choose_ports(PORTS, self._asked, last)
        self.state = StackState(
            address=f"{HOST}:{ports['server']}",
            ui=f"http://{HOST}:{ports['ui']}",
            model_url=f"http://{HOST}:{ports['model']}" if with_model else None,
            pid=os.getpid(),
            worker=options.worker,
            task_queue=settings.task_queue,
            ports=ports,
        )
        write_state(self._directory, self.state)
        parts = [server_part(self._binary, self._directory, ports)]
        parts += [model_part(self._directory, ports)] if with_model else []
        parts += [worker_part(settings, ports, command=options.worker_command)] if options.worker else []
        self.parts: tuple[Part, ...] = tuple(parts)
        for part in parts:
            rotate(part.log)
        self.supervisor = Supervisor(parts, self._board, self._note_children)

    async def start(self) -> bool:
        """Start everything; Ctrl-C, SIGTERM and SIGHUP end it from here on. Returns whether all is healthy."""

        def stop() -> None:
            self.supervisor.ask_to_stop()  # the one of now: a start on other ports makes another

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        for _ in range(ATTEMPTS):
            if await self.supervisor.start():
                self._change(ready=True)
                return True
            if not self.supervisor.failed or not (lost := await self._lost_ports()):
                return False
            self._board.say(
                f"Another process took {' and '.join(lost)} meanwhile: starts again on other ports.", "yellow"
            )
            self._arrange(self.state.ports)
        return False

    async def _lost_ports(self) -> list[str]:
        """End what was started, and name the chosen ports that somebody else listens on: between choice and start is a moment."""
        await self.supervisor.stop()
        ours = {name: port for name, port in self.state.ports.items() if not self._asked.get(name)}
        return [f"port {port} ({name})" for name, port in ours.items() if not is_free(port)]

    async def stop(self) -> None:
        """End everything and give the lock back."""
        await self.supervisor.stop()
        self._change(ready=False)
        self._lock.close()

    def _note_children(self, children: Mapping[str, Child]) -> None:
        self._change(children=dict(children))

    def _change(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        write_state(self._directory, self.state)


def _locked(lock: IO[bytes] | None) -> IO[bytes]:
    if lock is None:
        raise AlreadyRunningError
    return lock
