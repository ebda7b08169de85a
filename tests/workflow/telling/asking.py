"""A small workflow that asks a person what a test wants to know, and its request."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from outlast.approvals.choices import choose
from outlast.contracts import Question, RunRequest, RunResult
from outlast.workflow.base import AgentWorkflow


class Asking(RunRequest):
    """What to ask: a text with `options`, also `as_gate`, or a form by its schema."""

    text: str
    options: tuple[str, ...] = ()
    form: dict[str, Any] | None = None
    seconds: float = 600
    as_gate: bool = False


class Asked(RunResult):
    answer: str | None = None


@workflow.defn
class AskingWorkflow(AgentWorkflow[Asking, Asked]):
    @workflow.run
    async def run(self, request: Asking) -> Asked:
        if request.as_gate:
            seconds = request.seconds
            chosen, _ = await choose(
                self.gates, self.state, request.text, request.options, name="choice-1", seconds=seconds
            )
            return Asked(answer=chosen)
        if request.form is None:
            answer = await self.people.ask(request.text, options=request.options, seconds=request.seconds)
            return Asked(answer=answer)
        deadline = workflow.now() + timedelta(seconds=request.seconds)
        question = Question(id="form-1", text=request.text, deadline=deadline, form=request.form)
        self.state.asks(question)
        self.gates.slack.known(True)
        self.gates.slack.question(question)
        self.people._options["form-1"] = ()
        await workflow.wait_condition(lambda: "form-1" in self.people._answers)
        self.state.answered("form-1")
        self.gates.slack.question(question, "answered by a form")
        return Asked(answer=self.people._answers["form-1"])
