"""Hybrid: fixed stages, given as data, one after the other; within each stage a model decides the sub-steps.

A stage that fails is tried again alone. One that fails for good ends the run, which keeps what is done, so that a later run
goes on from there. People count on the stages, so no model may add, skip or reorder one.
"""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.answers import Answer
from outlast.approvals.checkpoints import Checkpoints, StoppedError
from outlast.approvals.pausing import unpaused
from outlast.contracts import CheckpointWhen, Content, Part, RunState, StepRow, StepState
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.review import Review, Reviewed
from outlast.stages.contracts import Rubric, Stage, StagedProgress, StagedRequest, StagedResult, StageOutput
from outlast.stages.rules import (
    DEFAULT_STAGES,
    NOT_RETRIED,
    judges_earlier,
    label_of,
    lead_of,
    merged_notes,
    problems_of,
    read_edit,
)
from outlast.stages.work import StageWork
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.failures import ENDINGS
from outlast.workflow.keeping import (
    keep_data,
    part_of,
)


@workflow.defn
class StagedDeliveryWorkflow(AgentWorkflow[StagedRequest, StagedResult]):
    """Takes a task through its stages; fails with the typed cause when a stage gives no output."""

    continues = True
    versioning_behavior = VersioningBehavior.AUTO_UPGRADE
    """People look at its stages, which may take them days; no build should have to be kept for that."""

    @workflow.init
    def __init__(self, request: StagedRequest) -> None:
        super().__init__(request)
        self._stages = request.stages or DEFAULT_STAGES
        self._task = Part(text=request.task, label="task")
        self._edited: tuple[Stage, ...] = ()
        self._outputs: dict[str, StageOutput] = {}
        self._at_work = ""
        self._points = Checkpoints(self.gates, request.checkpoint)

    @workflow.run
    async def run(self, request: StagedRequest) -> StagedResult:
        """Check everything first, then work on one stage after the other."""
        await self._prepare()
        self._lay_out(request.done)
        while len(self._outputs) < len(self._stages):
            stage = self._stages[len(self._outputs)]
            try:
                self._outputs[stage.name] = await self._deliver(stage)
                await self._between_stages(stage)
            except StoppedError as stop:
                return await self._stopped(str(stop))
            except (ActivityError, ApplicationError) as error:
                if is_cancelled_exception(error):
                    raise
                raise await self._failed(stage, error) from error
        return await self._result()

    @workflow.query(description="The outputs so far, and the stage at work; a later run can go on from there")
    def progress(self) -> StagedProgress:
        """Return how far the run is."""
        return StagedProgress(done=tuple(self._outputs.values()), stage=self._at_work, edited=self._edited)

    async def _prepare(self) -> None:
        """Read the agents, refuse stages that cannot run, and keep a long task in the content store."""
        self._points.only(CheckpointWhen.AFTER_PLAN, CheckpointWhen.EVERY_STAGE)
        await self.agents.read()
        agents = [card.name for card in self.agents.catalog.agents]
        found = problems_of(self._stages, self.request.done, agents, self.request.planner)
        if not self.request.task.strip():
            found.insert(0, "task: say what shall be delivered")
        if found:
            raise non_retryable(ErrorKind.INPUT_INVALID, "this cannot start: " + "; ".join(found))
        self._task = await part_of(self.request.task, "keep the task", label="task")

    def _lay_out(self, done: Sequence[StageOutput]) -> None:
        """Show all stages, and take over those that an earlier run has finished."""
        self._show_stages(self._stages)
        for output in done:
            self._outputs[output.stage] = output
            self.state.end(output.stage, StepState.DONE, output=output.content, note="taken over from an earlier run")

    def _show_stages(self, stages: Sequence[Stage], before: str = "") -> None:
        for stage in stages:
            row = StepRow(step=stage.name, input=stage.goal[:200], depends_on=(before,) if before else ())
            self.state.add(row)
            before = stage.name

    async def _between_stages(self, stage: Stage) -> None:
        """Stop for people after a stage, if asked to; they may change the stages ahead."""
        done = len(self._outputs)
        ahead = self._stages[done:]
        if not ahead or not self._points.at(CheckpointWhen.EVERY_STAGE):
            return
        agents = [card.name for card in self.agents.catalog.agents]
        kept, outputs, planner = self._stages[:done], tuple(self._outputs.values()), self.request.planner
        edited = await self._points.hold(
            f"after stage {stage.name}",
            f"{done} of {len(self._stages)} stages done; ahead: {', '.join(each.name for each in ahead)}",
            {"stages": [each.model_dump(mode="json", exclude_defaults=True) for each in ahead]},
            lambda edit: read_edit(edit, kept, outputs, agents, planner)[1],
        )
        if edited is None:
            return
        fresh, found = read_edit(edited, kept, outputs, agents, planner)
        if found:
            raise non_retryable(ErrorKind.INPUT_INVALID, "the edited stages cannot run: " + "; ".join(found))
        self.state.forget([each.name for each in ahead])
        self._stages = self._edited = (*kept, *fresh)
        self._show_stages(fresh, stage.name)

    async def _deliver(self, stage: Stage) -> StageOutput:
        """Get a stage's output, in as many attempts as it has."""
        self._at_work = stage.name
        await unpaused(self.state)
        self.state.begin(stage.name)
        work = StageWork(
            self.agents,
            stage,
            planner=self.request.planner,
            max_parallel=self.request.max_parallel,
            earlier=tuple(self._outputs),
            material=self._material(),
            points=self._points,
        )
        failures: list[str] = []
        while True:
            try:
                output = await self._attempt(stage, work)
            except StoppedError:
                raise
            except ENDINGS as error:
                why = "was cancelled" if is_cancelled_exception(error) else f"failed: {text_of(error)}"
                failures.append(f"attempt {len(failures) + 1} {why}")
                if _is_hopeless(error) or len(failures) == stage.attempts:
                    self.state.end(stage.name, StepState.FAILED, note="; ".join(failures))
                    raise
            else:
                break
        notes = merged_notes((*failures, *output.notes))
        self.state.end(stage.name, StepState.DONE, output=output.content, note="; ".join(notes))
        return output.model_copy(update={"attempts": len(failures) + 1, "notes": notes})

    async def _attempt(self, stage: Stage, work: StageWork) -> StageOutput:
        """Write a draft by sub-steps, unless the stage judges an earlier one; then review it, if it is a review stage."""
        material = self._material()
        if judges_earlier(stage, list(self._outputs)):
            before = list(self._outputs.values())[-1]
            answer, material = Answer(before.content, before.stage), material[:-1]
        else:
            answer = await work.draft()
        reviewed = Reviewed(answer, None, ())
        if stage.rubric is not None:
            reviewed = await self._review(stage, stage.rubric, material).of(answer)
        return StageOutput(
            stage=stage.name,
            content=reviewed.draft.content,
            data=await self._typed(stage, reviewed.draft.data),
            score=reviewed.score,
            steps=work.steps,
            rounds=len(reviewed.rounds),
            notes=(*work.notes, *answer.notes, *reviewed.notes),
        )

    def _review(self, stage: Stage, rubric: Rubric, material: Sequence[Part]) -> Review:
        return Review(
            self.agents,
            stage.name,
            rubric,
            writer=lead_of(stage),
            reviewer=stage.reviewer,
            goal=stage.goal,
            material=material,
            schema=stage.output_schema,
        )

    def _material(self) -> list[Part]:
        """Return what every sub-step sees: the task, and the outputs of all earlier stages."""
        outputs = self._outputs.values()
        return [self._task, *(Part.of(each.data or each.content, label=label_of(each.stage)) for each in outputs)]

    async def _typed(self, stage: Stage, data: dict[str, Any] | None) -> Content | None:
        return None if data is None else await keep_data(data, f"{stage.name} · keep the data")

    async def _failed(self, stage: Stage, error: Exception) -> Exception:
        for row in list(self.state.steps.values()):
            if row.state is StepState.PENDING:
                self.state.end(row.step, StepState.SKIPPED, note=f"not reached, because stage {stage.name} failed")
        return non_retryable(
            kind_of(error), f"stage {stage.name!r} failed: {text_of(error)}", await self._result(stage.name)
        )

    async def _stopped(self, why: str) -> StagedResult:
        for row in list(self.state.steps.values()):
            if row.state in (StepState.PENDING, StepState.RUNNING):
                self.state.end(row.step, StepState.SKIPPED, note=f"not done: {why}")
        return await self._result(stopped=why)

    async def _result(self, failed: str = "", stopped: str = "") -> StagedResult:
        whole = all(row.state is StepState.DONE for row in self.state.steps.values())
        ended = RunState.FAILED if failed else RunState.COMPLETED if whole else RunState.PARTIAL
        self.state.close(RunState.STOPPED if stopped else ended)
        after = self._stages[len(self._outputs)].name if stopped else ""
        self._at_work = failed or after
        return StagedResult(
            state=self.state.phase,
            stages=tuple(self._outputs.values()),
            report=await self.keep_report(),
            failed=failed,
            spend=self.state.spend,
            stopped=stopped,
            next_stage=after,
            edited=self._edited,
        )


def _is_hopeless(error: BaseException) -> bool:
    """Whether another attempt is no use: the failure would be the same, or it is no failure of the work at all."""
    if not isinstance(error, ActivityError | ApplicationError):
        return True
    return is_cancelled_exception(error) or kind_of(error) in NOT_RETRIED
