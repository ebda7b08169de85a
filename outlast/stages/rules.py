"""Stages as data: the default ones, and the checks of those that a request brings. Pure.

A running execution that was started without stages holds only the word "default". So a change of the default
stages is a change of code on which running executions depend.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from outlast.contracts import Plan, PlanRequest, PlanStep
from outlast.errors import ErrorKind
from outlast.stages.contracts import Rubric, Stage, StageOutput

LEAD = "generalist"
"""Who leads a stage that names no agents."""

DEFAULT_STAGES = (
    Stage(
        name="research",
        goal="The facts that bear on the task, how sure each of them is, and what remains open.",
        agents=("researcher", "analyst"),
    ),
    Stage(
        name="outline",
        goal="An outline of the text that the task asks for: its parts in order, and what each of them says.",
        agents=("writer", "analyst"),
        max_steps=2,
    ),
    Stage(
        name="draft",
        goal="The whole text that the task asks for, written after the outline from the facts of the research.",
        agents=("writer",),
        max_steps=6,
    ),
    Stage(
        name="review",
        goal="A draft that does what the task asks for, and says nothing that the research does not support.",
        agents=("writer",),
        rubric=Rubric(criteria=("correct", "complete", "clear", "does what the task asks for")),
    ),
    Stage(
        name="final",
        goal="The reviewed text, ready to be handed over: complete, without notes to the writer or the reader.",
        agents=("writer",),
        max_steps=1,
    ),
)

NOT_RETRIED = frozenset(
    {
        ErrorKind.CONTENT_MISSING,
        ErrorKind.CONTENT_ALTERED,
        ErrorKind.PAYLOAD_TOO_LARGE,
        ErrorKind.UNKNOWN_AGENT,
        ErrorKind.INPUT_INVALID,
        ErrorKind.MODEL_NOT_ALLOWED,
        ErrorKind.BUDGET_REACHED,
        ErrorKind.NOT_APPROVED,
    }
)
"""Failures that another attempt would meet as well."""


STAGES = TypeAdapter(tuple[Stage, ...])
NOTE_LENGTH = 300
NOTES_KEPT = 20
"""How much of what happened on the way a result tells; the trace tells all of it."""


def lead_of(stage: Stage) -> str:
    """Return the stage's first agent: it does a stage that was not planned, joins results, and revises."""
    return stage.agents[0] if stage.agents else LEAD


def judges_earlier(stage: Stage, earlier: Sequence[str]) -> bool:
    """Whether a review stage judges the output of the stage before it, and writes no draft of its own."""
    return stage.rubric is not None and stage.output_schema is None and bool(earlier)


def planning_of(stage: Stage, earlier: Sequence[str], planner: str) -> PlanRequest:
    """Write what the planner is asked for; a stage that can be done in one way only has its plan already."""
    task = f"Do the stage {stage.name!r} of the task in the part 'task'. This stage gives: {stage.goal}"
    if earlier:
        task += f"\nThe stages before it gave the parts {', '.join(repr(label_of(name)) for name in earlier)}."
    only = Plan(steps=(PlanStep(step="1", agent=lead_of(stage), input=task),))
    return PlanRequest(
        task=task,
        plan=only if stage.max_steps == 1 and len(stage.agents) == 1 else None,
        agents=stage.agents,
        planner=planner,
        fallback_agent=lead_of(stage),
        max_steps=stage.max_steps,
    )


def label_of(stage: str) -> str:
    """Name the part that holds the output of a stage."""
    return f"stage {stage}"


def merged_notes(notes: Sequence[str]) -> tuple[str, ...]:
    """Shorten notes for a result: what came several times stands there once, and what is too much is counted."""
    counted = Counter(note if len(note) <= NOTE_LENGTH else f"{note[: NOTE_LENGTH - 1]}…" for note in notes)
    kept = [note if times == 1 else f"{note} ({times} times)" for note, times in counted.items()]
    more = len(kept) - NOTES_KEPT
    return (*kept[:NOTES_KEPT], *([f"… and {more} more notes"] if more > 0 else []))


def problems_of(
    stages: Sequence[Stage], done: Sequence[StageOutput], agents: Collection[str], planner: str
) -> list[str]:
    """Find everything that keeps stages from running, each with stage, field and fix; empty means valid."""
    names = [stage.name for stage in stages]
    found = [
        f"stage {name!r}, name: {times} stages are called so; give each stage its own name"
        for name, times in Counter(names).items()
        if times > 1
    ]
    if planner not in agents:
        found.append(f"planner: there is no agent {planner!r}; choose from {', '.join(sorted(agents))}")
    for stage in stages:
        found += [f"stage {stage.name!r}, {problem}" for problem in _problems_of(stage, agents, planner)]
    taken = [output.stage for output in done]
    if taken != names[: len(taken)]:
        found.append(
            f"done: {', '.join(taken)} are not the first of the stages {', '.join(names)}; "
            "take over stages from the first on and in order"
        )
    return found


def read_edit(
    edit: Mapping[str, Any], before: Sequence[Stage], done: Sequence[StageOutput], agents: Collection[str], planner: str
) -> tuple[tuple[Stage, ...], list[str]]:
    """Read `{"stages": […]}`, written by a person in place of all stages after `before`; returns those, and what is wrong."""
    if list(edit) != ["stages"]:
        return (), ['edit: send {"stages": […]} with all stages that are still to be done']
    try:
        ahead = STAGES.validate_python(edit["stages"])
    except ValidationError as error:
        return (), [f"stages.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return ahead, problems_of((*before, *ahead), done, agents, planner)


def _problems_of(stage: Stage, agents: Collection[str], planner: str) -> Iterable[str]:
    wanted = [("agents", name) for name in (stage.agents or (LEAD,))]
    if stage.rubric is not None:
        wanted.append(("reviewer", stage.reviewer))
    for field, name in wanted:
        if name not in agents:
            yield f"{field}: there is no agent {name!r}; choose from {', '.join(sorted(agents))}"
    if planner in stage.agents:
        yield f"agents: {planner!r} plans the stages and does none of them; leave it out"
    if stage.output_schema is not None and stage.output_schema.get("type") != "object":
        yield 'output_schema: it does not describe an object; give it "type": "object" at the top'
