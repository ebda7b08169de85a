"""The texts around the stack: where everything is, what the model can do, what to try next.

A person's `TEMPORAL_ADDRESS` sends the other commands elsewhere, so it is named where it would surprise.
"""

import os
from collections.abc import Iterable

from outlast.client import Settings
from outlast.command_line import command_line, start_a_worker
from outlast.devstack.board import Board
from outlast.devstack.local_model import BANNER
from outlast.devstack.parts import NAMESPACE
from outlast.devstack.ports import HOST, USUAL
from outlast.devstack.state import StackState


def show_ready(board: Board, settings: Settings, state: StackState, seconds: float) -> None:
    """Show all addresses and what to try next."""
    board.say(
        f"\nEverything is ready after {seconds:.1f} s. Ctrl-C ends it all; what runs goes on at the next 'up'.",
        "bold green",
    )
    _show_rows(board, _addresses(settings, state))
    if state.model_url:
        board.say(f"\n{_banner()}", "yellow")
    address = os.environ.get("TEMPORAL_ADDRESS")
    if address and address != state.address:
        board.say(
            f"\nTEMPORAL_ADDRESS={address} is set: the other commands go there. Unset it to use this stack.", "yellow"
        )
    board.say("\nTry next, in another terminal:", "bold")
    show_export(board, state)
    _show_rows(board, [(f"{command_line().program} {typed}", shows) for typed, shows in command_line().examples])


def show_running(board: Board, settings: Settings, state: StackState | None) -> None:
    """Print that a stack runs in this folder already, and where."""
    if state is None:
        board.say(f"A stack is just starting in {settings.state_dir.resolve()}.", "bold")
        return
    how = "runs" if state.ready else "is just starting"
    board.say(f"A stack {how} here already, as process {state.pid}; there is nothing to do.", "bold green")
    _show_rows(board, _addresses(settings, state))
    show_export(board, state)
    board.say(f"To end it, press Ctrl-C in its terminal, or 'kill {state.pid}'.")


def _banner() -> str:
    weights = os.environ.get("LOCAL_MODEL_GGUF")
    return f"Local model: {weights}, chosen with LOCAL_MODEL_GGUF." if weights else BANNER


def _addresses(settings: Settings, state: StackState) -> Iterable[tuple[str, str]]:
    yield "Web UI", f"{state.ui}/namespaces/{NAMESPACE}/workflows"
    yield "Temporal", f"{state.address}, namespace {NAMESPACE}"
    if state.model_url:
        yield "Model", f"{state.model_url} (local, Messages API)"
    else:
        yield "Model", "none" if settings.local else settings.model_source
    if state.worker:
        health, metrics = (f"http://{HOST}:{state.ports[name]}" for name in ("worker health", "metrics"))
        yield "Worker", f"task queue {state.task_queue}, health {health}, metrics {metrics}/metrics"
    else:
        yield "Worker", f"none. {start_a_worker()}"
    yield "State", f"{settings.state_dir.resolve()} (database, texts; logs in logs/)"


def show_export(board: Board, state: StackState) -> None:
    """Print the line that makes the `temporal` command line find this server, where it would look elsewhere."""
    if state.ports.get("server") != USUAL["server"]:
        board.say(f"  export TEMPORAL_ADDRESS={state.address}    # port {USUAL['server']} was not free or not wanted")


def _show_rows(board: Board, rows: Iterable[tuple[str, str]]) -> None:
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        board.say(f"  {name:<{width}}  {text}")
