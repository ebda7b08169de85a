"""The branches of a run: what each has done, and how far it is in taking over what an earlier part of the run has done."""

from collections.abc import Collection
from dataclasses import dataclass, field

from outlast.contracts import BranchCarried, Remembered

OF_RUN = "run: "
"""What the names of things begin with that belong to the whole run, whichever branch came first."""


@dataclass
class Nodes:
    """How far the graph of a branch is."""

    ended: dict[str, None] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    begun: dict[str, None] = field(default_factory=dict)
    stopped: bool = False
    over: bool = False


class Branch:
    """One branch of a run: what is done in it, and the branches below it that are under way."""

    __slots__ = (
        "_before",
        "_counts",
        "_top",
        "at_work",
        "carried",
        "done",
        "inner",
        "left",
        "news",
        "nodes",
        "settled",
    )

    def __init__(self, top: "Branch | None" = None, carried: BranchCarried | None = None) -> None:
        self._top = top
        self._counts: dict[str, int] = {}
        self.carried = carried if carried is not None and carried.ended + carried.begun else None
        """How far its graph was, until that begins here; what else was carried is in `done` and `_before` alone."""
        self.done: dict[str, Remembered] = dict(carried.done) if carried else {}
        self.inner: dict[str, Branch] = {}
        self._before = dict(carried.inner) if carried else {}
        self.nodes: Nodes | None = None
        self.settled = False
        """Whether it ended in an earlier part of the run."""
        self.left = sum(not name.startswith(OF_RUN) for name in carried.done) + len(carried.inner) if carried else 0
        """How many things of the part before have not been looked up yet: until then this branch catches up."""
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
            before = self._before.pop(name, None)
            known = self.inner[name] = Branch(self.top, before)
            # What was not begun before is new: then this branch has caught up.
            self.left = max(0, self.left - 1) if before is not None else 0
        return known

    def keep(self, name: str, done: Remembered) -> None:
        """Record what is done; the steps on the way to it are not needed any more."""
        self.done[name] = done
        self.inner.pop(name, None)
        self.top.news += 1

    def carry(self, without: Collection["Branch"] = ()) -> BranchCarried:
        """Return all of it for the next part of the run, but for some branches below."""
        inner = self._before | {name: each.carry(without) for name, each in self.inner.items() if each not in without}
        own = self.carried or BranchCarried()
        if (nodes := self.nodes) is not None:
            own = BranchCarried(
                ended=tuple(nodes.ended),
                cancelled=tuple(nodes.cancelled),
                begun=tuple(node for node in nodes.begun if node not in nodes.ended),
                stopped=nodes.stopped,
                over=nodes.over,
            )
        return own.model_copy(update={"done": self.done, "inner": inner})
