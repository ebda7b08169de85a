"""Steps that are done and that a run which has continued as new holds no more: what they gave lies in the content store.

A part of a run takes over nothing of them but their names. So what it costs to continue as new does not grow with the run, nor
does its memory; a step whose answer is needed later is read when it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar

from outlast.contracts import ArchivedPart, CallTrace, Content, StepOutcome, StepOutcomes, StepRow
from outlast.workflow.branches import Branch
from outlast.workflow.keeping import keep_report, read_kept


class PartRecord(StepOutcomes):
    """What is kept of one part of a run; it is read as a `Trace` as well."""

    recorded: ClassVar[bool] = False

    calls: tuple[CallTrace, ...] = ()
    """The calls of the part, in the order in which they ended."""


class Archive:
    """The archived steps of one run, by the names under which people see them."""

    def __init__(self) -> None:
        self.parts: tuple[ArchivedPart, ...] = ()
        """What earlier parts of the run have archived, oldest first."""
        self._part_of: dict[str, ArchivedPart] = {}
        self._done: dict[str, Branch] = {}

    def __contains__(self, step: str) -> bool:
        return step in self._part_of

    @property
    def refs(self) -> tuple[str, ...]:
        """Keys of the archived steps in the content store."""
        return tuple(part.ref for part in self.parts)

    @property
    def branches(self) -> Collection[Branch]:
        """The branches of the steps that go there next."""
        return self._done.values()

    def restore(self, parts: Sequence[ArchivedPart]) -> None:
        """Take over what earlier parts have archived."""
        self.parts = tuple(parts)
        self._part_of = {step: part for part in parts for step in part.steps}

    def done(self, step: str, branch: Branch | None) -> None:
        """Let a step that is done go there when the run continues as new, with its branch; who calls it reads it back then."""
        if branch is not None:
            self._done[step] = branch

    async def keep(
        self, calls: Sequence[CallTrace], rows: Mapping[str, StepRow], outcomes: Iterable[StepOutcome], why: str
    ) -> tuple[str, tuple[ArchivedPart, ...]]:
        """Write the calls and the steps of this part to the content store; returns their key and the parts, this one too."""
        if not (calls or self._done):
            return "", self.parts
        part = PartRecord(
            calls=tuple(calls),
            outcomes=tuple(outcome for outcome in outcomes if outcome.step in self._done),
            rows=tuple(rows[step] for step in self._done),
        )
        ref = (await keep_report(part, why, "calls and steps of a part")).ref or ""
        return ref, (*self.parts, ArchivedPart(ref=ref, steps=tuple(self._done))) if self._done else self.parts

    async def read(self, steps: Iterable[str]) -> list[StepOutcome]:
        """Read what archived steps came to."""
        wanted: dict[str, list[str]] = {}
        for step in steps:
            wanted.setdefault(self._part_of[step].ref, []).append(step)
        found: list[StepOutcome] = []
        for ref, names in wanted.items():
            text = await read_kept(Content(ref=ref), "read what earlier steps gave", steps=tuple(names))
            found += StepOutcomes.model_validate_json(text).outcomes
        return found


def in_short(row: StepRow) -> StepRow:
    """Return what stays in a run of the row of an archived step; its plan tells the rest of it."""
    return StepRow(step=row.step, agent=row.agent, state=row.state, note=row.note)
