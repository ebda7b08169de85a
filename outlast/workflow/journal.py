"""What a run has done, branch by branch, so that it can continue as new: `run` begins anew, and nothing that is done is done again.

A branch is what runs one thing after the other: the run itself, a node of a graph, an ask. What it does is known there by a name and
a number, and is looked up before it is done. In a run that has not continued as new nothing is ever found, and all this
costs a few entries of a dictionary.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.contracts import BranchCarried, Content, Contract, Part, Remembered
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of

T = TypeVar("T")

_here: ContextVar["Branch | None"] = ContextVar("branch", default=None)


class Branch:
    """One branch of a run: what is done in it, and the branches below it that are under way."""

    __slots__ = ("_counts", "_top", "at_work", "carried", "done", "graph", "inner", "left", "news")

    def __init__(self, top: "Branch | None" = None, carried: BranchCarried | None = None) -> None:
        self._top = top
        self._counts: dict[str, int] = {}
        self.carried = carried
        self.done: dict[str, Remembered] = dict(carried.done) if carried else {}
        self.inner: dict[str, Branch] = {}
        self.graph: BranchCarried | None = None
        self.left = len(carried.done) + len(carried.inner) if carried else 0
        """How many things of the part before have not been looked up yet: until then this branch catches up."""
        if carried:
            for name, inner in carried.inner.items():
                self.inner[name] = Branch(self.top, inner)
        self.at_work = 0
        """Of the run itself: how many calls are at work."""
        self.news = 0
        """Of the run itself: how many things were done in this part."""

    @property
    def top(self) -> "Branch":
        """The branch of the run itself."""
        return self._top or self

    def name(self, what: str) -> str:
        """Number what is done under one name in this branch."""
        number = self._counts[what] = self._counts.get(what, 0) + 1
        return what if number == 1 else f"{what} #{number}"

    def found(self, name: str) -> Remembered | None:
        """Look up what is done already."""
        known = self.done.get(name)
        if known is not None and self.left:
            self.left -= 1
        return known

    def below(self, name: str) -> "Branch":
        """Return the branch below of that name."""
        known = self.inner.get(name)
        if known is None:
            known = self.inner[name] = Branch(self.top)
            self.left = 0  # it has caught up: this was not begun before
        elif self.left and known.carried is not None:
            self.left -= 1
        return known

    def keep(self, name: str, done: Remembered) -> None:
        """Record what is done; the steps on the way to it are not needed any more."""
        self.done[name] = done
        self.inner.pop(name, None)
        self.top.news += 1

    def carry(self) -> BranchCarried:
        """Return all of it for the next part of the run."""
        own = self.graph or self.carried or BranchCarried()
        inner = {name: carried for name, each in self.inner.items() if (carried := each.carry()) != _NOTHING}
        return own.model_copy(update={"done": self.done, "inner": inner})


_NOTHING = BranchCarried()


def here() -> Branch | None:
    """Return the branch that runs now; None outside of a run's work, as in a handler of a message."""
    return _here.get()


def catching_up() -> bool:
    """Whether this branch repeats what an earlier part of the run has done, which changes nothing any more."""
    branch = _here.get()
    return branch is not None and branch.left > 0


def begin(branch: Branch | None) -> None:
    """Let what runs from here on, in this task, belong to a branch; None: to no branch, so that nothing is recorded."""
    _here.set(branch)


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
    if of_run:
        branch = branch.top
    name = what if of_run else branch.name(what)
    known = branch.found(name)
    if known is not None:
        return _given(branch, name, known, kind)
    with within(branch.below(name)):
        try:
            value = await make()
        except (ActivityError, ApplicationError) as error:
            if not is_cancelled_exception(error):
                branch.keep(name, Remembered(kind=kind_of(error), why=text_of(error)))
            raise
    branch.keep(name, Remembered.model_construct(value=value))
    return value


def fixed(what: str, make: Callable[[], T]) -> T:
    """Work out something at once, once: a name, a time."""
    branch = _here.get()
    if branch is None:
        return make()
    name = branch.name(what)
    known = branch.found(name)
    if known is None:
        known = branch.done[name] = Remembered.model_construct(value=make())
    value: T = known.value
    return value


def now(what: str) -> float:
    """Return the time at which the run came here first, in seconds since 1970."""
    return fixed(f"time {what}", workflow.time)


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
        error = ActivityError(
            "It failed in an earlier part of this run",
            scheduled_event_id=0,
            started_event_id=0,
            identity="",
            activity_type=name,
            activity_id="",
            retry_state=None,
        )
        error.__cause__ = non_retryable(_kind(known.kind), known.why)
        raise error
    if kind is None or known.value is None:
        return known.value
    value = _reader(kind).validate_python(known.value)
    branch.done[name] = Remembered.model_construct(value=value)  # so that it is read once
    return value


def _kind(name: str) -> ErrorKind:
    return ErrorKind(name) if name in set(ErrorKind) else ErrorKind.UNEXPECTED


@lru_cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
