"""Keeps the parts running: starts them in order, checks their health, restarts what crashes, ends all in order.

A part that never got healthy is not started again, because wrong settings stay wrong; a part that
was healthy is, until it crashes too often.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from outlast.devstack.board import Board
from outlast.devstack.health import answers
from outlast.devstack.parts import Part
from outlast.devstack.process import Process
from outlast.devstack.state import Child

BACKOFF = (0.5, 1.0, 2.0)
"""Seconds before the first, the second and every further restart."""

CRASHES, WITHIN = 5, 60.0
"""So many crashes of a part within so many seconds end the stack."""

CHECK_EVERY, UNWELL_AFTER = 5.0, 3
"""Seconds between health checks, and how many must fail in a row to be reported."""


class Supervisor:
    """Runs parts until asked to stop or until one cannot be kept running; then `failed` is set."""

    def __init__(self, parts: Sequence[Part], board: Board, changed: Callable[[Mapping[str, Child]], None]) -> None:
        self.failed = False
        self._parts = parts
        self._board = board
        self._changed = changed
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._processes: dict[str, Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._end = asyncio.Event()
        self._hurry = False

    async def start(self) -> bool:
        """Start all parts; returns whether all got healthy before one failed or a stop was asked for."""
        self._board.open([part.name for part in self._parts])
        self._tasks = [asyncio.create_task(self._guard(part)) for part in self._parts]
        healthy = asyncio.create_task(self._all_healthy())
        end = asyncio.create_task(self._end.wait())
        await asyncio.wait([healthy, end], return_when=asyncio.FIRST_COMPLETED)
        healthy.cancel()
        end.cancel()
        self._board.close()
        return not self._end.is_set()

    async def _all_healthy(self) -> bool:
        for event in self._ready.values():
            await event.wait()
        return True

    async def wait(self) -> None:
        """Wait until a stop is asked for or a part cannot be kept running."""
        await self._end.wait()

    def ask_to_stop(self) -> None:
        """Ask for the end; asked a second time, everything is killed."""
        self._hurry = self._end.is_set()
        self._end.set()

    async def stop(self) -> None:
        """End all parts, the last one first, so that the worker can hand in what it has."""
        self._end.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in reversed(self._parts):
            process = self._processes.get(part.name)
            if process is None or not process.running:
                continue
            began = time.monotonic()
            if not self._hurry:
                self._board.say(f"{part.name}: ends (up to {part.grace:.0f} s; Ctrl-C again kills)")
            await process.end(lambda: self._hurry)
            self._board.say(f"{part.name}: ended after {time.monotonic() - began:.1f} s")
        self._changed({})

    async def _guard(self, part: Part) -> None:
        """Keep one part running; an error of ours ends the stack instead of leaving it without a keeper."""
        try:
            await self._keep(part)
        except Exception as error:
            self._give_up(part, f"cannot be kept running ({type(error).__name__}: {error})", [])

    async def _keep(self, part: Part) -> None:
        crashes: deque[float] = deque(maxlen=CRASHES)
        was_healthy = False
        while True:
            for need in part.needs:
                await self._ready[need].wait()
            process = self._spawn(part)
            problem = await self._until_healthy(process)
            if problem is None:
                was_healthy = True
                await self._until_ended(process)
                problem = process.how_it_ended()
            crashes.append(time.monotonic())
            recent = [crash for crash in crashes if crash > crashes[-1] - WITHIN]
            if not was_healthy or len(recent) == CRASHES:
                self._give_up(part, problem, process.last_lines(), again=was_healthy)
                return
            delay = BACKOFF[min(len(recent), len(BACKOFF)) - 1]
            self._board.ended(part.name, problem, process.last_lines(), f"It is started again in {delay:g} s.")
            await asyncio.sleep(delay)

    def _spawn(self, part: Part) -> Process:
        self._board.starting(part.name)
        process = self._processes[part.name] = Process(part)
        self._changed({name: running.child for name, running in self._processes.items() if running.running})
        return process

    async def _until_healthy(self, process: Process) -> str | None:
        """Wait until all checks answer; returns what went wrong instead."""
        part = process.part
        while process.running:
            healthy = not await _failing(part)
            seconds = time.monotonic() - process.began
            if healthy and (process.wrote(part.bound) or seconds >= part.settles_after):
                self._ready[part.name].set()
                self._board.ready(part.name, seconds)
                return None
            if seconds > part.ready_within:
                await process.end(lambda: False)
                return f"not healthy within {part.ready_within:.0f} s"
            await asyncio.sleep(0.05)
        await process.ended()
        return process.how_it_ended()

    async def _until_ended(self, process: Process) -> None:
        """Wait for the end of a healthy part, and report when it stops answering and when it answers again."""
        part = process.part
        watch = asyncio.create_task(self._watch(part))
        try:
            await process.ended()
        finally:
            self._ready[part.name].clear()
            watch.cancel()

    async def _watch(self, part: Part) -> None:
        failures = 0
        while True:
            await asyncio.sleep(CHECK_EVERY)
            failing = await _failing(part)
            if not failing and failures >= UNWELL_AFTER:
                self._board.say(f"{part.name}: answers its health check again", "green")
            failures = failures + 1 if failing else 0
            if failures == UNWELL_AFTER:
                checks = ", ".join(f"{check} at {part.checks[check]}" for check in failing)
                self._board.say(f"✗ {part.name}: runs, but does not answer its health check ({checks})", "bold red")

    def _give_up(self, part: Part, problem: str, lines: Sequence[str], *, again: bool = False) -> None:
        why = (
            f"It crashed {CRASHES} times within {WITHIN:.0f} s, so everything ends." if again else "So everything ends."
        )
        self._board.ended(part.name, problem, lines, f"{why} Its whole log: {part.log}")
        if part.hint:
            self._board.say(f"  {part.hint}", "yellow")
        self.failed = True
        self._end.set()


async def _failing(part: Part) -> list[str]:
    """Return the names of the checks that do not answer."""
    answered = await asyncio.gather(*map(answers, part.checks.values()))
    return [name for name, answer in zip(part.checks, answered, strict=True) if not answer]
