"""The whole stack of a folder: taken lock, chosen ports, written state, supervised parts.

The trap: the worker reads `up.json` for the model's address and believes it only under the lock, so both come first.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from bootstrap import Settings
from cli.embedded.board import Board
from cli.embedded.parts import Part, model_part, server_part, worker_part
from cli.embedded.ports import HOST, choose_ports
from cli.embedded.process import rotate
from cli.embedded.server import find_temporal
from cli.embedded.state import Child, StackState, end_leftovers, read_state, take_lock, write_state
from cli.embedded.supervisor import Supervisor

PORTS = ("server", "ui", "model", "worker health", "metrics")


class AlreadyRunningError(Exception):
    """Another stack runs in this folder."""


class WrongWishError(Exception):
    """The options do not go together; the message says how to change them."""


@dataclass(frozen=True)
class Wishes:
    """What a person asked for: ports (None: as last time, or free ones) and which parts to run."""

    port: int | None = None
    ui_port: int | None = None
    worker: bool = True
    model: bool = True


class Stack:
    """One run of the stack, from `open` to `stop`."""

    def __init__(self, settings: Settings, wishes: Wishes, board: Board) -> None:
        """Take the lock, choose ports, write `up.json`; nothing is started yet.

        Raises TemporalMissingError, WrongWishError, PortTakenError, AlreadyRunningError, OSError.
        """
        binary = find_temporal()
        with_model = settings.local and wishes.model
        if settings.local and wishes.worker and not wishes.model:
            raise WrongWishError(
                "the worker needs a model: set ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or ANTHROPIC_BASE_URL, or add --no-worker"
            )
        self._directory = settings.state_dir
        self._lock = _locked(take_lock(self._directory))
        last = read_state(self._directory)
        if ended := end_leftovers(last):
            board.say(f"ended what a killed stack left: {', '.join(ended)}", "yellow")
        wished = {"server": wishes.port, "ui": wishes.ui_port}
        ports = choose_ports(PORTS, wished, last.ports if last else {})
        self.state = StackState(
            address=f"{HOST}:{ports['server']}",
            ui=f"http://{HOST}:{ports['ui']}",
            model_url=f"http://{HOST}:{ports['model']}" if with_model else None,
            pid=os.getpid(),
            worker=wishes.worker,
            task_queue=settings.task_queue,
            ports=ports,
        )
        write_state(self._directory, self.state)
        parts = [server_part(binary, self._directory, ports)]
        parts += [model_part(self._directory, ports)] if with_model else []
        parts += [worker_part(settings, ports)] if wishes.worker else []
        self.parts: tuple[Part, ...] = tuple(parts)
        for part in parts:
            rotate(part.log)
        self.supervisor = Supervisor(parts, board, self._note_children)

    async def start(self) -> bool:
        """Start everything; Ctrl-C, SIGTERM and SIGHUP end it from here on. Returns whether all is healthy."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.supervisor.ask_to_stop)
        ready = await self.supervisor.start()
        if ready:
            self._change(ready=True)
        return ready

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
