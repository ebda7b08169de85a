"""Runs the steps of a valid plan as a graph: each step sees its own input and the results it depends on.

What has ended well stays in `outcomes` and is not run again, so that a plan can be replaced or tried again in the middle.
Two runs of steps in one execution may use the same step ids, so rows and calls carry a prefix of their own.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from temporalio.exceptions import ApplicationError

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.agents.outcomes import answer_of
from outlast.agents.tool_gates import reason_of
from outlast.approvals.views import produced
from outlast.contracts import Part, Plan, PlanStep, ProposedAction, StepRow, StepState
from outlast.dag import AfterFailure, Outcome, run_graph
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.plans.checking import ends_of, graph_of
from outlast.workflow import journal
from outlast.workflow.activity_calls import is_recent
from outlast.workflow.failures import ENDINGS
from outlast.workflow.graphs import topological

LONG = 500
"""Steps of a plan that takes a workflow task of its own to lay out; no release before 0.3.0 ran a longer one."""
MOST_WAITING = 100
"""Steps of a plan that wait for a person at the same time: nobody sees more at once, and the run must hold them all."""


class PlanRunning:
    """The running of one plan's steps; `outcomes` tells how each ended.

    `prefix` goes before step ids wherever people see them, `material` is what every step sees before its input, and the
    last steps answer by `schema` if there is one. `on_done` is called with each step that is done. Where it `archives`, what
    steps gave is left behind when the run continues as new: such an outcome has no value until `recall` was called.
    """

    def __init__(
        self,
        agents: Agents,
        max_parallel: int,
        *,
        prefix: str = "",
        material: Sequence[Part] = (),
        schema: dict[str, Any] | None = None,
        on_done: Callable[[str], None] | None = None,
        archives: bool = False,
    ) -> None:
        self.outcomes: dict[str, Outcome[Answer]] = {}
        self._agents = agents
        self._max_parallel = max_parallel
        self._prefix = prefix
        self._material = tuple(material)
        self._schema = schema
        self._on_done = on_done
        self._archives = archives
        self._waiting = asyncio.Semaphore(MOST_WAITING)

    async def run(
        self,
        plan: Plan,
        after: AfterFailure = AfterFailure.GO_ON,
        until: Callable[[Mapping[str, Outcome[Answer]]], bool] | None = None,
    ) -> None:
        """Run every step that has no outcome yet; a step's failure is its outcome and is not raised.

        Once `until(outcomes)` holds, no other step starts, and it returns when the running ones have ended.
        """
        planned = {step.step: step for step in plan.steps}
        steps = dict(planned)
        ends = ends_of(plan)
        if len(plan.steps) > LONG:
            await journal.breathe()
        self.announce(plan)
        if len(plan.steps) > LONG:
            await journal.breathe()

        def schema_of(name: str) -> dict[str, Any] | None:
            return self._schema if name in ends else None

        def is_done(name: str) -> bool:
            """Whether a forked run takes the step over, so that nobody has to approve it again; False where that is not known."""
            step = planned[name]
            if self._left_behind(step.depends_on):
                return False
            return self._agents.is_done(self._prefix + name, step.agent, self._parts(step), schema_of(name))

        async def confirm(name: str) -> None:
            await self.recall(steps[name].depends_on)
            if not is_done(name):
                steps[name] = (await self._confirmed(steps[name])).model_copy(update={"confirm": False})

        async def execute(name: str) -> Answer:
            step = steps[name]
            schema = schema_of(name)
            await self.recall(step.depends_on)
            answer = await self._agents.ask(
                step.agent,
                self._parts(step),
                step=self._prefix + name,
                schema=schema,
                planned=self._parts(planned[name]),
            )
            if schema is not None and answer.data is None:
                why = f"{answer.agent} stopped before its answer fitted the schema"
                self._agents.run.state.end(self._prefix + name, StepState.FAILED, note=why)
                raise non_retryable(ErrorKind.OUTPUT_INVALID, why)
            if self._on_done:
                self._on_done(name)
            if self._archives and not planned[name].confirm:
                self._agents.run.state.archive.done(self._prefix + name, journal.here())
            return answer

        await run_graph(
            graph_of(plan),
            execute,
            max_parallel=self._max_parallel,
            outcomes=self.outcomes,
            after_failure=after,
            until=until,
            # A step that waits for a person takes no place from those that could run.
            prepare=lambda name: confirm(name) if steps[name].confirm and not is_done(name) else None,
            # What a person has denied is no failure to be planned around: its branch ends, and everything else goes on.
            ends_branch=is_refused if after is AfterFailure.DRAIN else None,
            on_skip=self._skipped,
            is_kept=lambda name: self._prefix + name in self._agents.run.state.archive,
        )

    async def recall(self, steps: Iterable[str]) -> None:
        """Read what steps gave that are done and have no value here, because an earlier part of the run did them."""
        if wanted := self._left_behind(steps):
            archive = self._agents.run.state.archive
            for outcome in await archive.read(self._prefix + step for step in wanted):
                self.outcomes[outcome.step.removeprefix(self._prefix)] = Outcome(value=answer_of(outcome))

    def _left_behind(self, steps: Iterable[str]) -> list[str]:
        known = ((step, self.outcomes.get(step)) for step in steps)
        return [step for step, outcome in known if outcome is not None and outcome.ok and outcome.value is None]

    def _parts(self, step: PlanStep) -> list[Part]:
        """Return what a step is given: its input, and the answers that it depends on."""
        parts = [*self._material, Part(text=step.input)]
        for dependency in step.depends_on:
            answer = self.outcomes[dependency].value
            assert answer is not None
            parts.append(Part.of(answer.content, label=f"step {dependency}"))
        return parts

    def announce(self, plan: Plan) -> None:
        """Show the steps that have no outcome yet."""
        for step in plan.steps:
            if step.step not in self.outcomes:
                row = StepRow(
                    step=self._prefix + step.step,
                    agent=step.agent,
                    input=" ".join(step.input.split())[:200],
                    depends_on=tuple(self._prefix + dependency for dependency in step.depends_on),
                )
                self._agents.run.state.add(row)

    async def _confirmed(self, step: PlanStep) -> PlanStep:
        """Wait until people have approved a step; returns it with the input that they approved, raises NotApproved."""
        # A plan of 0.2.0 had as many gates at once as there were such steps.
        if self._waiting.locked() and not is_recent():
            return await self._asked(step)
        async with self._waiting:
            return await self._asked(step)

    async def _asked(self, step: PlanStep) -> PlanStep:
        gates = self._agents.run.gates
        name = self._prefix + step.step
        self._agents.run.state.waits(name, "waits until a person has approved it")

        def described(text: str) -> str:
            return f"step {name}: {step.agent} shall {' '.join(text.split())}"[:200]

        action = ProposedAction(
            description=described(step.input),
            agent=step.agent,
            input={"input": step.input},
        )
        try:
            decision = await gates.open(
                action,
                step.gate.over(gates.policy) if step.gate else None,
                check=_input_missing,
                describe=lambda edited: described(str(edited.input["input"])),
                before=produced(self._agents.run.state.steps, [self._prefix + one for one in step.depends_on]),
            )
            if not decision.approved:
                raise non_retryable(ErrorKind.NOT_APPROVED, f"{decision.gate}: {reason_of(decision)}")
        except ENDINGS as error:
            self._agents.run.state.end(name, StepState.FAILED, note=text_of(error))
            raise
        return step.model_copy(update={"input": decision.action.input["input"]})

    def failures(self) -> dict[str, str]:
        """Return why each failed step failed."""
        return {step: text_of(outcome.error) for step, outcome in self.outcomes.items() if outcome.error is not None}

    def keep_done(self) -> dict[str, Outcome[Answer]]:
        """Forget all steps but those that are done, and return these."""
        self.outcomes = {step: outcome for step, outcome in self.outcomes.items() if outcome.ok}
        return self.outcomes

    def to_replan(self) -> dict[str, str]:
        """Return why each failed step failed, but for those that a person has not approved: these are settled."""
        failed = self.failures()
        return {step: why for step, why in failed.items() if not is_refused(self.outcomes[step].error)}

    def keep_settled(self, plan: Plan) -> dict[str, Outcome[Answer]]:
        """Forget all steps but those that are done, and those that a person has not approved with all that needs them."""
        kept = {step: outcome for step, outcome in self.outcomes.items() if outcome.ok or is_refused(outcome.error)}
        graph = graph_of(plan)
        for step in topological(graph):
            needed = [kept[name].skipped_by or name for name in graph[step] if name in kept and not kept[name].ok]
            if needed and step not in kept:
                kept[step] = Outcome(skipped_by=needed[0])
                if step not in self.outcomes:
                    self._skipped(step, needed[0])
        self.outcomes = kept
        return kept

    def _skipped(self, step: str, cause: str) -> None:
        self._agents.run.state.end(self._prefix + step, StepState.SKIPPED, note=f"skipped, because step {cause} failed")

    def cause(self) -> str:
        """Return in one line why steps failed."""
        return "; ".join(f"step {step}: {error}" for step, error in list(self.failures().items())[:3])

    def cause_kind(self) -> ErrorKind:
        """Name the kind of the first failure; NotApproved where a person has not approved a step, because no other try helps."""
        if any(is_refused(outcome.error) for outcome in self.outcomes.values()):
            return ErrorKind.NOT_APPROVED
        for outcome in self.outcomes.values():
            if isinstance(outcome.error, ApplicationError) and outcome.error.type in set(ErrorKind):
                return ErrorKind(outcome.error.type)
        return ErrorKind.NOTHING_SUCCEEDED


def is_refused(error: BaseException | None) -> bool:
    """Whether a step failed because no person approved it, which is final."""
    return error is not None and kind_of(error) is ErrorKind.NOT_APPROVED


def _input_missing(edited: ProposedAction) -> Sequence[str]:
    text = edited.input.get("input")
    right = isinstance(text, str) and text.strip()
    return () if right else ('input: give the step\'s new input as text: {"input": "…"}',)
