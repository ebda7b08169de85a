"""What a person types in a chat: a message, or a command that begins with a slash. Pure: a line in, what is meant out."""

from dataclasses import dataclass

HELP = (
    "  a line         a message; while the agent works it is queued, and read at its next turn",
    "  /interrupt [TEXT]  break off what the agent does, and say TEXT (Ctrl-C does it without one)",
    "  /approve [GATE] [REASON], /deny [GATE] [REASON]   decide what waits",
    "  /approve [GATE] --stop-asking [--same ARGUMENT] [--same-host ARGUMENT] [--at-most ARGUMENT=N] [REASON]",
    "                 … and approve further calls of the tool, within the bounds; /revoke [GATE] takes that back",
    "  /answer [QUESTION] TEXT   answer a question; where one is open, a line does it, too",
    "  /say TEXT      a message, though a question is open",
    "  /end           end the session; Ctrl-D leaves it going",
)


@dataclass(frozen=True)
class Meant:
    """What a line means: `word` is the command without its slash, "say" for a message, "" for a line of nothing."""

    word: str
    text: str = ""


def meant(line: str) -> Meant:
    """Read a line; two slashes begin a message that begins with one."""
    text = line.strip()
    if text.startswith("//"):
        return Meant("say", text[1:])
    if not text.startswith("/"):
        return Meant("line" if text else "", text)
    word, _, rest = text[1:].partition(" ")
    return Meant(word.lower(), rest.strip())


def first_of(text: str, known: tuple[str, ...]) -> tuple[str, str]:
    """Split the name of something known off a text; "" where it begins with none."""
    word, _, rest = text.partition(" ")
    return (word, rest.strip()) if word in known else ("", text)


def not_utf8(line: str) -> str:
    """Say where a line that was read with surrogates is not UTF-8; "" where all of it is."""
    try:
        line.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}"
    return ""
