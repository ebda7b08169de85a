"""Plans as data: read them, find every problem, repair what can be repaired without a model. Pure.

A plan that is silently "fixed" is another plan. So every repair is recorded, only repairs that cannot change
the meaning are made here, and everything else goes back to the author of the plan.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from outlast.contracts import Plan, PlanChange, PlanShape, PlanStep
from outlast.plans.cycles import cycle_problems, find_cycle
from outlast.plans.reading import Reading
from outlast.workflow.graphs import dependents_of, remaining_paths, topological

PLAN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "description": "The steps of the plan.",
            "items": {
                "type": "object",
                "properties": {
                    "step": {
                        "anyOf": [{"type": "integer"}, {"type": "string"}],
                        "description": "A number, different for each step.",
                    },
                    "agent": {"type": "string", "description": "The name of one of the agents."},
                    "input": {"type": "string", "description": "What the agent shall do, in full."},
                    "depends_on": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                        "description": "The steps whose results this step needs; empty if none.",
                    },
                    "confirm": {
                        "type": "boolean",
                        "description": "True if a person must approve the step first: it does what cannot be undone.",
                    },
                },
                "required": ["step", "agent", "input"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["steps"],
    "additionalProperties": False,
}
"""What the planner is asked for, in the subset of JSON schema that model APIs enforce."""


FIXES = {
    "step": "give each step an id of its own, a number or a text of 1 to 64 characters",
    "agent": "name one agent",
    "input": "say in one text what the agent shall do",
    "depends_on": "list the ids of the steps it needs, or none",
    "confirm": "write true where a person must approve the step first, or leave it out",
    "gate": "write an object with needed, eligible, deadline (seconds), or leave it out",
}
"""What to do about each field of a step that cannot be read."""

FORM_PROBLEMS_SHOWN = 20
ALIKE = 0.6
"""Share of the words of the shorter of two inputs from which on their steps are taken to do the same."""

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\W_]+")


def read_plan(data: Any, *, own: bool = False) -> tuple[Plan | None, list[str], list[PlanChange]]:
    """Read a plan from JSON data (an object with `steps`, or the bare list), leniently where the meaning is plain.

    The order of steps is read wherever it stands. Returns the plan, or None and what is wrong with its form; and in both
    cases what was read otherwise than written. Who must approve a step is taken from a person's `own` plan alone: no model
    says who watches over it.
    """
    if isinstance(data, Plan):
        return data, [], []
    reading = Reading.of(data)
    changes = [_deterministic(note) for note in reading.notes]
    found = reading.doubts
    try:
        plan = Plan.model_validate(reading.data)
    except ValidationError as error:
        wrong = [_form_problem(each["loc"], each["msg"]) for each in error.errors()]
        more = [f"… and {len(wrong) - FORM_PROBLEMS_SHOWN} more of this kind"]
        return None, found + wrong[:FORM_PROBLEMS_SHOWN] + more * (len(wrong) > FORM_PROBLEMS_SHOWN), changes
    if not own:
        plan = Plan(steps=tuple(step.model_copy(update={"gate": None}) if step.gate else step for step in plan.steps))
    return None if found else plan, found, changes


def _form_problem(location: tuple[int | str, ...], message: str) -> str:
    if location == ("steps",):
        return "steps: there is no list of steps; write a list with {step, agent, input, depends_on} for each step"
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    field = str(location[2]) if len(location) > 2 else ""
    fix = FIXES.get(field, "write {step, agent, input, depends_on} for each step")
    return f"{path}: {message[0].lower()}{message[1:]}; {fix}"


def problems(plan: Plan, agents: Collection[str], max_steps: int) -> list[str]:
    """Find everything that keeps a plan from running, each with what to change; empty means valid."""
    if not plan.steps:
        return ["the plan has no steps; add at least one"]
    found = []
    if len(plan.steps) > max_steps:
        found.append(f"{len(plan.steps)} steps are more than the {max_steps} allowed; merge or drop some")
    uses = Counter(step.step for step in plan.steps)
    found += [
        f"step id {name} is used {times} times; give each step its own id" for name, times in uses.items() if times > 1
    ]
    for step in plan.steps:
        found += _step_problems(step, uses, agents)
    return [*found, *cycle_problems({step.step: step.depends_on for step in plan.steps})]


def _step_problems(step: PlanStep, ids: Collection[str], agents: Collection[str]) -> Iterable[str]:
    if step.agent not in agents:
        # NAME@MODEL is what an agent with a fallback on another model is called inside.
        names = ", ".join(sorted(each for each in agents if "@" not in each)) or "none, since there are no agents"
        yield f"step {step.step}: there is no agent {step.agent!r}; use one of {names}"
    if not step.input.strip():
        yield f"step {step.step}: the input is empty; say what {step.agent or 'the agent'} shall do"
    for dependency in dict.fromkeys(step.depends_on):
        if dependency == step.step:
            yield f"step {step.step} depends on itself; remove {dependency} from its depends_on"
        elif dependency not in ids:
            yield f"step {step.step} depends on step {dependency}, which does not exist; add that step or remove it"


def repair(plan: Plan, agents: Collection[str]) -> tuple[Plan, list[PlanChange]]:
    """Make the repairs that cannot change a plan's meaning, and record each one.

    Agent names that differ in case, separators or the word "agent" are resolved, repeated dependencies dropped, and steps
    that stand before their dependencies moved behind them.
    """
    changes: list[PlanChange] = []
    steps = []
    for step in plan.steps:
        agent = resolve_agent(step.agent, agents)
        if agent != step.agent:
            changes.append(_deterministic(f"step {step.step}: agent {step.agent!r} is read as {agent!r}"))
        unique = tuple(dict.fromkeys(step.depends_on))
        if unique != step.depends_on:
            changes.append(_deterministic(f"step {step.step}: repeated dependencies dropped"))
        same = agent == step.agent and unique == step.depends_on
        steps.append(step if same else step.model_copy(update={"agent": agent, "depends_on": unique}))
    ordered = _reordered(steps)
    if [step.step for step in ordered] != [step.step for step in steps]:
        order = ", ".join(step.step for step in ordered)
        changes.append(_deterministic(f"steps moved behind their dependencies, now in the order {order}"))
    return Plan(steps=tuple(ordered)), changes


def _deterministic(change: str) -> PlanChange:
    return PlanChange(stage="deterministic", change=change)


def resolve_agent(name: str, agents: Collection[str]) -> str:
    """Find the one agent that a name can mean, by case, separators and the words "agent" or "the"; else leave it as it is."""
    if name in agents:
        return name
    bare = _bare(name)
    matches = [agent for agent in sorted(agents) if bare and _bare(agent) == bare]
    return matches[0] if len(matches) == 1 else name


def _bare(name: str) -> str:
    words = _SEPARATORS.split(_CAMEL_CASE.sub(" ", name).casefold())
    return "".join(word for word in words if word not in {"agent", "the"})


def _reordered(steps: Sequence[PlanStep]) -> list[PlanStep]:
    by_id = {step.step: step for step in steps}
    graph = {step.step: [after for after in step.depends_on if after in by_id and after != step.step] for step in steps}
    if len(by_id) != len(steps) or find_cycle(graph):
        return list(steps)
    return [by_id[node] for node in topological(graph)]


def is_alike(one: PlanStep, other: PlanStep) -> bool:
    """Whether two steps may do the same, by whichever agent: one id, or most words of the shorter input are in the other's.

    Rather too often than too seldom: the price is one more question to a person.
    """
    mine, its = (frozenset(_SEPARATORS.split(step.input.casefold())) - {""} for step in (one, other))
    return one.step == other.step or len(mine & its) >= ALIKE * max(1, min(len(mine), len(its)))


def graph_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the dependency graph of a valid plan."""
    return {step.step: step.depends_on for step in plan.steps}


def ends_of(plan: Plan) -> list[str]:
    """Return the steps that no other step depends on: their results are the answer."""
    needed = {dependency for step in plan.steps for dependency in step.depends_on}
    return [step.step for step in plan.steps if step.step not in needed]


def with_one_end(plan: Plan, agent: str, do: str) -> Plan:
    """Let one step come last: where a valid plan has several ends, add one by `agent` that gets the results of them all."""
    ends = ends_of(plan)
    if len(ends) == 1:
        return plan
    taken = {step.step for step in plan.steps}
    name = next(name for name in ("result", *(f"result {n}" for n in range(2, len(taken) + 3))) if name not in taken)
    return Plan(steps=(*plan.steps, PlanStep(step=name, agent=agent, input=do, depends_on=tuple(ends))))


def shape_of(plan: Plan) -> PlanShape:
    """Work out the critical path of a valid plan and which steps can run at the same time."""
    graph = graph_of(plan)
    depths: dict[str, int] = {}
    for node in topological(graph):
        depths[node] = 1 + max((depths[dependency] for dependency in graph[node]), default=0)
    waves: list[list[str]] = [[] for _ in range(max(depths.values()))]
    for node in graph:
        waves[depths[node] - 1].append(node)
    paths, dependents = remaining_paths(graph), dependents_of(graph)
    critical: list[str] = []
    candidates = waves[0]
    while candidates:
        node = max(candidates, key=lambda candidate: paths[candidate])
        critical.append(node)
        candidates = dependents[node]
    return PlanShape(critical_path=tuple(critical), waves=tuple(map(tuple, waves)))
