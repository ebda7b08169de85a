"""Parallel work in one place: all of it, as much as is needed, or one call for each of many inputs.

Built on the scheduler, so that the order of starts and ends is the same on replay. A deadline without a timer for
each task waits for the slowest; here every task carries the time that is left to it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from outlast.dag import Outcome, run_graph
from outlast.errors import ErrorKind, non_retryable
from outlast.workflow import journal
from outlast.workflow.activity_calls import is_recent
from outlast.workflow.failures import finished

T = TypeVar("T")
Outcomes = Mapping[str, Outcome[T]]
Enough = Callable[[Outcomes[T]], bool]

MAX_PARALLEL = 32


async def gather(
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, T]]],
    *,
    max_parallel: int = MAX_PARALLEL,
    each_within: Mapping[str, float] | None = None,
    deadline: float | None = None,
    enough: Enough[T] | None = None,
) -> dict[str, Outcome[T]]:
    """Run named tasks at once; cancelling this call cancels all of them.

    Args:
        tasks: What is done, by name.
        max_parallel: How many tasks run at once.
        each_within: Seconds that single tasks may take, by name; what is late ends with a TimedOut error.
        deadline: Seconds that all of them together may take.
        enough: Once it holds for the outcomes so far, the rest is cancelled (`Outcome.cancelled`), and what has not started is
            left out.

    Returns:
        How each task ended, by name, in the order of `tasks`. No error of a task is raised here; `outcome.result()` raises it.

    Example:
        ```python
        ended = await gather({"a": partial(self.agents.ask, "analyst", text), "b": partial(self.agents.ask, "sceptic", text)})
        ```
    """
    ends = journal.now("gather") + deadline if deadline is not None else None

    async def run(name: str) -> T:
        limits = [limit for limit in ((each_within or {}).get(name), _left(ends)) if limit is not None]
        return await within(min(limits, default=None), name, tasks[name]())

    return _in_order(tasks, await run_graph(dict.fromkeys(tasks, ()), run, max_parallel=max_parallel, enough=enough))


async def each(
    inputs: Iterable[str], do: Callable[[str], Coroutine[Any, Any, T]], *, max_parallel: int = MAX_PARALLEL
) -> dict[str, Outcome[T]]:
    """Do the same for many inputs, `max_parallel` at a time.

    Args:
        inputs: Names of the inputs, each once.
        do: What is done; it is given the name of its input.
        max_parallel: How many are worked on at once.

    Returns:
        How each one ended, by name, in the order of `inputs`; `outcome.result()` returns its value or raises its error.

    Example:
        ```python
        ended = await each(("analyst", "sceptic"), lambda name: self.agents.ask(name, request.ticket))
        ```
    """
    graph: dict[str, tuple[str, ...]] = dict.fromkeys(inputs, ())
    return _in_order(graph, await run_graph(graph, do, max_parallel=max_parallel))


def _in_order(names: Iterable[str], outcomes: dict[str, Outcome[T]]) -> dict[str, Outcome[T]]:
    """Put outcomes in the order of what was given; runs of 0.2 go on with the order in which they came."""
    return {name: outcomes[name] for name in names if name in outcomes} if is_recent() else outcomes


def distinct(names: Sequence[str]) -> list[str]:
    """Number names that occur more than once, since tasks and steps are identified by them."""
    taken = dict.fromkeys(names, 0)
    result: list[str] = []
    for name in names:
        taken[name] += 1
        number, numbered = taken[name], name
        while numbered in result or (number > 1 and numbered in names):
            numbered = f"{name} ({number})"
            number += 1
        result.append(numbered)
    return result


async def within(seconds: float | None, name: str, work: Coroutine[Any, Any, T]) -> T:
    """Await work for so long; raises a non-retryable TimedOut error, after the work was cancelled."""
    if seconds is None:
        return await work
    limit = journal.Limit.here(seconds)
    if limit.passed:
        work.close()
        raise _late(name, limit.seconds)
    seconds = limit.seconds
    task = asyncio.create_task(work)
    if seconds > 0 or journal.catching_up():
        try:
            await workflow.wait_condition(
                task.done,
                timeout=timedelta(seconds=seconds if seconds > 0 else 0.001),
                timeout_summary=f"{name}: {seconds:g} s at most",
            )
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            await _stopped(task)
            raise
    if task.done():
        return task.result()
    limit.passes()
    await _stopped(task)
    raise _late(name, seconds)


def _late(name: str, seconds: float) -> ApplicationError:
    return non_retryable(ErrorKind.TIMED_OUT, f"{name}: no answer within {max(seconds, 0):g} s")


async def _stopped(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await finished([task])


def _left(ends: float | None) -> float | None:
    return None if ends is None else ends - workflow.time()
