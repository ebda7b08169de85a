"""Finds out what a fork takes over of an earlier run, and what it does anew; nothing is started here."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client

from outlast.agents.outcomes import ANSWER_BYTES
from outlast.command_line import command
from outlast.contracts import (
    ChangeState,
    Fork,
    Plan,
    RunState,
    StepOutcome,
    StepOutcomes,
    StepRow,
    StepState,
    hashed,
)
from outlast.forks import SESSION, STAGED
from outlast.forks.changes import check_effects, standing_changes, with_changes
from outlast.forks.following import edited_steps, following
from outlast.forks.reading import EarlierRun, ForkError, missing_contents, read_run, references, with_plan
from outlast.forks.sessions import session_from
from outlast.plans.checking import read_plan
from outlast.storage.activities import ContentStore

NAMES_SHOWN = 20


@dataclass(frozen=True)
class Wanted:
    """What a fork shall do otherwise than the run before it.

    `edit` holds fields of its request, or a plan; `agent`, `model` and `text` are for the step `from_step`: who does it, on which
    model, and its input in a plan. With `repeat_effects`, steps whose tools changed something may run again.
    """

    from_step: str = ""
    from_turn: int | None = None
    edit: Mapping[str, Any] = field(default_factory=dict)
    agent: str = ""
    model: str = ""
    text: str = ""
    repeat_effects: bool = False
    retries: bool = False
    budget: Mapping[str, Any] = field(default_factory=dict)
    """Limits of the budget that are otherwise than those of the earlier run."""


@dataclass(frozen=True)
class Prepared:
    """A fork that is ready to start: `taken` are the steps that it takes over, `notes` are for people."""

    earlier: EarlierRun
    request: Mapping[str, Any]
    fork: Fork
    taken: tuple[str, ...]
    notes: tuple[str, ...]
    plan: Plan | None = None

    def new_id(self, number: int = 1) -> str:
        """Make an id that tells where it comes from; that of a retry, by `number`, is the same for everybody who asks for it."""
        origin, fork = re.sub(r"-(fork|retry)-[0-9a-f]{8}$", "", self.earlier.id), bool(self.fork.start)
        mark = secrets.token_hex(4) if fork else hashed({**self.request, "retry": number})[:8]
        return f"{origin}-{'fork' if fork else 'retry'}-{mark}"


async def prepare(client: Client, store: ContentStore, run: str, wanted: Wanted) -> Prepared:
    """Find out what a fork takes over; raises ForkError where it cannot be made."""
    earlier = await with_changes(client, await read_run(client, store, run))
    if wanted.retries:
        _check_retry(earlier, raised=bool(wanted.budget))
    if earlier.found.workflow_type == SESSION:
        return await _of_session(client, store, earlier, wanted)
    if wanted.from_turn is not None:
        raise ForkError(f"--from-turn: {run} is no session of one agent; name a step with --from-step")
    plan = _edited_plan(earlier, wanted)
    rows = _rows(earlier, plan)
    again = _again(earlier, plan, rows, wanted)
    taken = [outcome for outcome in earlier.outcomes if outcome.step not in again]
    standing = [] if wanted.repeat_effects else standing_changes(earlier)
    done = _done(rows, earlier, taken)
    check_effects(standing, done, earlier.plan, plan)
    await _check_contents(store, earlier, taken, wanted)
    made = Fork(
        run=earlier.id,
        run_id=earlier.found.run_id,
        start=_start_in_words(wanted),
        outcomes=await _kept(store, taken),
        agents=_agents(earlier, plan, rows, wanted),
        changed=tuple(sorted({change.step for change in standing})),
    )
    request = {**earlier.request, **_stages(earlier, again), **wanted.edit}
    if plan is not None:
        request |= await with_plan(store, plan, request)
    return Prepared(earlier, _asked_anew(request, made, wanted), made, done, _notes(earlier, done, wanted), plan)


def _check_retry(earlier: EarlierRun, *, raised: bool) -> None:
    if earlier.running:
        raise ForkError(
            f"run {earlier.id} still runs, and what fails in it is tried again by itself; end it first: "
            f"{command('cancel', earlier.id)}; or go on from a step of it in another run: "
            f"{command('fork', earlier.id)} --from-step STEP"
        )
    if earlier.found.workflow_type == SESSION and earlier.status.state is RunState.PARTIAL and not raised:
        raise ForkError(
            f"a limit ended session {earlier.id}, and would end it again; raise it: {command('fork', earlier.id)} "
            '--edit FILE, where FILE holds for instance {"limits": {"turns": 100}}'
        )
    failed = [row for row in earlier.status.steps if row.state is not StepState.DONE]
    if earlier.status.state is RunState.COMPLETED or (earlier.status.state is RunState.PARTIAL and not failed):
        raise ForkError(
            f"nothing failed in run {earlier.id}; to do a step of it again all the same: "
            f"{command('fork', earlier.id)} --from-step STEP"
        )


def _edited_plan(earlier: EarlierRun, wanted: Wanted) -> Plan | None:
    """Return the plan of the fork; None where the run has none, or a planner shall make another one."""
    if "plan" in wanted.edit:
        plan, problems, _ = read_plan(wanted.edit["plan"], own=True)
        if plan is None:
            raise ForkError("the edited plan cannot be read: " + "; ".join(problems))
    elif earlier.plan is None or ("task" in wanted.edit and not wanted.from_step):
        return None
    else:
        plan = earlier.plan
    update = {name: value for name, value in (("agent", wanted.agent), ("input", wanted.text)) if value}
    if not update:
        return plan
    return Plan(steps=tuple(s.model_copy(update=update) if s.step == wanted.from_step else s for s in plan.steps))


def _rows(earlier: EarlierRun, plan: Plan | None) -> Sequence[StepRow]:
    """Return the steps of the fork, as far as they are known before it runs."""
    if plan is None:
        return earlier.status.steps
    before = {row.step: row for row in earlier.status.steps}
    return [
        before.get(step.step, StepRow(step=step.step)).model_copy(
            update={"agent": step.agent, "depends_on": step.depends_on}
        )
        for step in plan.steps
    ]


def _again(earlier: EarlierRun, plan: Plan | None, rows: Sequence[StepRow], wanted: Wanted) -> set[str]:
    """Name the steps that are done again: where the fork begins, what was edited or undone, and all that comes after."""
    names = dict.fromkeys(row.step for row in rows)
    if wanted.from_step and wanted.from_step not in names:
        more = f" and {len(names) - NAMES_SHOWN} more" * (len(names) > NAMES_SHOWN)
        there = ", ".join(list(names)[:NAMES_SHOWN]) + more
        raise ForkError(f"run {earlier.id} has no step {wanted.from_step!r}; its steps are {there or 'not known yet'}")
    if (wanted.agent or wanted.model or wanted.text) and not wanted.from_step:
        raise ForkError("--agent, --model and --input say how a step is done; name it with --from-step")
    if wanted.text and plan is None:
        raise ForkError(
            "--input: only the steps of a plan have an input of their own; edit the run's request with --edit"
        )
    if not (wanted.from_step or wanted.edit or wanted.retries):
        raise ForkError("say from where on (--from-step STEP), or what shall be otherwise (--edit FILE)")
    undone = {change.step for change in earlier.changes if change.change.state is ChangeState.UNDONE}
    starts = [wanted.from_step, *undone, *edited_steps(earlier.plan, plan)]
    others = [outcome.step for outcome in earlier.outcomes]
    return following(rows, {step for step in starts if step in names}, others)


def _done(rows: Sequence[StepRow], earlier: EarlierRun, taken: Sequence[StepOutcome]) -> tuple[str, ...]:
    """Name the steps that the fork takes over: those that are done, and of which all answers are."""
    there = {outcome.step for outcome in taken}
    done = {row.step for row in earlier.status.steps if row.state is StepState.DONE}
    return tuple(row.step for row in rows if row.step in done and row.step in there)


async def _check_contents(
    store: ContentStore, earlier: EarlierRun, taken: Sequence[StepOutcome], wanted: Wanted
) -> None:
    named = {ref: f"the answer of step {one.step}" for one in taken for ref in references(one.model_dump())}
    named |= dict.fromkeys(references({**earlier.request, **wanted.edit}), "a text or file of the request")
    if gone := await missing_contents(store, named):
        raise ForkError(
            f"run {earlier.id} cannot be forked like this: the content store does not hold {', '.join(gone[:5])} any more"
            + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
            + "; fork from such a step on (--from-step), start the task anew, or restore the store"
        )


async def _kept(store: ContentStore, taken: Sequence[StepOutcome]) -> tuple[str, ...]:
    """Keep what is taken over in the content store, in lists that fit into a message; returns their keys."""
    lists: list[list[StepOutcome]] = []
    size = ANSWER_BYTES
    for outcome in taken:
        size += len(outcome.model_dump_json())
        if size > ANSWER_BYTES:
            lists.append([])
            size = 0
        lists[-1].append(outcome)
    pages = [StepOutcomes(outcomes=tuple(page), total=len(page)) for page in lists]
    return tuple([await store.put(page.model_dump_json().encode()) for page in pages])


def _agents(earlier: EarlierRun, plan: Plan | None, rows: Sequence[StepRow], wanted: Wanted) -> dict[str, str]:
    """Say who does a step in place of its agent; a plan names its agents itself, but no models.

    What an earlier fork said of a step holds on, unless the plan now names another agent for it, or is made anew.
    """
    planned = {step.step: step.agent for step in earlier.plan.steps} if earlier.plan else {}
    now = {step.step: step.agent for step in plan.steps} if plan else {}
    agents = {step: who for step, who in earlier.forked.agents.items() if planned.get(step) == now.get(step)}
    if not (wanted.agent or wanted.model):
        return agents
    own = next(row.agent for row in rows if row.step == wanted.from_step).partition("@")[0]
    if not (agent := wanted.agent or own):
        raise ForkError(
            f"step {wanted.from_step} is done by no agent of its own; name one with --agent, or one of its sub-steps"
        )
    if wanted.model:
        agents[wanted.from_step] = f"{agent}@{wanted.model}"
    elif plan is not None:
        agents.pop(wanted.from_step, None)
    else:
        agents[wanted.from_step] = agent
    return agents


def _stages(earlier: EarlierRun, again: set[str]) -> dict[str, Any]:
    """Return which stages of a staged run are done, and the stages as people have edited them."""
    if earlier.found.workflow_type != STAGED or earlier.progress is None:
        return {}
    done = []
    for output in earlier.progress.get("done", ()):
        if output.get("stage") in again:
            break
        done.append(output)
    edited = earlier.progress.get("edited")
    return {"done": done, **({"stages": edited} if edited else {})}


def _asked_anew(request: Mapping[str, Any], made: Fork, wanted: Wanted) -> dict[str, Any]:
    """Put the fork into the request; tools that were approved beforehand were approved for the earlier run alone."""
    kept = {name: value for name, value in request.items() if name != "allowed" or name in wanted.edit}
    budget = {"budget": {**(request.get("budget") or {}), **wanted.budget}} if wanted.budget else {}
    return {**kept, **budget, "forked": made.model_dump(mode="json")}


def _start_in_words(wanted: Wanted) -> str:
    if wanted.from_turn is not None:
        return f"turn {wanted.from_turn}"
    if wanted.from_step:
        return f"step {wanted.from_step}"
    return "" if wanted.retries else "what was edited"


def _notes(earlier: EarlierRun, done: Sequence[str], wanted: Wanted) -> tuple[str, ...]:
    notes = []
    of_all = earlier.found.workflow_type == SESSION
    if changed := [change for change in standing_changes(earlier) if of_all or change.step in done]:
        steps = ", ".join(dict.fromkeys(change.step for change in changed))
        runs = ", ".join(dict.fromkeys(change.run for change in changed))
        notes.append(
            f"what the tools of step {steps} changed stays as it is: it is not done again, and only a rollback of {runs} "
            "undoes it"
        )
    budget = earlier.status.budget
    if budget is not None and budget.stopped and wanted.retries and not wanted.budget:
        notes.append(
            f"run {earlier.id} had used up its budget ({budget.line}); this one has the budget of the request again, unspent. "
            "Where that is too little for what is left: retry with --budget-usd, --budget-tokens or --budget-calls"
        )
    if earlier.request.get("allowed"):
        notes.append("tools that were approved beforehand are not in the fork: people are asked again")
    return tuple(notes)


async def _of_session(client: Client, store: ContentStore, earlier: EarlierRun, wanted: Wanted) -> Prepared:
    if wanted.from_step:
        raise ForkError(f"--from-step: {earlier.id} is a session of one agent; name a turn with --from-turn")
    text = wanted.text or str(wanted.edit.get("task", ""))
    if wanted.from_turn is None and not (wanted.retries or wanted.edit or text or wanted.agent or wanted.model):
        raise ForkError("say from where on (--from-turn N), or what shall be otherwise (--edit FILE)")
    made = await session_from(client, earlier, wanted.from_turn, text)
    check_effects(() if wanted.repeat_effects else made.repeated, ())
    named = dict.fromkeys(references(made.progress), "the conversation")
    if gone := await missing_contents(store, named):
        raise ForkError(f"the content store does not hold {gone[0]} of run {earlier.id} any more; start the task anew")
    agent = wanted.agent or str(wanted.edit.get("agent") or made.agent or earlier.request.get("agent", ""))
    before = earlier.forked.agents.get(made.step, "")
    who = f"{agent}@{wanted.model}" if wanted.model else before if before.partition("@")[0] == agent else ""
    agents = {made.step: who} if who else {}
    fork_of = Fork(run=earlier.id, run_id=earlier.found.run_id, start=_start_in_words(wanted), agents=agents)
    request = {**earlier.request, **wanted.edit, "agent": agent, "continues": made.progress}
    notes = _notes(earlier, made.turns, wanted)
    return Prepared(earlier, _asked_anew(request, fork_of, wanted), fork_of, made.turns, notes)
