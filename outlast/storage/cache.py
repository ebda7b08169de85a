"""Texts that a worker has lately read or written, by reference. What is named by its digest never changes, so none is stale."""

from collections import OrderedDict

LARGEST_SHARE = 128
"""A text of more than one 128th of the cache is not kept: it would push out a hundred small ones, which are read more often."""

ENTRY_BYTES = 200
"""What an entry takes beside its text."""


class ContentCache:
    """Bytes by reference, of which those that were not used for longest go first.

    Args:
        capacity: Most bytes that it holds; 0 keeps nothing.
    """

    def __init__(self, capacity: int = 0) -> None:
        self._capacity = capacity
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are held, with what their entries take."""
        return self._size

    def get(self, ref: str) -> bytes | None:
        """Return the bytes of a reference, or None where they are not held."""
        data = self._held.get(ref)
        if data is not None:
            self._held.move_to_end(ref)
        return data

    def keep(self, ref: str, data: bytes) -> None:
        """Keep bytes whose digest was checked against their reference."""
        if ref in self._held or (len(data) + ENTRY_BYTES) * LARGEST_SHARE > self._capacity:
            return
        self._held[ref] = data
        self._size += len(data) + ENTRY_BYTES
        while self._size > self._capacity:
            _, oldest = self._held.popitem(last=False)
            self._size -= len(oldest) + ENTRY_BYTES
