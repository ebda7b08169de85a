"""How each fault strikes, and how it is put right again."""

import asyncio
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from outlast.testing.chaos.contracts import Fault, Strike
from outlast.testing.chaos.runs import Runs
from outlast.testing.chaos.stack import Stack, Worker
from outlast.testing.messages_api.rules import Script

HOUR = 3600.0
KILLS = (Fault.KILL, Fault.KILL_BOTH)
OUTAGES: dict[Fault, int | str] = {
    Fault.API_429: 429,
    Fault.API_529: 529,
    Fault.API_500: 500,
    Fault.API_CUT: "cut",
    Fault.API_ENDED: "ended",
    Fault.API_GARBAGE: "garbage",
    Fault.API_WEB_PAGE: "web page",
    Fault.API_WRONG_TYPE: "wrong type",
    Fault.API_JSON: "json",
    Fault.API_HANG: "hang",
    Fault.API_CRAWL: "crawl",
}


class Striking:
    """Strikes one stack."""

    def __init__(self, stack: Stack, runs: Runs, rng: random.Random) -> None:
        self._stack = stack
        self._runs = runs
        self._rng = rng
        self._restored = 0.0

    async def strike(self, fault: Fault, seconds: float, one: int) -> Strike | None:
        """Let a fault strike for so many seconds, `one` of two workers where it strikes one; None where it could not."""
        strike = Strike(fault, time.time())
        if await self._strike(fault, seconds, self._stack.workers[one]) is False:
            return None
        strike.ended = self._restored if fault in KILLS else time.time()
        return strike

    async def _strike(self, fault: Fault, seconds: float, one: Worker) -> bool | None:
        both = self._stack.workers
        match fault:
            case Fault.KILL:
                await self._kill(seconds, one)
            case Fault.KILL_BOTH:
                await self._kill(seconds, *both)
            case Fault.STOP:
                await self._stand_still(seconds, one)
            case Fault.STOP_BOTH:
                await self._stand_still(seconds, *both)
            case Fault.SIGTERM:
                await self._replace(one)
            case Fault.DEPLOY:
                self._stack.builds += 1
                await asyncio.gather(*(self._replace(each) for each in both))
            case Fault.CLOCK_AHEAD | Fault.CLOCK_BEHIND:
                await self._replace(one, clock=HOUR if fault is Fault.CLOCK_AHEAD else -HOUR)
                await asyncio.sleep(seconds)
            case Fault.NO_CACHE:
                await self._without_cache(seconds, one)
            case _:
                return await self._strike_around(fault, seconds)
        return None

    async def _strike_around(self, fault: Fault, seconds: float) -> bool | None:
        """Strike what is around the workers."""
        match fault:
            case Fault.SERVER_KILLED:
                await self._stack.server.kill()
                await asyncio.sleep(seconds)
                await self._stack.start_server()
            case Fault.NETWORK_CUT | Fault.NETWORK_STALLED:
                await self._network(fault, seconds)
            case Fault.API_DOWN:
                await self._api_down(seconds)
            case Fault.STORE_GONE | Fault.STORE_READ_ONLY | Fault.STORE_FULL:
                return await self._store(fault, seconds)
            case Fault.STARTER_KILLED:
                return await self._kill_starter()
            case _:
                self._stack.api.change(Script(outage=OUTAGES[fault]))
                await asyncio.sleep(seconds)
                self._stack.api.change(Script(outage=0))
        return None

    async def _network(self, fault: Fault, seconds: float) -> None:
        proxy = self._stack.server_proxy
        if fault is Fault.NETWORK_CUT:
            await proxy.cut()
        else:
            proxy.stall()
        await asyncio.sleep(seconds)
        await proxy.restore()

    async def _kill(self, seconds: float, *workers: Worker) -> None:
        await asyncio.gather(*(self._stack.kill_worker(worker) for worker in workers))
        await asyncio.sleep(seconds)
        self._restored = time.time()
        for worker in workers:
            self._stack.start_worker(worker)
        await asyncio.gather(*(self._stack.ready(worker) for worker in workers))

    async def _stand_still(self, seconds: float, *workers: Worker) -> None:
        for worker in workers:
            worker.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for worker in workers:
            worker.send(signal.SIGCONT)

    async def _replace(self, worker: Worker, *options: str, clock: float = 0.0) -> None:
        await self._stack.stop_worker(worker)
        self._stack.start_worker(worker, *options, clock=clock)
        await self._stack.ready(worker)

    async def _without_cache(self, seconds: float, one: Worker) -> None:
        await self._replace(one, "--max-cached-workflows", "0")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._runs.query_all()
            await asyncio.sleep(0.3)

    async def _api_down(self, seconds: float) -> None:
        began = time.time()
        await self._stack.api_proxy.cut()
        await asyncio.sleep(seconds)
        await self._stack.api_proxy.restore()
        self._stack.cut.append((began, time.time()))

    async def _store(self, fault: Fault, seconds: float) -> bool | None:
        content = self._stack.content
        away = content.with_name("content.away")
        ways: dict[Fault, tuple[Callable[[], bool | None], Callable[[], object]]] = {
            Fault.STORE_GONE: (lambda: _renamed(content, away), lambda: _renamed_back(content, away)),
            Fault.STORE_READ_ONLY: (lambda: writable(content, False), lambda: writable(content, True)),
            Fault.STORE_FULL: (lambda: self._limit_files(0), lambda: self._limit_files(resource.RLIM_INFINITY)),
        }
        strike, restore = ways[fault]
        began = time.time()
        if strike() is False:
            return False
        try:
            await asyncio.sleep(seconds)
        finally:
            restore()
        if fault is Fault.STORE_FULL:
            self._stack.full.append((began, time.time()))
        return None

    def _limit_files(self, size: int) -> None:
        for worker in self._stack.workers:
            with suppress(ProcessLookupError):
                resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    async def _kill_starter(self) -> bool | None:
        found = [run for run in self._runs.open if run.starter is not None and run.starter.running]
        if not found:
            return False
        run = self._rng.choice(found)
        assert run.starter is not None
        run.killed = True
        run.starter.send(signal.SIGKILL)
        return None


def _renamed(content: Path, away: Path) -> bool | None:
    if not content.exists():  # nothing was kept yet
        return False
    content.rename(away)
    return None


def _renamed_back(content: Path, away: Path) -> None:
    # What was being written as the directory went has made it anew. Under a mount that returns it would be hidden.
    if content.exists():
        content.rename(content.with_name(f"content.hidden-{time.time():.3f}"))
    away.rename(content)


def writable(root: Path, to: bool) -> bool | None:
    """Make a tree read-only or writable again: by permissions, and for root, who is above them, by a mount.

    Returns False where nothing was changed, as in a container that may not mount.
    """
    if not root.exists():
        return False
    if os.geteuid() == 0:
        commands = [["umount", "-l", str(root)]]
        if not to:
            commands = [["mount", "--bind", str(root), str(root)], ["mount", "-o", "remount,ro,bind", str(root)]]
        done = [subprocess.run(each, capture_output=True, check=False).returncode for each in commands]  # noqa: S603
        return None if not any(done) else False
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o755 if to else 0o555)
    return None
