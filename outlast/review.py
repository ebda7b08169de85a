"""Evaluator and optimizer: a draft is judged against a rubric and revised, round by round, and the best round is kept.

    review = Review(agents, "review", Rubric(good_enough=85), writer="writer", reviewer="reviewer")
    best = await review.of(draft)

It stops at a draft that is good enough, or when the rounds are used up. A review is there to make a draft better: if a
critic or a writer fails, the best draft so far stands, with a note; a first draft that could not be judged has no score. The
last round is not the best one, so a revision that scored no higher never replaces what it was made of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.contracts import Content, Part, StepState
from outlast.errors import text_of
from outlast.stages.contracts import Rubric
from outlast.workflow.keeping import keep_text

REVISE = (
    "Rewrite the draft so that it meets the critique. Keep what is good, and add no facts that the material does not hold. "
    "Give the whole new text, and nothing else."
)
LEARN = " A critique of a worse rewrite is there as well: do not make the same mistakes."


@dataclass(frozen=True)
class Critique:
    """A judgement: a score from 0 to 100, a remark for each criterion, and all of it as it was written."""

    score: int
    remarks: tuple[tuple[str, str], ...] = ()
    content: Content = field(default_factory=Content)


@dataclass(frozen=True)
class Round:
    """One draft and its judgement."""

    draft: Answer
    critique: Critique


@dataclass(frozen=True)
class Reviewed:
    """The draft that was kept and its score (None: it could not be judged), after how many rounds; `notes` say what happened."""

    draft: Answer
    score: int | None
    rounds: tuple[Round, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Review:
    """The review of one draft, as steps of a run; `goal` is what the draft shall be, `material` what both agents see first.

    Revisions answer by `schema` if there is one.
    """

    agents: Agents
    step: str
    rubric: Rubric
    writer: str
    reviewer: str
    goal: str = ""
    material: Sequence[Part] = ()
    schema: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    async def of(self, draft: Answer) -> Reviewed:
        """Judge and revise until it is good enough or the rounds are used up; raises nothing but cancellation."""
        rounds: list[Round] = []
        written: Answer | None = draft
        while written is not None:
            critique = await self._critique(len(rounds) + 1, written)
            if critique is None:
                break
            rounds.append(Round(written, critique))
            if is_over([done.critique.score for done in rounds], self.rubric):
                break
            written = await self._revise(rounds)
        return self._kept(draft, rounds)

    async def _critique(self, number: int, draft: Answer) -> Critique | None:
        """Have a draft judged; None, with a note, if that failed."""
        step = f"{self.step} · critique {number}"
        parts = [*self.material, Part.of(draft.content, label="draft"), Part(text=_question(self.rubric, self.goal))]
        answer = await self._asked(step, self.reviewer, parts, schema_of(self.rubric))
        critique = read_critique(answer) if answer else None
        if answer is None or critique is None:
            self.notes.append("the draft stands unreviewed" if number == 1 else f"round {number} was not judged")
            return None
        note = "; ".join((f"{critique.score} of 100", *answer.notes))
        self.agents.run.state.end(step, StepState.DONE, output=answer.content, note=note)
        return critique

    async def _revise(self, rounds: Sequence[Round]) -> Answer | None:
        """Have the best draft rewritten; None, with a note, if that failed."""
        best = best_of([done.critique.score for done in rounds])
        parts = [*self.material, Part.of(rounds[best].draft.content, label="draft")]
        parts.append(Part.of(rounds[best].critique.content, label="critique"))
        parts += [Part.of(done.critique.content, label="critique of a worse rewrite") for done in rounds[best + 1 :]]
        parts.append(Part(text=REVISE + (LEARN if rounds[best + 1 :] else "")))
        return await self._asked(f"{self.step} · revision {len(rounds)}", self.writer, parts, self.schema)

    async def _asked(
        self, step: str, agent: str, parts: Sequence[Part], schema: dict[str, Any] | None
    ) -> Answer | None:
        try:
            answer = await self.agents.ask(agent, parts, step=step, schema=schema)
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            self.notes.append(f"{step} failed: {text_of(error)[:200]}")
            return None
        self.notes += answer.notes
        if schema is not None and answer.data is None:
            self.notes.append(f"{step} gave nothing usable")
            return None
        return answer

    def _kept(self, draft: Answer, rounds: Sequence[Round]) -> Reviewed:
        if not rounds:
            return Reviewed(draft, None, (), tuple(self.notes))
        best = best_of([done.critique.score for done in rounds])
        score = rounds[best].critique.score
        if score < self.rubric.good_enough:
            self.notes.append(f"no round reached {self.rubric.good_enough} of 100, the best has {score}")
        if best + 1 < len(rounds):
            self.notes.append(f"round {best + 1} of {len(rounds)} was kept, because the later ones were no better")
        return Reviewed(rounds[best].draft, score, tuple(rounds), tuple(self.notes))


async def review(
    agents: Agents,
    draft: str | Answer,
    *,
    writer: str,
    reviewer: str,
    rubric: Rubric | None = None,
    goal: str = "",
    material: Sequence[Part] = (),
    step: str = "review",
) -> Reviewed:
    """Have a draft judged and rewritten, round by round, until it is good enough.

    Args:
        agents: The agents of the run, `self.agents`.
        draft: An answer, or a text.
        writer: The agent that rewrites.
        reviewer: The agent that judges.
        rubric: By what it is judged, how good is good enough, and how many rounds there are at most.
        goal: What the draft shall be.
        material: What both agents see first.
        step: What the names of the steps begin with.

    Returns:
        The best `draft`, its `score` from 0 to 100 (None: it could not be judged), all `rounds`, and `notes`.

    Example:
        ```python
        best = await review(self.agents, draft, writer="writer", reviewer="reviewer", rubric=Rubric(good_enough=90))
        ```
    """
    await agents.ready()
    if isinstance(draft, str):
        content = await keep_text(draft, f"{step} · keep the draft")
        draft = Answer(content, writer)
    return await Review(agents, step, rubric or Rubric(), writer, reviewer, goal=goal, material=material).of(draft)


def is_over(scores: Sequence[int], rubric: Rubric) -> bool:
    """Whether the last draft is good enough, or there are no rounds left."""
    return len(scores) >= rubric.rounds or (bool(scores) and scores[-1] >= rubric.good_enough)


def best_of(scores: Sequence[int]) -> int:
    """Return the position of the best score; of equal ones the earlier, because it costs nothing to keep."""
    return scores.index(max(scores))


def schema_of(rubric: Rubric) -> dict[str, Any]:
    """Return what a critique has to look like: the remarks come first, so that the score follows from them."""
    remark = {
        "type": "object",
        "properties": {
            "criterion": {"type": "string", "enum": list(dict.fromkeys(rubric.criteria))},
            "remark": {"type": "string", "description": "What to change, and where; or that nothing is to be changed."},
        },
        "required": ["criterion", "remark"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "remarks": {"type": "array", "description": "One remark for each criterion.", "items": remark},
            "score": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "description": "0: useless. 100: nothing to change.",
            },
        },
        "required": ["remarks", "score"],
        "additionalProperties": False,
    }


def read_critique(answer: Answer) -> Critique | None:
    """Read an answer that fits `schema_of`; None if it has no score."""
    data: Mapping[str, Any] = answer.data or {}
    score = data.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool):
        return None
    remarks = tuple((str(each["criterion"]), str(each["remark"])) for each in data.get("remarks", ()))
    return Critique(int(score), remarks, answer.content)


def _question(rubric: Rubric, goal: str) -> str:
    criteria = "\n".join(f"- {criterion}" for criterion in rubric.criteria)
    wanted = f"The draft shall be this: {goal}\n\n" if goal else ""
    return (
        f"{wanted}Judge the draft by these criteria:\n{criteria}\n\nSay for each what to change and where. "
        "Then give a score from 0 (useless) to 100 (nothing to change)."
    )
