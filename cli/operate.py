"""The commands that run things: `up` (the embedded stack) and `demo` (the main job on it, with a crash in the middle)."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bootstrap import Settings, SettingsError, load_settings
from cli.embedded.board import Board
from cli.embedded.ports import PortTakenError
from cli.embedded.server import TemporalMissingError
from cli.embedded.stack import AlreadyRunningError, Stack, Wishes, WrongWishError
from cli.embedded.state import StackState, read_state

WRONG = (TemporalMissingError, PortTakenError, WrongWishError, OSError)


def up() -> int: ...
