"""What a model call tells while it runs, to whoever watches."""

from activities.contracts.base import Contract

STREAM_TOPIC = "text"
"""The topic of a run's stream on which calls publish."""


class Streamed(Contract):
    """How far a running call is: `characters` of answer so far, and the end of its text, from character `start` on.

    Each attempt begins anew, so that a watcher can tell a text that goes on from one that was said twice. `call` is the
    activity's id, where pieces of several calls come in one stream.
    """

    characters: int = 0
    attempt: int = 1
    start: int = 0
    text: str = ""
    call: str = ""
