"""What `up` and `demo` do: run the embedded stack until Ctrl-C, or for as long as something is shown on it."""

import asyncio
import shlex
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from outlast.cli.leaving import DONE, FAILED, INTERRUPTED, UNSERVED, WRONG, LeavingError
from outlast.cli.rendering import console
from outlast.client import Settings, load_settings, running_stack
from outlast.devstack.board import Board
from outlast.devstack.ports import PortTakenError
from outlast.devstack.server import TemporalMissingError
from outlast.devstack.stack import AlreadyRunningError, Stack, StackOptions, WrongOptionError
from outlast.devstack.state import StackState, read_state
from outlast.devstack.welcome import show_export, show_ready, show_running

STARTS_WITHIN = 60.0
"""Seconds that the demo waits for a stack that another process is just starting."""


def worker_command(given: str) -> tuple[str, ...]:
    """Read the command that runs a worker; raises LeavingError that says what is wrong with it."""
    example = "as in --worker 'python worker.py'"
    try:
        program, *arguments = shlex.split(given)
    except ValueError as error:
        raise LeavingError(WRONG, f"--worker {given!r}: write the command that runs your worker, {example}") from error
    if program in ("python", "python3"):
        program = sys.executable
    if shutil.which(program) is None:
        raise LeavingError(WRONG, f"--worker {given}: there is no program {program!r}; write a command, {example}")
    script = arguments[0] if arguments else ""
    if script.endswith(".py") and not Path(script).is_file():
        raise LeavingError(
            WRONG, f"--worker {given}: no file {script} in {Path.cwd()}; go to its folder, or name its path"
        )
    return (program, *arguments)


def run_up(options: StackOptions) -> int:
    """Run the stack until a signal stops it; returns the exit code. Raises LeavingError, SettingsError."""
    return _run(lambda settings, board: _up(settings, board, options))


def run_shown(options: StackOptions, show: Callable[[Settings, StackState, Board], Awaitable[int]]) -> int:
    """Run a coroutine on the running stack, or on one of its own; returns its exit code. Raises LeavingError, SettingsError."""
    return _run(lambda settings, board: _shown(settings, board, options, show))


def _run(command: Callable[[Settings, Board], Awaitable[int]]) -> int:
    async def run() -> int:
        return await command(load_settings(), Board(console()))

    try:
        return asyncio.run(run())
    except TemporalMissingError as error:
        raise LeavingError(UNSERVED, str(error)) from error
    except (PortTakenError, WrongOptionError, OSError) as error:
        raise LeavingError(WRONG, str(error)) from error


async def _up(settings: Settings, board: Board, options: StackOptions) -> int:
    began = time.monotonic()
    try:
        stack = Stack(settings, options, board)
    except AlreadyRunningError:
        show_running(board, settings, read_state(settings.state_dir))
        return DONE
    ready = False
    try:
        ready = await stack.start()
        if ready:
            show_ready(board, settings, stack.state, time.monotonic() - began)
            await stack.supervisor.wait()
    finally:
        await stack.stop()
    return FAILED if stack.supervisor.failed else DONE if ready else INTERRUPTED


async def _shown(
    settings: Settings,
    board: Board,
    options: StackOptions,
    shown: Callable[[Settings, StackState, Board], Awaitable[int]],
) -> int:
    try:
        stack = Stack(settings, options, board)
    except AlreadyRunningError:
        state = await _running(settings)
        board.say(f"Uses the stack that runs here, process {state.pid}.")
        return await shown(settings, state, board)
    show: asyncio.Future[int] | None = None
    try:
        if not await stack.start():
            return FAILED if stack.supervisor.failed else INTERRUPTED
        show_export(board, stack.state)
        show = asyncio.ensure_future(shown(settings, stack.state, board))
        end = asyncio.create_task(stack.supervisor.wait())
        await asyncio.wait([show, end], return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if not show.done():
            board.say("The demo is cut short; its run waits in the history and goes on at the next 'up'.", "yellow")
        return show.result() if show.done() else FAILED if stack.supervisor.failed else INTERRUPTED
    finally:
        if show is not None:
            show.cancel()
        await stack.stop()
        board.say(f"The history is kept in {settings.state_dir}; 'make up' serves it again.", "bold")


async def _running(settings: Settings) -> StackState:
    """Wait for the stack of another process to be ready; raises LeavingError if it does not get there."""
    deadline = time.monotonic() + STARTS_WITHIN
    while running_stack(settings) is not None and time.monotonic() < deadline:
        state = read_state(settings.state_dir)
        if state is not None and state.ready:
            return state
        await asyncio.sleep(0.2)
    raise LeavingError(UNSERVED, f"the stack in {settings.state_dir} did not get ready; look at where it was started")
