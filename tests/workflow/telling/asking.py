"""A small workflow that asks a person what a test wants to know, and its request."""

from typing import Any

from temporalio import workflow

from outlast.approvals.choices import choose
from outlast.contracts import RunRequest, RunResult
from outlast.workflow.base import AgentWorkflow


class Asking(RunRequest):
    """What to ask: a text with `options`, also `as_gate`, or a form by its schema, in which `wrong` is refused."""

    text: str
    options: tuple[str, ...] = ()
    form: dict[str, Any] | None = None
    as_gate: bool = False
    wrong: str = ""


class Asked(RunResult):
    answer: str | None = None


@workflow.defn
class AskingWorkflow(AgentWorkflow[Asking, Asked]):
    @workflow.run
    async def run(self, request: Asking) -> Asked:
        async def check(answer: str) -> str:
            return "not that" if request.wrong and request.wrong in answer else ""

        if request.as_gate:
            answer, _ = await choose(
                self.gates, self.state, request.text, request.options, name="choice-1", seconds=600
            )
        elif request.form is not None:
            answer = await self.people.ask_patiently("call-1", request.text, (), request.form, check)
        else:
            answer = await self.people.ask(request.text, options=request.options, seconds=600)
        return Asked(answer=answer)
