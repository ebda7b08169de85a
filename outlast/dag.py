"""Runs a directed acyclic graph: a node starts the moment its own dependencies are done.

Where the width limit binds, the node with the longest remaining path goes first, because delaying it delays the end.
Deterministic: the order of starts depends on the graph and on the order of completions alone. Waves (all of one
depth, then all of the next) look alike but wait for the slowest of each wave.
"""

import asyncio
from bisect import insort
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from outlast.contracts import BranchCarried
from outlast.errors import ErrorKind, non_retryable
from outlast.workflow import journal
from outlast.workflow.branches import Nodes
from outlast.workflow.failures import ENDINGS, FAILURES, finished
from outlast.workflow.graphs import Graph, dependents_of, remaining_paths

T = TypeVar("T")


BREATH = 500
"""Nodes that a run takes over at a stretch when it has continued as new."""


class AfterFailure(StrEnum):
    """What happens to the rest of the graph when a node fails."""

    GO_ON = "go_on"
    """Only what depends on it is skipped."""
    DRAIN = "drain"
    """Nothing new starts, what runs finishes."""
    CANCEL = "cancel"
    """Nothing new starts, what runs is cancelled."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How one of several tasks ended: with a `value`, with an `error`, or skipped because another one failed (`skipped_by`).

    `cancelled` says that it was cancelled because it was not needed any more.
    """

    value: T | None = None
    error: BaseException | None = None
    skipped_by: str | None = None
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is done, with a value."""
        return self.error is None and self.skipped_by is None

    def result(self) -> T:
        """Return the value; raises the error of a task that failed, and NothingSucceeded for one that was skipped."""
        if self.error is not None:
            raise self.error
        if self.skipped_by is not None:
            raise non_retryable(ErrorKind.NOTHING_SUCCEEDED, f"skipped, because {self.skipped_by} failed")
        return cast(T, self.value)


async def run_graph(
    graph: Graph,
    execute: Callable[[str], Coroutine[Any, Any, T]],
    *,
    max_parallel: int,
    outcomes: dict[str, Outcome[T]] | None = None,
    after_failure: AfterFailure = AfterFailure.GO_ON,
    on_skip: Callable[[str, str], None] | None = None,
    enough: Callable[[Mapping[str, Outcome[T]]], bool] | None = None,
    until: Callable[[Mapping[str, Outcome[T]]], bool] | None = None,
    ends_branch: Callable[[BaseException], bool] | None = None,
    prepare: Callable[[str], Coroutine[Any, Any, None] | None] = lambda _: None,
    is_kept: Callable[[str], bool] = lambda _: False,
) -> dict[str, Outcome[T]]:
    """Execute every node once and return all outcomes; nodes that have one in `outcomes` are not run again.

    `outcomes` is filled as nodes end, so that `execute` can read the values of its node's dependencies there. Nodes that never
    started because of DRAIN or CANCEL are absent from the result. Cancelling this call cancels all running nodes.
    `on_skip(node, cause)` is called for each node that is skipped. Once `enough(outcomes)` holds, nothing new starts and what
    runs is cancelled; once `until(outcomes)` holds, nothing new starts and what runs finishes. Where `ends_branch(error)`
    holds, only what depends on the node is skipped, whatever `after_failure` says. `prepare(node)` may give what a node
    waits for before it runs, a person for instance: meanwhile it takes no place among `max_parallel`, and an error of it is the
    node's. In a run that has continued as new, a node that was done before and `is_kept` is not executed again to get its value:
    its outcome has none.

    Raises ValueError for a graph with a circle or an unknown dependency, and for a width below one. An error that is
    no failure (a bug, a halt) is no outcome either: it is raised at once.
    """
    if max_parallel < 1:
        raise ValueError(f"max_parallel is {max_parallel}; let at least one node run")
    running = _Running(graph, execute, max_parallel, {} if outcomes is None else outcomes, on_skip, prepare)
    try:
        if await running.catch_up(is_kept):
            return running.outcomes
        while True:
            if until is not None and until(running.outcomes):
                running.stopped = True
            running.start_ready(begun_only=running.stopped)
            if not running.tasks and not running.preparing:
                running.nodes.over = True
                return running.outcomes
            await workflow.wait(
                [*running.tasks.values(), *running.preparing.values()], return_when=asyncio.FIRST_COMPLETED
            )
            failed = running.collect(ends_branch)
            if failed and not running.stopped and after_failure is not AfterFailure.GO_ON:
                running.stopped = True
                if after_failure is AfterFailure.CANCEL:
                    # Once only: a second request would break off what a node does to leave cleanly.
                    running.cancel()
            elif enough is not None and not running.stopped and running.tasks and enough(running.outcomes):
                running.stopped = True
                running.cancel()
    except ENDINGS:
        running.cancel()
        await finished([*running.tasks.values(), *running.preparing.values()])
        raise


class _Running(Generic[T]):
    """The state of one graph run; all collections keep insertion order.

    Each node counts the dependencies it still waits for, so that a whole run looks at each dependency once.
    """

    def __init__(
        self,
        graph: Graph,
        execute: Callable[[str], Coroutine[Any, Any, T]],
        max_parallel: int,
        outcomes: dict[str, Outcome[T]],
        on_skip: Callable[[str, str], None] | None,
        prepare: Callable[[str], Coroutine[Any, Any, None] | None],
    ) -> None:
        self.outcomes = outcomes
        self.tasks: dict[str, asyncio.Task[T]] = {}
        self.preparing: dict[str, asyncio.Task[None]] = {}
        self.nodes = Nodes()
        self._branch = journal.graph(self.nodes)
        self._cancelled = False
        self._execute = execute
        self._max_parallel = max_parallel
        self._on_skip = on_skip
        self._prepare = prepare
        self._prepared: dict[str, None] = {}
        self._graph = graph
        paths = remaining_paths(graph)
        # Longest remaining path first, then as the nodes stand: the order in which all choices are made.
        order = sorted((node for node in graph if node not in outcomes), key=lambda node: -paths[node])
        self._rank = {node: position for position, node in enumerate(order)}
        self._dependents = dependents_of(graph)
        self._waits_for = {node: sum(name not in outcomes for name in dict.fromkeys(graph[node])) for node in order}
        self._ready = [node for node in order if self._waits_for[node] == 0]
        self._blocked = [node for node in order if self._blocker(node) is not None]

    @property
    def stopped(self) -> bool:
        """Whether nothing new starts."""
        return self.nodes.stopped

    @stopped.setter
    def stopped(self, stopped: bool) -> None:
        self.nodes.stopped = stopped

    async def catch_up(self, is_kept: Callable[[str], bool]) -> bool:
        """Take over what an earlier part of the run has done in this graph; returns whether the graph ended there."""
        before = self._branch.carried if self._branch else None
        if before is None:
            return False
        assert self._branch is not None
        self._branch.carried = None  # from here on the nodes tell
        kept = {node for node in before.ended if is_kept(node)}
        for node in before.ended:
            if node in kept and node not in self.outcomes and node in self._rank:
                self._settle(node, Outcome())
        self._ready = [node for node in self._ready if node not in kept]
        for at, node in enumerate((node for node in before.ended if node not in kept), 1):
            if node not in self.outcomes and node in self._rank:
                await self._take_over(node, before)
            if at % BREATH == 0:
                await journal.breathe()
        self.stopped, self.nodes.over = before.stopped, before.over
        for node in () if before.over else before.begun:
            if node in self._ready:
                self._ready.remove(node)
                if (waiting := self._prepare(node)) is not None:
                    self._prepared[node] = None
                    self._begin(node, waiting, self.preparing)
                else:
                    self._begin(node, self._execute(node), self.tasks)
        return before.over

    async def _take_over(self, node: str, before: BranchCarried) -> None:
        """Let a node that has ended find what it gave: it does nothing again, and gets the same outcome in the same order."""
        assert self._branch is not None
        if node in self._ready:
            self._ready.remove(node)
        if node in before.cancelled:
            self._settle(node, Outcome(error=asyncio.CancelledError(), cancelled=True))
            return
        if (blocker := self._blocker(node)) is not None:
            self._settle(node, Outcome(skipped_by=blocker))
            if self._on_skip:
                self._on_skip(node, blocker)
            return
        branch = self._branch.below(node)
        branch.settled = True
        with journal.within(branch):
            try:
                if (waiting := self._prepare(node)) is not None:
                    await waiting
                outcome: Outcome[T] = Outcome(value=await self._execute(node))
            except FAILURES as error:
                outcome = Outcome(error=error)
        branch.settled = False
        self._settle(node, outcome)

    def _begin(self, node: str, work: Coroutine[Any, Any, Any], among: dict[str, Any]) -> None:
        """Start a task for a node, in the node's own branch of the run."""
        self.nodes.begun[node] = None
        if self._branch is None:
            among[node] = asyncio.create_task(work)
        else:
            among[node] = asyncio.create_task(work, context=journal.context_of(self._branch.below(node)))

    def start_ready(self, *, begun_only: bool = False) -> None:
        """Skip what can never start, then start what can, longest remaining path first; `begun_only` what was being prepared."""
        while self._blocked and not begun_only:
            node = self._blocked.pop(0)
            blocker = self._blocker(node)
            if node not in self.outcomes and blocker is not None:
                self._settle(node, Outcome(skipped_by=blocker))
                if self._on_skip:
                    self._on_skip(node, blocker)
        for node in list(self._ready):
            if node in self.outcomes:
                self._ready.remove(node)
            elif node not in self._prepared and not begun_only and (waiting := self._prepare(node)) is not None:
                self._ready.remove(node)
                self._prepared[node] = None
                self._begin(node, waiting, self.preparing)
            elif len(self.tasks) < self._max_parallel and (node in self._prepared or not begun_only):
                self._ready.remove(node)
                self._begin(node, self._execute(node), self.tasks)

    def collect(self, ends_branch: Callable[[BaseException], bool] | None) -> bool:
        """Move ended tasks to the outcomes; returns whether one of them failed with more than the end of its branch."""
        failed = False
        for node in [node for node, waiting in self.preparing.items() if waiting.done()]:
            waiting = self.preparing.pop(node)
            if waiting.cancelled() or waiting.exception() is not None:
                self.tasks[node] = waiting  # type: ignore[assignment]  # it has no value, and failed like a node that ran
            else:
                insort(self._ready, node, key=self._rank.__getitem__)
        ended = [node for node, task in self.tasks.items() if task.done()]
        for node in ended:
            task = self.tasks.pop(node)
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, (*FAILURES, asyncio.CancelledError)):
                raise error
            cancelled = self._cancelled and error is not None and is_cancelled_exception(error)
            self._settle(node, Outcome(error=error, cancelled=cancelled) if error else Outcome(value=task.result()))
            failed = failed or (error is not None and not (ends_branch and ends_branch(error)))
        return failed

    def cancel(self) -> None:
        """Ask every running node to stop."""
        self._cancelled = True
        for task in (*self.tasks.values(), *self.preparing.values()):
            task.cancel()

    def _settle(self, node: str, outcome: Outcome[T]) -> None:
        """Record an outcome, and put the nodes it sets free or blocks in line."""
        self.outcomes[node] = outcome
        self.nodes.ended[node] = None
        if outcome.error is not None and is_cancelled_exception(outcome.error):
            self.nodes.cancelled.append(node)
        for after in self._dependents[node]:
            if after not in self._waits_for:
                continue
            self._waits_for[after] -= 1
            if not outcome.ok:
                insort(self._blocked, after, key=self._rank.__getitem__)
            elif self._waits_for[after] == 0:
                insort(self._ready, after, key=self._rank.__getitem__)

    def _blocker(self, node: str) -> str | None:
        for dependency in self._graph[node]:
            outcome = self.outcomes.get(dependency)
            if outcome is not None and not outcome.ok:
                return outcome.skipped_by or dependency
        return None
