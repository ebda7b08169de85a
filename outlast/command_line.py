"""The command line that messages name: `outlast`, or that of the application whose program runs."""

from dataclasses import dataclass
from pathlib import Path

from outlast.display import quoted


@dataclass(frozen=True)
class CommandLine:
    """How people here type commands."""

    program: str = "outlast"
    """What commands begin with."""
    worker: str = ""
    """The command that starts its worker, "" where there is none that it knows of."""
    workflows: tuple[str, ...] = ()
    """Modules whose workflows `replay` tries."""
    examples: tuple[tuple[str, str], ...] = (
        ("list", "the runs there are"),
        ("inbox --serve", "what waits for people, as web pages"),
    )
    """What to try once everything runs: the command's arguments, and what it shows."""

    @property
    def name(self) -> str:
        """The word before its error messages: `starter` for `python starter.py`."""
        return Path(self.program.split()[-1]).stem


_current = CommandLine()


def use_command_line(command_line: CommandLine) -> None:
    """Let all messages of this process name another command line than `outlast`.

    Example:
        ```python
        use_command_line(CommandLine("python starter.py", worker="python worker.py"))
        ```
    """
    global _current  # noqa: PLW0603 - a process has one command line, and says so once at its start
    _current = command_line


def command_line() -> CommandLine:
    """Return the command line of this process."""
    return _current


def command(name: str, *arguments: str) -> str:
    """Return a command to be copied, quoted for the shell; `--` goes before names that would pass for options."""
    dashed = "-- " if any(each.startswith("-") for each in arguments) else ""
    return f"{_current.program} {name} {dashed}{' '.join(map(quoted, arguments))}".rstrip()


def start_a_server() -> str:
    """Return the advice how to start a server."""
    return f"Start one with '{command('up')}', or set TEMPORAL_ADDRESS."


def start_a_worker(own: str = "", *, options: str = "") -> str:
    """Return the advice how to start a worker; `own` is the command of one that serves nothing else, `options` one's own."""
    if own:
        return f"Start one with '{own}'."
    worker = _current.worker or ("python worker.py" if Path("worker.py").is_file() else "")
    if worker and options:
        return f"Start one with '{worker} {options}'."
    if worker:
        return f"Start one with '{worker}' or '{command('up')}'."
    if options:
        return f"Start yours with {options}."
    return f"Start yours, or let '{command('up')}' start it: {_current.program} up --worker 'python your_worker.py'."
