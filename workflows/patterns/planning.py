"""Plans as data: read them, find every problem, repair what can be repaired without a model. Pure.

The trap: a plan that is silently "fixed" is another plan. So every repair is recorded, only repairs that cannot change
the meaning are made here, and everything else goes back to whoever wrote the plan.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from workflows.contracts import Plan, PlanChange, PlanShape, PlanStep
from workflows.patterns.scheduling import remaining_paths, topological

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


def read_plan(data: Any) -> tuple[Plan | None, list[str]]:
    """Read a plan from JSON data (an object with `steps`, or the bare list); returns it, or what is wrong with its form."""
    if isinstance(data, Plan):
        return data, []
    if isinstance(data, list):
        data = {"steps": data}
    try:
        return Plan.model_validate(data), []
    except ValidationError as error:
        return None, [_form_problem(found["loc"], found["msg"]) for found in error.errors()]


def _form_problem(location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return 'the plan must be an object with a list "steps"'
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return f"{path}: {message[0].lower()}{message[1:]}; write {{step, agent, input, depends_on}} for each step"


def problems(plan: Plan, agents: Collection[str], max_steps: int) -> list[str]:
    """Find everything that keeps a plan from running, each with what to change; empty means valid."""
    if not plan.steps:
        return ["the plan has no steps; add at least one"]
    found = []
    if len(plan.steps) > max_steps:
        found.append(f"{len(plan.steps)} steps are more than the {max_steps} allowed; merge or drop some")
    ids = [step.step for step in plan.steps]
    found += [
        f"step id {duplicate} is used {ids.count(duplicate)} times; give each step its own id"
        for duplicate in dict.fromkeys(name for name in ids if ids.count(name) > 1)
    ]
    for step in plan.steps:
        found += _step_problems(step, ids, agents)
    cycle = find_cycle({step.step: step.depends_on for step in plan.steps})
    if cycle:
        path = " → ".join(cycle)
        found.append(f"the steps wait for each other in a circle: {path}; drop one of these dependencies")
    return found


def _step_problems(step: PlanStep, ids: Sequence[str], agents: Collection[str]) -> Iterable[str]:
    if step.agent not in agents:
        yield f"step {step.step}: there is no agent {step.agent!r}; use one of {', '.join(sorted(agents))}"
    if not step.input.strip():
        yield f"step {step.step}: the input is empty; say what {step.agent or 'the agent'} shall do"
    for dependency in dict.fromkeys(step.depends_on):
        if dependency == step.step:
            yield f"step {step.step} depends on itself; remove {dependency} from its depends_on"
        elif dependency not in ids:
            yield f"step {step.step} depends on step {dependency}, which does not exist; add that step or remove it"


def find_cycle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one cycle as a path that ends where it began, each node depending on the next; empty if there is none.

    A node that depends on itself, or on one that does not exist, makes no cycle here: those are problems of their own.
    """
    cleared: dict[str, None] = {}
    for root in graph:
        path: dict[str, None] = {}
        stack: list[tuple[str, int]] = [(root, 0)]
        while stack:
            node, position = stack.pop()
            path.setdefault(node)
            following = [after for after in graph[node] if after in graph and after != node]
            if node in cleared or position == len(following):
                cleared.setdefault(node)
                path.pop(node, None)
                continue
            stack.append((node, position + 1))
            after = following[position]
            if after in path:
                nodes = list(path)
                return [*nodes[nodes.index(after) :], after]
            if after not in cleared:
                stack.append((after, 0))
    return []


def repair(plan: Plan, agents: Collection[str]) -> tuple[Plan, list[PlanChange]]:
    """Make the repairs that cannot change a plan's meaning, and record each one.

    Agent names that differ in case, spaces or a suffix are resolved, repeated dependencies dropped, and steps that stand
    before their dependencies moved behind them.
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
        steps.append(step.model_copy(update={"agent": agent, "depends_on": unique}))
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
    matches = [agent for agent in sorted(agents) if _bare(agent) == _bare(name)]
    return matches[0] if len(matches) == 1 else name


def _bare(name: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in name.casefold()).split()
    return "".join(word for word in words if word not in {"agent", "the"})


def _reordered(steps: Sequence[PlanStep]) -> list[PlanStep]:
    by_id = {step.step: step for step in steps}
    graph = {step.step: [after for after in step.depends_on if after in by_id and after != step.step] for step in steps}
    if len(by_id) != len(steps) or find_cycle(graph):
        return list(steps)
    return [by_id[node] for node in topological(graph)]


def graph_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the dependency graph of a valid plan."""
    return {step.step: step.depends_on for step in plan.steps}


def ends_of(plan: Plan) -> list[str]:
    """Return the steps that no other step depends on: their results are the answer."""
    needed = {dependency for step in plan.steps for dependency in step.depends_on}
    return [step.step for step in plan.steps if step.step not in needed]


def shape_of(plan: Plan) -> PlanShape:
    """Work out the critical path of a valid plan and which steps can run at the same time."""
    graph = graph_of(plan)
    depths: dict[str, int] = {}
    for node in topological(graph):
        depths[node] = 1 + max((depths[dependency] for dependency in graph[node]), default=0)
    waves: list[list[str]] = [[] for _ in range(max(depths.values()))]
    for node in graph:
        waves[depths[node] - 1].append(node)
    paths = remaining_paths(graph)
    critical: list[str] = []
    candidates = waves[0]
    while candidates:
        node = max(candidates, key=lambda candidate: paths[candidate])
        critical.append(node)
        candidates = [after for after in graph if node in graph[after] and paths[after] == paths[node] - 1]
    return PlanShape(critical_path=tuple(critical), waves=tuple(map(tuple, waves)))
