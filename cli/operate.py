"""The commands that run things: `up` (the embedded stack) and `demo` (the main job on it, with a crash in the middle)."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console

from bootstrap import Settings, SettingsError, connect, load_settings, running_stack
from cli.embedded.board import Board
from cli.embedded.pages import show_ready, show_running
from cli.embedded.parts import local_environment
from cli.embedded.ports import PortTakenError
from cli.embedded.server import TemporalMissingError
from cli.embedded.stack import AlreadyRunningError, Stack, Wishes, WrongWishError
from cli.embedded.state import StackState, read_state

STARTS_WITHIN = 60.0
"""Seconds that the demo waits for a stack that another process is just starting."""


def register(app: typer.Typer) -> None:
    """Add `up` and `demo`."""
    app.command()(up)
    app.command()(demo)


def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="port of Temporal")] = None,
    ui_port: Annotated[int | None, typer.Option(min=1, max=65535, help="port of the Web UI")] = None,
    worker: Annotated[bool, typer.Option(help="run a worker")] = True,
    model: Annotated[bool, typer.Option(help="run the local model where nothing else is configured")] = True,
) -> None:
    """Start everything here: Temporal with its Web UI, the local model, a worker. Ctrl-C ends all; runs are kept.

    Ports are those of the last time, or free ones.
    """
    wishes = Wishes(port=port, ui_port=ui_port, worker=worker, model=model)
    raise typer.Exit(_run(lambda settings, board: _up(settings, board, wishes)))


def demo(
    kill: Annotated[bool, typer.Option(help="kill the worker in the middle, to show that the run goes on")] = True,
) -> None:
    """Analyse the sample documents and kill the worker in the middle. Starts what does not run, and ends it again."""
    raise typer.Exit(_run(lambda settings, board: _demo(settings, board, kill)))


def _run(command: Callable[[Settings, Board], Awaitable[int]]) -> int:
    """Run a command; what is wrong before anything was started is one line and a code of 2 (settings) or 1."""
    board = Board(Console())

    async def run() -> int:
        return await command(load_settings(), board)

    try:
        return asyncio.run(run())
    except SettingsError as error:
        board.say(f"✗ {error}", "bold red")
        return 2
    except (TemporalMissingError, PortTakenError, WrongWishError, OSError) as error:
        board.say(f"✗ {error}", "bold red")
        return 1
    except KeyboardInterrupt:
        return 130


async def _up(settings: Settings, board: Board, wishes: Wishes) -> int:
    began = time.monotonic()
    try:
        stack = Stack(settings, wishes, board)
    except AlreadyRunningError:
        show_running(board, settings, read_state(settings.state_dir))
        return 0
    try:
        if await stack.start():
            show_ready(board, settings, stack.state, time.monotonic() - began)
            await stack.supervisor.wait()
    finally:
        await stack.stop()
    return 1 if stack.supervisor.failed else 0


async def _demo(settings: Settings, board: Board, kill: bool) -> int:
    try:
        stack = Stack(settings, Wishes(), board)
    except AlreadyRunningError:
        state = await _running(settings)
        board.say(f"Uses the stack that runs here, process {state.pid}.")
        return await _show(settings, board, state, kill)
    show: asyncio.Task[int] | None = None
    try:
        if not await stack.start():
            return 1
        show = asyncio.create_task(_show(settings, board, stack.state, kill))
        end = asyncio.create_task(stack.supervisor.wait())
        await asyncio.wait([show, end], return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        return show.result() if show.done() else 1
    finally:
        if show is not None:
            show.cancel()
        await stack.stop()
        board.say(f"The history is kept in {settings.state_dir}; 'make up' serves it again.")


async def _running(settings: Settings) -> StackState:
    """Wait for the stack of another process to be ready."""
    deadline = time.monotonic() + STARTS_WITHIN
    while running_stack(settings) is not None and time.monotonic() < deadline:
        state = read_state(settings.state_dir)
        if state is not None and state.ready:
            return state
        await asyncio.sleep(0.2)
    raise OSError(f"the stack of {settings.state_dir} did not get ready; look at where it was started")


async def _show(settings: Settings, board: Board, state: StackState, kill: bool) -> int:
    from cli.embedded.demo import Demo  # Temporal's SDK and the workflows take a second to import; `up` needs neither.

    os.environ.update(local_environment(state.address))
    client = await connect(settings)
    return 0 if await Demo(settings, client, state, board).run(kill=kill) else 1
