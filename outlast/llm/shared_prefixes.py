"""Lets one call write a shared beginning into the provider's cache before the others that have it are sent.

A cache entry can be read once the answer that wrote it has begun. Calls sent at the same time would all write it, each for
more than an uncached prompt costs. So the first goes ahead, and the others wait until it has begun, but not for long.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

PATIENCE = 15.0
"""Seconds that a call waits for the one that writes; a model reads a long prompt within a few."""

LIFETIME = 240.0
"""Seconds that an entry counts as written; the provider keeps it for five minutes after its last use."""

REMEMBERED = 1000


class SharedPrefixes:
    """The beginnings that the calls of this worker have in common, by name."""

    def __init__(self) -> None:
        self._written: dict[str, float] = {}
        self._writing: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[Callable[[], None]]:
        """Wait for this call's turn; it calls what it gets when its answer has begun. No name: nothing is shared."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while name and not self._is_written(name) and name in self._writing and loop.time() < deadline:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._writing[name].wait()
            except TimeoutError:
                break
        if not name or self._is_written(name) or name in self._writing:
            yield lambda: self._keep(name)
            return
        done = self._writing[name] = asyncio.Event()

        def begun() -> None:
            self._keep(name)
            done.set()

        try:
            yield begun
        finally:
            # Where it failed before its answer began, one of those that wait writes in its place.
            del self._writing[name]
            done.set()

    def _is_written(self, name: str) -> bool:
        return asyncio.get_running_loop().time() - self._written.get(name, float("-inf")) < LIFETIME

    def _keep(self, name: str) -> None:
        if name:
            self._written.pop(name, None)
            self._written[name] = asyncio.get_running_loop().time()
            while len(self._written) > REMEMBERED:
                del self._written[next(iter(self._written))]
