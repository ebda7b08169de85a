"""What a run has done, branch by branch, so that it can continue as new: `run` begins anew, and nothing done is done again.

A branch is what runs one thing after the other: the run itself, a node of a graph, an ask. What it does is known there by a
name and a number, and is looked up before it is done. In a run that has not continued as new nothing is ever found, and all
this costs a few entries of a dictionary.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.contracts import Content, Contract, Part, Remembered
from outlast.errors import kind_of, root_of, text_of
from outlast.workflow.branches import OF_RUN, Branch, Nodes

T = TypeVar("T")

_here: ContextVar[Branch | None] = ContextVar("branch", default=None)


def here() -> Branch | None:
    """Return the branch that runs now; None outside of a run's work, as in a handler of a message."""
    return _here.get()


def catching_up() -> bool:
    """Whether this branch repeats what an earlier part of the run has done, which changes nothing any more."""
    branch = _here.get()
    return branch is not None and (branch.left > 0 or branch.settled)


def begin(branch: Branch | None) -> None:
    """Let what runs from here on, in this task, belong to a branch; None: to no branch, so that nothing is recorded."""
    _here.set(branch)


def graph(nodes: Nodes) -> Branch | None:
    """Begin the branch of a graph that runs here, whose `nodes` tell how far it is; None outside of a run's work."""
    branch = _here.get()
    if branch is None:
        return None
    below = branch.below(branch.name("graph"))
    below.nodes = nodes
    return below


def context_of(branch: Branch | None) -> Context:
    """Return the context for a task that belongs to a branch."""
    context = copy_context()
    context.run(_here.set, branch)
    return context


@contextmanager
def within(branch: Branch) -> Iterator[None]:
    """Let what runs within the block belong to a branch."""
    before = _here.get()
    _here.set(branch)
    put_away = False
    try:
        yield
    except GeneratorExit:  # a run that leaves memory is closed outside of its context
        put_away = True
        raise
    finally:
        if not put_away:
            _here.set(before)


@contextmanager
def at_work() -> Iterator[None]:
    """Count a call that is at work: a run continues as new only when there is none."""
    branch = _here.get()
    top = branch.top if branch is not None else None
    if top is not None:
        top.at_work += 1
    try:
        yield
    finally:
        if top is not None:
            top.at_work -= 1


async def once(what: str, kind: Any, make: Callable[[], Awaitable[T]], *, of_run: bool = False) -> T:
    """Do something once, however often the run continues as new; raises the failure that it ended with.

    Args:
        what: Names it in its branch. What may be done side by side in one branch must differ in it.
        kind: Type of the value.
        make: Does it.
        of_run: Whether it belongs to the whole run, whichever branch comes first.
    """
    branch = _here.get()
    if branch is None:
        return await make()
    branch, name = (branch.top, OF_RUN + what) if of_run else (branch, branch.name(what))
    known = branch.done.get(name) if of_run else branch.found(name)
    if known is not None:
        value: T = _given(branch, name, known, kind)
        return value
    with within(Branch(branch.top) if of_run else branch.below(name)):
        try:
            value = await make()
        except (ActivityError, ApplicationError) as error:
            if not is_cancelled_exception(error):
                branch.keep(name, _failure(error))
            raise
    branch.keep(name, Remembered(value=value))
    return value


def fixed(what: str, make: Callable[[], T]) -> T:
    """Work out something at once, once: a name, a time."""
    branch = _here.get()
    if branch is None:
        return make()
    name = branch.name(what)
    known = branch.found(name)
    if known is None:
        known = branch.done[name] = Remembered(value=make())
    value: T = known.value
    return value


def now(what: str) -> float:
    """Return the time at which the run came here first, in seconds since 1970."""
    return fixed(f"time {what}", workflow.time)


@dataclass(frozen=True)
class Limit:
    """A time that something may take, which goes on where the run continues as new."""

    seconds: float
    passed: bool
    _name: str = ""

    @classmethod
    def here(cls, seconds: float) -> "Limit":
        """Begin a limit of so many seconds, or go on with it."""
        branch = _here.get()
        if branch is None:
            return cls(seconds, passed=False)
        name = branch.name("limit")
        known = branch.found(name)
        if known is None:
            branch.done[name] = Remembered(value=[workflow.time(), False])
            return cls(seconds, False, name)
        begun, passed = known.value
        return cls(seconds if passed else begun + seconds - workflow.time(), passed, name)

    def passes(self) -> None:
        """Record that it was over before the thing was done."""
        branch = _here.get()
        if branch is not None and self._name:
            begun = branch.done[self._name].value[0]
            branch.done[self._name] = Remembered(value=[begun, True])


async def breathe() -> None:
    """Let the workflow task end: one that works for two seconds at a stretch is taken for dead."""
    await workflow.sleep(timedelta(milliseconds=1), summary="a long run takes a breath")


def digest(*given: Any) -> str:
    """Name inputs in short."""
    hashed = hashlib.blake2b(digest_size=9)
    for each in given:
        if isinstance(each, Part | Content):
            text = f"{each.text}\0{each.ref}\0{getattr(each, 'label', '')}"
        else:
            text = each.model_dump_json() if isinstance(each, Contract) else str(each)
        hashed.update(text.encode(errors="replace"))
        hashed.update(b"\1")
    return hashed.hexdigest()


def _given(branch: Branch, name: str, known: Remembered, kind: Any) -> Any:
    if known.kind:
        raise _error(name, known)
    if kind is None or known.value is None:
        return known.value
    value = _reader(kind).validate_python(known.value)
    branch.done[name] = Remembered(value=value)  # so that it is read once
    return value


def _failure(error: ActivityError | ApplicationError) -> Remembered:
    root = root_of(error)
    kind = root.type if isinstance(root, ApplicationError) and root.type else kind_of(error)
    return Remembered(kind=kind, why=text_of(error), activity=isinstance(error, ActivityError))


def _error(name: str, known: Remembered) -> BaseException:
    cause = ApplicationError(known.why, type=known.kind, non_retryable=True)
    if not known.activity:
        return cause
    error = ActivityError(
        "Activity failed in an earlier part of this run",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=name,
        activity_id="",
        retry_state=None,
    )
    error.__cause__ = cause
    return error


@lru_cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
