"""Makes a plan that may run: asks the planner, repairs, asks again, and falls back to a named plan.

Three stages, every change recorded: repairs that cannot change the meaning; the remaining problems go back to the
planner; then the fallback plan. Used for the first plan and after a failed step alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.agents.model_calls import LENIENTLY
from outlast.contracts import MAX_STEPS, AgentCard, Part, Plan, PlanChange, PlanRequest, PlanStep
from outlast.dag import Outcome
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.plans.checking import PLAN_SCHEMA, is_alike, problems, read_plan, repair

MAX_PLANNER_REPAIRS = 2
PROBLEMS_SHOWN = 50
PLANNING_STEP = "plan"


class PlanMaking:
    """The making of one plan; `changes` records every repair.

    `prefix` goes before step ids wherever people see them, and `material` is what the planner sees beside the task.
    """

    def __init__(
        self, agents: Agents, request: PlanRequest, *, prefix: str = "", material: Sequence[Part] = ()
    ) -> None:
        self.changes: list[PlanChange] = []
        self.fell_back = False
        self._guarded: dict[str, PlanStep] = {}
        self._prefix = prefix
        self._material = tuple(material)
        self._agents = agents
        self._catalog = agents.catalog
        self._request = request

    async def make(self) -> Plan:
        """Return a valid plan; raises PlanInvalid when a person's plan is wrong, with every problem."""
        request = self._request
        if request.plan is not None:
            plan, found = self._checked(request.plan, self._executors(), MAX_STEPS)
            if found:
                raise non_retryable(ErrorKind.PLAN_INVALID, "the plan cannot run: " + "; ".join(found))
            return plan
        unknown = [name for name in request.agents if self._catalog.get(name) is None]
        if unknown:
            names = ", ".join(self._executors())
            raise non_retryable(
                ErrorKind.UNKNOWN_AGENT, f"agents: there is no {', '.join(unknown)}; choose from {names}"
            )
        if not request.task.strip():
            raise non_retryable(ErrorKind.INPUT_INVALID, "task: say what shall be done, or give a plan")
        return await self._planned([*self._material, Part(text=self._instruction())], kept={}) or self._fallback()

    async def replan(self, plan: Plan, done: Mapping[str, Outcome[Answer]], failures: Mapping[str, str]) -> Plan:
        """Ask for new steps after failures; what is `done` stays as it is. Without a usable answer the old plan goes on.

        Among what is `done` are steps that a person did not approve, and those that needed them: nothing is planned in their
        place. A new step that is like one that had to be confirmed has to be confirmed, too.
        """
        settled = {step.step: step for step in plan.steps if step.step in done}
        kept = {name: step for name, step in settled.items() if done[name].ok}
        denied = {name: step for name, step in settled.items() if not done[name].ok}
        so_far = _what_failed(failures, kept) + self._did(failures) + _what_was_denied(denied)
        parts = [*self._material, Part(text=self._instruction() + so_far)]
        for name in kept:
            answer = done[name].value
            assert answer is not None
            parts.append(Part.of(answer.content, label=f"step {name}"))
        fresh = await self._planned(parts, kept=settled, denied=denied)
        if fresh is None:
            return plan
        self._guarded |= {step.step: step for step in plan.steps if step.confirm}
        fresh = self._still_confirmed(fresh, settled)
        self._agents.run.state.forget([self._prefix + step.step for step in plan.steps if step.step not in settled])
        reasons = "; ".join(f"step {step} failed ({error[:100]})" for step, error in failures.items())
        self.changes.append(PlanChange(stage="replan", change=f"new steps, because {reasons}"))
        return fresh

    def read_edit(
        self, edit: Mapping[str, Any], kept: Mapping[str, PlanStep]
    ) -> tuple[Plan | None, list[str], list[PlanChange]]:
        """Read `{"plan": …}`, which a person wrote in place of all that is ahead of the finished steps `kept`.

        Returns the whole plan, or None and everything that is wrong with it; and what was repaired.
        """
        if list(edit) != ["plan"]:
            return None, ['edit: send {"plan": {"steps": […]}} with all steps that are still to be done'], []
        plan, found, changes = read_plan(edit["plan"], own=True)
        if plan is None:
            return None, found, changes
        agents = sorted({*self._executors(), *(step.agent for step in kept.values())})
        plan, repairs = repair(plan, agents)
        found = _reused(plan, kept)
        whole, reordered = repair(_with_kept(plan, kept), agents)
        found += problems(whole, agents, MAX_STEPS)
        return None if found else whole, found, [*changes, *repairs, *reordered]

    def _did(self, failures: Mapping[str, str]) -> str:
        """Return what failed steps changed, so that no new step does it again."""
        did = {step: self._agents.acts.lines(self._prefix + step) for step in failures}
        return "".join(f"\nBefore it failed, step {step} did this:\n{lines}\n" for step, lines in did.items() if lines)

    def _still_confirmed(self, plan: Plan, settled: Mapping[str, PlanStep]) -> Plan:
        """Have people approve what is like a step that they had to approve, by its gate: a planner does not take that back."""
        steps = []
        for step in plan.steps:
            like = next((each for each in self._guarded.values() if is_alike(step, each)), None)
            if like is not None and step.step not in settled:
                if not step.confirm:
                    why = f"step {step.step} must be confirmed, as it is like step {like.step}"
                    self.changes.append(PlanChange(stage="replan", change=why))
                step = step.model_copy(update={"confirm": True, "gate": like.gate})  # noqa: PLW2901
            steps.append(step)
        return Plan(steps=tuple(steps))

    async def _planned(
        self, parts: Sequence[Part], kept: Mapping[str, PlanStep], denied: Mapping[str, PlanStep] | None = None
    ) -> Plan | None:
        """Ask the planner until its plan is valid, at most twice more; None if it never is."""
        asked = list(parts)
        for _ in range(MAX_PLANNER_REPAIRS + 1):
            answer = await self._ask_planner(asked)
            if answer is None:
                return None
            plan, found = self._read(answer)
            if plan is not None:
                reused = _reused(plan, kept)
                plan, found = self._checked(_with_kept(plan, kept), self._planned_executors(kept), self._most(kept))
                found = [*reused, *_needs_denied(plan, denied or {}), *found]
            if plan is not None and not found:
                return plan
            self.changes.append(PlanChange(stage="planner", change="sent back: " + "; ".join(found)[:1000]))
            asked = [
                *parts,
                Part.of(answer.content, label="your last plan"),
                Part(text=_what_is_wrong(found)),
            ]
        return None

    async def _ask_planner(self, parts: Sequence[Part]) -> Answer | None:
        try:
            answer = await self._agents.ask_within(
                self._prefix + PLANNING_STEP, self._request.planner, parts, schema=PLAN_SCHEMA, accept_invalid=True
            )
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            self.changes.append(PlanChange(stage="planner", change=f"no plan: {text_of(error)[:500]}"))
            return None
        self.changes += [
            PlanChange(stage="deterministic" if LENIENTLY in note else "planner", change=note) for note in answer.notes
        ]
        return answer

    def _read(self, answer: Answer) -> tuple[Plan | None, list[str]]:
        if answer.data is None:
            return None, list(answer.wrong)
        plan, found, changes = read_plan(answer.data)
        self.changes += changes
        return plan, found

    def _checked(self, plan: Plan, agents: Sequence[str], max_steps: int) -> tuple[Plan, list[str]]:
        plan, changes = repair(plan, agents)
        self.changes += changes
        unread = dict.fromkeys(step.agent for step in plan.steps if step.agent not in agents)
        reasons = [f"{name}: {self._catalog.unread[name]}" for name in unread if name in self._catalog.unread]
        return plan, problems(plan, agents, max_steps) + reasons

    def _fallback(self) -> Plan:
        request = self._request
        named = request.fallback_plan or Plan(
            steps=(PlanStep(step="1", agent=request.fallback_agent, input=request.task),)
        )
        plan, found = self._checked(named, self._executors(), MAX_STEPS)
        if found:
            raise non_retryable(ErrorKind.PLAN_INVALID, "the fallback plan cannot run either: " + "; ".join(found))
        whose = "the given fallback plan" if request.fallback_plan else f"one step for {request.fallback_agent}"
        self.fell_back = True
        self.changes.append(PlanChange(stage="fallback", change=f"no valid plan, so {whose} runs"))
        return plan

    def _executors(self) -> list[str]:
        return [card.name for card in self._catalog.agents]

    def _planned_executors(self, kept: Mapping[str, PlanStep]) -> list[str]:
        # What is finished stays, even by an agent that the planner may not choose.
        return sorted({card.name for card in self._cards()} | {step.agent for step in kept.values()})

    def _most(self, kept: Mapping[str, PlanStep]) -> int:
        """Return how many steps a planner's plan may have; of a person's plan, what is finished does not count."""
        return self._request.max_steps + (len(kept) if self._request.plan is not None else 0)

    def _cards(self) -> list[AgentCard]:
        wanted = self._request.agents
        return [
            card
            for card in self._catalog.agents
            if card.name != self._request.planner and (not wanted or card.name in wanted)
        ]

    def _instruction(self) -> str:
        agents = "\n".join(f"- {card.name}: {card.description}" for card in self._cards())
        return (
            f"Task:\n{self._request.task}\n\nAgents you can use:\n{agents}\n\n"
            f"Write a plan of at most {self._request.max_steps} steps. Each step names one agent, its full input, and the "
            "steps whose results it needs. Steps that need nothing of each other run at the same time. "
            "Let one last step put the results together."
            + (" Every agent sees the parts that you see." if self._material else "")
        )


def _reused(plan: Plan, kept: Mapping[str, PlanStep]) -> list[str]:
    """Find new steps under a finished step's number: who depends on that number would get the old result."""
    return [
        f"step {step.step} is finished already; give the new step a number of its own"
        for step in plan.steps
        if step.step in kept and (step.agent, step.input) != (kept[step.step].agent, kept[step.step].input)
    ]


def _with_kept(plan: Plan, kept: Mapping[str, PlanStep]) -> Plan:
    """Put finished steps in front; a new step that repeats a finished one word for word is dropped."""
    fresh = [step for step in plan.steps if step.step not in kept]
    return Plan(steps=(*kept.values(), *fresh))


def _needs_denied(plan: Plan, denied: Mapping[str, PlanStep]) -> list[str]:
    """Find new steps that wait for what will never be done."""
    return [
        f"step {step.step} depends on step {name}, which was not approved or needs what was not; plan without it"
        for step in plan.steps
        for name in step.depends_on
        if name in denied and step.step not in denied
    ]


def _what_was_denied(denied: Mapping[str, PlanStep]) -> str:
    if not denied:
        return ""
    listed = "\n".join(
        f"- step {step.step}, {step.agent}: {' '.join(step.input.split())[:300]}" for step in denied.values()
    )
    return (
        f"\n\nPeople did not approve these steps, or they needed what was not approved:\n{listed}\nThat is final. "
        "Plan nothing that does the same, and no other way to the same end."
    )


def _what_failed(failures: Mapping[str, str], kept: Mapping[str, PlanStep]) -> str:
    failed = "\n".join(f"- step {step}: {error}" for step, error in failures.items())
    finished = ", ".join(kept) or "none"
    return (
        f"\n\nAn earlier plan failed:\n{failed}\n"
        f"Finished steps (their results follow; depend on them, do not repeat them): {finished}.\n"
        "Plan only the steps that are still needed, with new step numbers, another way."
    )


def _what_is_wrong(found: Sequence[str]) -> str:
    listed = "\n".join(f"- {problem}" for problem in found[:PROBLEMS_SHOWN])
    if len(found) > PROBLEMS_SHOWN:
        listed += f"\n- … and {len(found) - PROBLEMS_SHOWN} more"
    return f"That plan cannot run:\n{listed}\nWrite the whole plan again with these problems fixed."
