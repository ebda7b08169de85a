"""`chaos`: runs workflows on real processes while faults strike, and counts what should not be."""

import asyncio
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from outlast.testing.chaos.contracts import EVERY_FAULT, KINDS, Case, Fault, Scenario, Strike
from outlast.testing.chaos.counting import count
from outlast.testing.chaos.faults import Striking
from outlast.testing.chaos.report import Report
from outlast.testing.chaos.runs import Run, Runs
from outlast.testing.chaos.stack import Setup, Stack, running

OUTER = ("TEMPORAL_", "ANTHROPIC_")
"""Beginnings of variables that must not lead from here to a real server, or to a model that costs money."""


@dataclass(frozen=True)
class Plan:
    """How much chaos there is.

    Args:
        faults: Which faults may strike.
        per_case: How many of them strike in one case.
        width: How many runs go on at the same time.
        gap: Seconds from one fault to the next, at least and at most.
        overlap: How often the next fault strikes while one is in force, from 0 to 1.
        patience: Seconds after the last fault after which a run that has not ended counts as wedged.
    """

    faults: Sequence[Fault] = EVERY_FAULT
    per_case: int = 10
    width: int = 6
    gap: tuple[float, float] = (0.3, 1.5)
    overlap: float = 0.5
    patience: float = 180.0


async def chaos(
    scenarios: Sequence[Scenario],
    setup: Setup,
    *,
    plan: Plan | None = None,
    seeds: Sequence[int] = (),
    cases: int = 1,
    stacks: int = 1,
    effects: Callable[[], Mapping[str, int]] = dict,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run workflows on a real server and two real workers while faults strike; the same seed strikes in the same way.

    Args:
        scenarios: What is run; each at least once in a case, as far as its time goes.
        setup: The worker, its settings, and what the model answers.
        plan: How much chaos there is.
        seeds: One case for each. Default: as many as `cases` says, drawn anew.
        cases: How many cases there are where no seeds are given.
        stacks: How many stacks work on the cases at the same time.
        effects: Called at the end; returns how often each effect was applied, which should be once.
        environment: Variables of all processes. Default: those of this one, without those of Temporal and Anthropic.
        directory: Where everything is written. Default: a temporary one.
        tell: Called with a line about each case.

    Returns:
        What became of all runs; `report.wrong` holds what should not be, and is empty where all is well.

    Example:
        ```python
        triage = Scenario("triage", workflow="Triage", request={"text": "Checkout fails for {run}"}, approvers=("ada",))
        report = await chaos([triage], Setup(worker=["triage.py"]), seeds=[7])
        assert not report.wrong, report.table()
        ```
    """
    waiting = list(seeds or (secrets.randbelow(10**6) for _ in range(cases)))
    ended: list[Case] = []
    outer = {name: value for name, value in os.environ.items() if not name.startswith(OUTER)}

    async def work(root: Path) -> None:
        async with running(setup, root, environment if environment is not None else outer) as stack:
            while waiting:
                seed = waiting.pop(0)
                case = await _case(stack, scenarios, plan or Plan(), seed)
                ended.append(case)
                tell(told(case))

    with TemporaryDirectory() as temporary:
        root = directory or Path(temporary)
        folders = [root / f"stack-{number}" for number in range(min(stacks, len(waiting)))]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            for folder in folders:
                group.create_task(work(folder))
        if ended:
            ended[-1].effects_twice += [f"{what}: {times} times" for what, times in effects().items() if times > 1]
    return Report(sorted(ended, key=lambda case: case.seed))


def told(case: Case) -> str:
    """Say in a line what became of a case."""
    wrong = "; ".join(f"{name}: {' | '.join(found)}" for name, found in case.wrong().items())
    struck = ", ".join(strike.fault for strike in case.strikes)
    counts = f"{case.runs.total()} runs, {case.calls} calls, {len(case.strikes)} faults"
    return f"seed {case.seed}: {counts} ({struck}): {wrong or 'well'}"


@dataclass
class _Deck:
    """Scenarios or faults in an order of chance, each once before any comes again."""

    rng: random.Random
    cards: Sequence[Any]
    _left: list[Any] = field(default_factory=list)

    def draw(self) -> Any:
        if not self._left:
            self._left = self.rng.sample(list(self.cards), len(self.cards))
        return self._left.pop()


async def _case(stack: Stack, scenarios: Sequence[Scenario], plan: Plan, seed: int) -> Case:
    """Run one case on a stack that is well, and leave it well."""
    rng = random.Random(seed)  # noqa: S311 - chosen by the seed, on purpose
    case, before = Case(seed), len(stack.api.hits)
    runs = Runs(stack, random.Random(rng.random()), rng.randrange(10**6))  # noqa: S311
    deck = _Deck(random.Random(rng.random()), scenarios)  # noqa: S311
    done = asyncio.Event()
    keeping = asyncio.create_task(_keep_going(runs, deck, plan.width, len(scenarios), done))
    case.strikes = await _strike_all(stack, runs, plan, rng)
    done.set()
    await keeping
    await _wait(runs, plan.patience)
    for run in runs.all:
        case.runs[run.scenario.name] += 1
        if run.ended is None:
            case.wedged.append(await runs.stands(run))
        _judge(case, run)
    await asyncio.gather(*(run.task for run in runs.all if run.task and run.ended is not None))
    hits = stack.api.hits[before:]
    counted = await count(stack, hits, [run.id for run in runs.all if run.ended is not None])
    case.finished_repeated, case.live_repeated, case.excused = counted.finished, counted.live, counted.excused
    case.calls = len(hits)
    case.orphans = [each for watch in stack.watching for each in await watch]
    case.wrong_exits += stack.exits
    processes = [*stack.workers, *(run.starter for run in runs.all if run.starter)]
    case.tracebacks = [each for process in processes for each in process.complaints()]
    stack.watching, stack.exits = [], []
    _measure(case.strikes, hits, runs.all)
    _keep(stack, case, hits)
    return case


def _keep(stack: Stack, case: Case, hits: Sequence[dict[str, Any]]) -> None:
    """Write down what happened, for whoever wants to know why."""
    happened = {**vars(case), "strikes": [vars(each) for each in case.strikes]}
    happened |= {"hits": hits, "ends": stack.ends, "cut": stack.cut, "full": stack.full}
    (stack.directory / f"case-{case.seed}.json").write_text(json.dumps(happened, indent=1))


async def _keep_going(runs: Runs, deck: _Deck, width: int, least: int, done: asyncio.Event) -> None:
    """Start a run whenever one has ended, until the faults are over and each scenario has been started."""
    while not done.is_set() or len(runs.all) < least:
        if len(runs.open) < width:
            runs.start(deck.draw())
        else:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0)


async def _strike_all(stack: Stack, runs: Runs, plan: Plan, rng: random.Random) -> list[Strike]:
    striking = Striking(stack, runs, rng)
    deck = _Deck(random.Random(rng.random()), plan.faults)  # noqa: S311
    await _answered(stack)
    busy: dict[str, asyncio.Task[Strike | None]] = {}
    tasks: list[asyncio.Task[Strike | None]] = []
    for _ in range(plan.per_case):
        fault, pause, overlaps = deck.draw(), rng.uniform(*plan.gap), rng.random() < plan.overlap
        kind, one = KINDS[fault], rng.randrange(2)
        seconds = rng.uniform(*kind.seconds)
        if not overlaps:
            await _settled(tasks)
        if (same := busy.get(kind.target)) is not None:
            await asyncio.wait([same])
        await asyncio.sleep(pause)
        busy[kind.target] = task = asyncio.create_task(striking.strike(fault, seconds, one))
        tasks.append(task)
    await _settled(tasks)
    return [strike for task in tasks if (strike := task.result()) is not None]


async def _answered(stack: Stack, within: float = 60.0) -> None:
    """Wait for the first answer of all: an address that never gave one is a wrong address, not one that is away."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if any(hit["outcome"] == "answered" for hit in stack.api.hits):
            return
        await asyncio.sleep(0.1)


async def _settled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


async def _wait(runs: Runs, patience: float) -> None:
    deadline = time.monotonic() + patience
    while runs.open and time.monotonic() < deadline:
        for worker in runs.stack.workers:
            if not worker.running and not worker.stopped:
                runs.stack.exits.append(f"{worker.name} ended by itself with {worker.code}: {worker.said()[-300:]}")
                runs.stack.start_worker(worker)
        await asyncio.sleep(0.1)


def _judge(case: Case, run: Run) -> None:
    if run.ended is None and run.task:
        run.task.cancel()
    if run.wrong:
        case.lost.append(run.wrong)
    if run.exit:
        case.wrong_exits.append(run.exit)


def _measure(strikes: Sequence[Strike], hits: Sequence[dict[str, Any]], runs: Sequence[Run]) -> None:
    """Find how long after the end of each fault the next call was answered or the next run ended."""
    moments = [hit["ended"] for hit in hits if hit["outcome"] == "answered" and hit["ended"]]
    moments = sorted(moments + [run.ended for run in runs if run.ended is not None])
    for strike in strikes:
        with suppress(StopIteration):
            strike.progress = next(moment for moment in moments if moment >= strike.ended) - strike.ended
