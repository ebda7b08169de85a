"""What every run is started with and what every run gives back; the requests and results of workflows derive from these."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, PrivateAttr

from outlast.contracts.base import CARRIED, Content, Contract, Part
from outlast.contracts.changes import KEEP, ROLL_BACK_ALL, Changes, OnFallback, RollbackPolicy
from outlast.contracts.gates import GatesCarried
from outlast.contracts.runs import ArchivedPart, Budget, BudgetShown, FallbackTaken, RunState, Spend, StepRow
from outlast.contracts.steering import DelegationLimits, GatePolicy, Pause

MOST_WEBHOOKS = 5
"""Addresses that one run reports to."""


class Remembered(Contract):
    """What came of one thing that a run has done: a value, or the failure that it ended with."""

    value: Any = None
    """What it gave, as JSON data; None where it failed, or gave nothing."""
    kind: str = ""
    """Kind of the failure (`ErrorKind`); empty where it gave a value."""
    why: str = ""
    """The failure in words; empty where it gave a value."""
    activity: bool = False
    """Whether it was the failure of an activity."""


class BranchCarried(Contract):
    """What one branch of a run has done: the run itself, a node of a graph, an ask that is under way."""

    done: Mapping[str, Remembered] = Field(default_factory=dict)
    """What is done, by its name in the branch."""
    inner: Mapping[str, "BranchCarried"] = Field(default_factory=dict)
    """Branches below it, by name: the nodes of a graph, and what is under way."""
    ended: tuple[str, ...] = ()
    """Of a graph: the nodes that have ended or were skipped, in that order."""
    cancelled: tuple[str, ...] = ()
    """Of a graph: the ended nodes that were cancelled."""
    begun: tuple[str, ...] = ()
    """Of a graph: the nodes that had begun and not ended, in the order in which they began."""
    stopped: bool = False
    """Of a graph: whether nothing new starts."""
    over: bool = False
    """Of a graph: whether it has ended."""


class ActCarried(Contract):
    """One call that changed something, made by an attempt at a step that failed."""

    agent: str
    """Name of the agent that made the call."""
    call: Mapping[str, Any]
    """The call (`ToolCall`), as JSON data."""
    change: int = 0
    """Its number in the undo log; 0: it was never made."""
    answer: Mapping[str, Any] | None = None
    """What it answered (`ToolAnswer`), as JSON data; None where it did not."""


class StepOutcome(Contract):
    """What a step of a run came to, so that another run can take it over."""

    step: str
    """Id or name of the step."""
    asked: str
    """Digest of what it was asked; it is taken over only by a step that is asked the same."""
    agent: str = ""
    """Who answered in the end; empty where no agent was asked."""
    content: Content = Content()
    """The answer as text."""
    data: dict[str, Any] | None = None
    """The answer as data; None where it has none."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""
    findings: tuple[Part, ...] = ()
    """What the model found on the web by itself."""
    wrong: tuple[str, ...] = ()
    """How the data breaks its schema, where the asker takes that."""
    left_out_characters: int = 0
    """How much of its material the model was not shown, in characters."""


class StateCarried(Contract):
    """What a run has done so far, kept in the content store when it continues as new.

    `run` begins anew in the next part, and finds here what is done already: no finished call is made again.
    """

    recorded: ClassVar[bool] = False

    work: BranchCarried = BranchCarried()
    """What is done, branch by branch."""
    steps: tuple[StepRow, ...] = ()
    """The steps as people see them."""
    spent: Mapping[str, Spend] = Field(default_factory=dict)
    """What the model calls of each step cost."""
    calls: tuple[str, ...] = ()
    """Keys of the step traces of all parts so far in the content store, oldest first."""
    hops: tuple[FallbackTaken, ...] = ()
    """Fallbacks taken, in order."""
    changes: Changes = Changes()
    """What its tools changed, and what became of each change."""
    acts: Mapping[str, tuple[ActCarried, ...]] = Field(default_factory=dict)
    """What failed attempts changed, by step."""
    lacking: tuple[tuple[str, str, str], ...] = ()
    """Tools that agents lack: agent, tool, and the reason in words."""
    changed: tuple[str, ...] = ()
    """Tools that are otherwise than their servers have them."""
    prompts: Mapping[str, float] = Field(default_factory=dict)
    """Tokens per byte of each model's prompts, as they were measured."""
    outputs: Mapping[str, float] = Field(default_factory=dict)
    """Tokens that each agent answers with, as they were measured."""
    outcomes: tuple[StepOutcome, ...] = ()
    """What its steps came to, for forks of it; empty where the run, which begins anew, comes to all of that again."""
    archived: tuple[ArchivedPart, ...] = ()
    """Steps that nothing else here tells of, but for their state and agent in `steps`."""


class RunCarried(Contract):
    """What a run that continues as new hands over: what is done by reference, and what messages may still change."""

    state: Content
    """What is done (`StateCarried`), in the content store."""
    parts: int = 1
    """How many parts the run has had before this one."""
    spend: Spend = Spend()
    """What its model calls cost so far."""
    gates: GatesCarried = GatesCarried()
    """The gates, their records, and decisions that came early."""
    allowed: tuple[str, ...] = ()
    """Tools of which it is recorded that the request allows every call."""
    runs: tuple[str, ...] = ()
    """Run ids under which gates of earlier parts opened."""
    waited: float = 0.0
    """Seconds in which any gate was open."""
    paused: Pause | None = None
    """Who paused it; None: it is not paused."""
    asked: int = 0
    """Count of the questions that it asked people."""
    answers: Mapping[str, str] = Field(default_factory=dict)
    """Answers that came for questions that are open or not asked yet, by question."""
    raised: int = 0
    """How often people raised its budget."""
    warnings: tuple[str, ...] = ()
    """What people should know about its budget, in words."""
    stopped: str = ""
    """Why its budget ended it; empty: it did not."""
    notices: tuple[str, ...] = ()
    """Messages that changed nothing, and why."""
    delegated: int = 0
    """How many agents were asked in runs of agents that this one had asked."""


class StepOutcomes(Contract):
    """Outcomes of a run's steps: as many as fit into one answer of the `outcomes` query, or those of one part of the run."""

    outcomes: tuple[StepOutcome, ...] = ()
    """The outcomes, in the order in which the steps ended."""
    total: int = 0
    """How many there are in all."""
    rows: tuple[StepRow, ...] = ()
    """Of a part of the run: the steps as people see them."""
    earlier: tuple[str, ...] = ()
    """Keys in the content store of such lists of earlier parts, oldest first, whose outcomes come before these."""


class Fork(Contract):
    """From which run another one was forked, and what it takes over of it.

    What the earlier run changed in the world stays that run's: it is neither undone nor done again here.
    """

    run: str
    """Workflow id of the earlier run."""
    run_id: str = ""
    """Run id of it."""
    start: str = ""
    """From where on all is done again, in words (`step 30`); empty: whatever had not ended well."""
    outcomes: tuple[str, ...] = ()
    """Keys in the content store of the outcomes that are taken over, as lists in JSON."""
    agents: Mapping[str, str] = Field(default_factory=dict)
    """Who does a step in place of its agent, by the step: an agent, or `AGENT@MODEL`."""
    changed: tuple[str, ...] = ()
    """Steps whose tools changed something that still stands, so that none of them may run again; empty where they may."""


class RunRequest(Contract):
    """Base of every request that starts a run. A wrong value fails the run, with the field named; later fields need a default.

    Example:
        ```python
        class TriageRequest(RunRequest):
            ticket: str
        ```
    """

    starts_run: ClassVar[bool] = True

    _ignored: tuple[str, ...] = PrivateAttr(())
    """Fields that were written and that it does not have, each with those that there are; its run gives notice of them."""

    budget: Budget | None = None
    """Limits on what the model calls of the run may cost; None: no limit."""
    gate: GatePolicy = GatePolicy()
    """Who must approve, and until when, wherever a gate of the run has no policy of its own."""
    requester: str = ""
    """Who asked for the run: by default they may not approve what it proposes."""
    on_failure: RollbackPolicy = KEEP
    """How far to undo what tools changed when the run fails, is cancelled, or ends for its budget."""
    on_denied: RollbackPolicy = KEEP
    """How far to undo, and then to end the run, when a person denies a tool call; by default the agent goes on without it."""
    on_fallback: OnFallback = OnFallback.TELL
    """What an agent that failed leaves to its fallback."""
    stream: bool = False
    """Whether its calls publish what the models write, which puts those texts into the run's history."""
    part_before: Annotated[RunCarried | None, CARRIED] = None
    """What the part before hands over; only a run that continues as new has it."""
    webhooks: tuple[Annotated[str, Field(pattern="^https?://", max_length=2000)], ...] = Field(
        default=(), max_length=MOST_WEBHOOKS
    )
    """Addresses that hear when a gate of the run opens, and when it ends, beside those of WEBHOOK_URLS."""
    forked: Fork | None = None
    """From which run it was forked; None: it was not."""
    delegation: DelegationLimits = DelegationLimits()
    """How far its agents may ask other agents."""


class RunResult(Contract):
    """Base of every result of a run. The base of the workflow fills in these fields; `run` may set them itself.

    Example:
        ```python
        class TriageResult(RunResult):
            severity: str = ""
        ```
    """

    state: RunState = RunState.RUNNING
    """How the run ended."""
    report: Content | None = None
    """The step trace of the run, in the content store."""
    spend: Spend = Spend()
    """What its model calls cost."""
    budget: BudgetShown | None = None
    """How it stands with its budget; None where it has none."""
    tools_missing: tuple[str, ...] = ()
    """Tools that its agents name and lacked, with the reason."""
    data: Content | None = None
    """The result as JSON, where the request gave a `result_schema`; it fits that schema."""


class ChangingResult(RunResult):
    """Base of results that list what tools changed, and what became of each change."""

    changes: Changes = Changes()
    """What the tools of the run changed; the run itself fills this in."""


class RollbackRequest(RunRequest):
    """The changes of an ended run, to undo."""

    run: str
    """Workflow id of that run; changes of other runs are left alone."""
    changes: Changes
    """Its changes, as it last reported them."""
    policy: RollbackPolicy = ROLL_BACK_ALL
    """How far to undo."""
    reason: str = "a person asked for it"
    """Why, as people see it."""
    again: bool = False
    """Whether undos that failed before are tried once more."""


class RollbackResult(ChangingResult):
    """What became of each change; `partial` where something could not be undone."""

    run: str
    """Workflow id of the run that was rolled back."""


def carried_in(given: Contract, path: str = "") -> Iterator[str]:
    """Name the fields of a request that only continue-as-new may fill, and that are filled, nested ones by their path."""
    for name, field in type(given).model_fields.items():
        value = getattr(given, name)
        if CARRIED in field.metadata:
            if value != field.get_default(call_default_factory=True):
                yield f"{path}{name}"
            continue
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Contract):
                yield from carried_in(each, f"{path}{name}.")
