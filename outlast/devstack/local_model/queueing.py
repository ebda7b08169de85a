"""Who may work and who waits: the model has few slots, and a queue without a limit helps no one.

A place is taken before the answer begins, so it must be given back even if the answer never does.
"""

import asyncio
from dataclasses import dataclass, field

from outlast.devstack.local_model.errors import ApiError


@dataclass
class Gate:
    """Lets `places` requests work at a time and `queue` more wait; refuses the rest."""

    places: int
    queue: int
    inside: int = 0
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.places)

    def enter(self) -> "Place":
        """Take a place in the queue at once; 529 if it is full. The place has to be left."""
        if self.inside >= self.places + self.queue:
            raise ApiError(529, "Overloaded: too many requests are waiting for the local model")
        self.inside += 1
        return Place(self)


class Place:
    """One request's place in the queue, and then at work."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._works = False
        self._left = False

    async def turn(self) -> None:
        """Wait until it is this request's turn to work."""
        await self._gate.free.acquire()
        self._works = True

    def leave(self) -> None:
        """Give the place back; again is harmless."""
        if self._left:
            return
        self._left = True
        self._gate.inside -= 1
        if self._works:
            self._gate.free.release()
