"""What a tool does to the world: the one word that decides whether it is undone, or asked about first."""

from enum import StrEnum


class Effect(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    WRITE = "write"
    """Changes something, and names a tool that undoes it."""
    IRREVERSIBLE = "irreversible"
