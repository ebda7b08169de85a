"""The keys of what people send: by them it is known what is sent again, and what has the key of something else by mistake."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from outlast.workflow.journal import digest

KEYS_KEPT = 1000
"""Keys of messages that are remembered."""


class Keys:
    """The keys of the messages and answers of one run, as numbers of messages; that of an answer is 0.

    `texts` are what was said with them, as digests; a key that came before these were kept has none, and any text goes with it.
    """

    def __init__(self, numbers: Mapping[str, int] | None = None, texts: Mapping[str, str] | None = None) -> None:
        self._numbers = dict(numbers or {})
        self._texts = dict(texts or {})

    @property
    def carried(self) -> dict[str, Any]:
        """Return them for the next part of the session, as fields of `ConversationCarried`."""
        return {"keys": self._numbers, "texts": self._texts}

    @property
    def of_answers(self) -> tuple[str, ...]:
        """The keys of answers, as digests, oldest first."""
        return tuple(key for key, number in self._numbers.items() if not number)

    def number(self, key: str) -> int | None:
        """Return the number of the message that had this key; None where it is new, or empty."""
        return self._numbers.get(digest(key)) if key else None

    def conflict(self, key: str, text: str, ref: str = "") -> str:
        """Return why a message cannot have this key, which another one had; "" where it can."""
        before = self._texts.get(digest(key)) if key else None
        if before is None or before == _digest(text, ref):
            return ""
        number = self.number(key)
        whose = f"message {number}" if number else "the answer to a question"
        return f"key: {key[:60]!r} is that of {whose}, which said something else; send another key, or the same text"

    def remember(self, key: str, number: int, text: str, ref: str = "") -> None:
        """Take note of the key of a message, if it has one; the oldest is forgotten where there are too many."""
        if not key:
            return
        named = digest(key)
        self._numbers[named], self._texts[named] = number, _digest(text, ref)
        while len(self._numbers) > KEYS_KEPT:
            oldest = next(iter(self._numbers))
            del self._numbers[oldest]
            self._texts.pop(oldest, None)


def _digest(text: str, ref: str) -> str:
    """Name a text; one that the sender has put into the content store has the same name, as its key there is its sha-256."""
    inline = urlsafe_b64encode(hashlib.sha256(text.encode(errors="replace")).digest()).rstrip(b"=").decode()
    return digest(ref or inline)
