"""What `up` and `demo` do with a stack: run it until Ctrl-C, or for as long as the demo takes.

The trap: whatever happens after a stack is made, it must be stopped, or its parts would outlive the command.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bootstrap import Settings, connect, load_settings, running_stack
from cli.embedded.board import Board
from cli.embedded.parts import local_environment
from cli.embedded.ports import PortTakenError
from cli.embedded.server import TemporalMissingError
from cli.embedded.stack import AlreadyRunningError, Stack, Wishes, WrongWishError
from cli.embedded.state import StackState, read_state
from cli.embedded.welcome import show_export, show_ready, show_running
from cli.leaving import DONE, FAILED, INTERRUPTED, UNSERVED, WRONG, LeavingError
from cli.pages import console

STARTS_WITHIN = 60.0
"""Seconds that the demo waits for a stack that another process is just starting."""


def run_up(wishes: Wishes) -> int:
    """Run the stack until it is told to stop; returns the exit code. Raises LeavingError, SettingsError."""
    return _run(lambda settings, board: _up(settings, board, wishes))


@dataclass(frozen=True)
class Showing:
    """What a demo shows: documents, with their worker killed or not, and the tour; with `showcase` the recorded tour alone."""

    kill: bool = True
    tour: bool = True
    showcase: bool = False


def run_demo(showing: Showing) -> int:
    """Show the demo on the running stack, or on one of its own; returns the exit code. Raises LeavingError, SettingsError."""
    return _run(lambda settings, board: _demo(settings, board, showing))


def _run(command: Callable[[Settings, Board], Awaitable[int]]) -> int:
    async def run() -> int:
        return await command(load_settings(), Board(console()))

    try:
        return asyncio.run(run())
    except TemporalMissingError as error:
        raise LeavingError(UNSERVED, str(error)) from error
    except (PortTakenError, WrongWishError, OSError) as error:
        raise LeavingError(WRONG, str(error)) from error


async def _up(settings: Settings, board: Board, wishes: Wishes) -> int:
    began = time.monotonic()
    try:
        stack = Stack(settings, wishes, board)
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


async def _demo(settings: Settings, board: Board, showing: Showing) -> int:
    try:
        # The showcase has a worker and answers of its own.
        stack = Stack(settings, Wishes(worker=not showing.showcase, model=not showing.showcase), board)
    except AlreadyRunningError:
        state = await _running(settings)
        board.say(f"Uses the stack that runs here, process {state.pid}.")
        return await _show(settings, board, state, showing)
    show: asyncio.Task[int] | None = None
    try:
        if not await stack.start():
            return FAILED if stack.supervisor.failed else INTERRUPTED
        show_export(board, stack.state)
        show = asyncio.create_task(_show(settings, board, stack.state, showing))
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


async def _show(settings: Settings, board: Board, state: StackState, showing: Showing) -> int:
    # The SDK and the workflows take a second to import; `up` needs neither.
    from cli.embedded.demo import Demo
    from cli.embedded.tour import Tour

    os.environ.update(local_environment(state.address))
    client = await connect(settings)
    recorded = showing.showcase or state.model_url is not None
    shown = showing.showcase or await Demo(settings, client, state, board).run(kill=showing.kill)
    toured = not showing.tour or await Tour(settings, client, state, board, recorded=recorded).run()
    return DONE if shown and toured else FAILED
