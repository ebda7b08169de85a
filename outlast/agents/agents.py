"""The agents of one run, asked through one place: `answer = await self.agents.ask("analyst", "What does this mean?")`."""

from collections.abc import Sequence
from functools import partial
from typing import Any, overload

from pydantic import BaseModel

from outlast.agents.answers import Answer, Check, Model, TypedAnswer, problems_of, schema_of
from outlast.agents.asking import MAX_REPAIRS, Ask
from outlast.agents.cards import AgentCards
from outlast.agents.delegation.calling import delegate
from outlast.agents.outcomes import digest_of_ask
from outlast.approvals.pausing import unpaused
from outlast.contracts import SUMMARY_LENGTH, Content, Part, StepRow, StepState, ToolAnswer, ToolCall, ToolCard
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.undo.acts import Attempt
from outlast.workflow import journal
from outlast.workflow.failures import ENDINGS
from outlast.workflow.keeping import keep_data, part_of

FILL_IN = "Put what is above into the fields that are asked for. Add nothing to it; leave empty what it does not say."


class Agents(AgentCards):
    """The agents of one run."""

    @overload
    async def ask(
        self, agent: str, task: str | Sequence[Part], *, result: None = None, step: str = "", **options: Any
    ) -> Answer: ...

    @overload
    async def ask(
        self, agent: str, task: str | Sequence[Part], *, result: type[Model], step: str = "", **options: Any
    ) -> TypedAnswer[Model]: ...

    async def ask(
        self,
        agent: str,
        task: str | Sequence[Part],
        *,
        result: type[BaseModel] | None = None,
        step: str = "",
        **options: Any,
    ) -> Answer:
        """Ask an agent, its fallbacks if need be, as a step that people see begin and end.

        Args:
            agent: Name of the agent, as its file gives it.
            task: A text, or parts: labelled ones are material, the others say what to do.
            result: Type of the answer's `value`. What does not fit it is sent back to the model, `max_repairs` times.
            step: Name of the step; by default that of the agent, numbered where it is asked more than once.
            **options: As for `ask_within`.

        Returns:
            What was answered, by whom, and notes on what happened on the way.

        Raises:
            ApplicationError: When nobody answers, of the kind that the last one failed with; OutputInvalid where no answer
                fitted `result`.

        Example:
            ```python
            report = Part.of(content, label="report")
            answer = await self.agents.ask("analyst", [report, Part(text="Is it true?")], result=Verdict)
            if answer.value.confidence > 0.8: ...
            ```
        """
        state = self.run.state
        given = [task] if isinstance(task, str) else task
        step = step or journal.fixed(f"step {agent} {journal.digest(*given)}", lambda: state.unused(agent))
        if step not in state.steps:
            first = (
                task
                if isinstance(task, str)
                else next((part.text for part in task if part.text and not part.label), "")
            )
            state.add(StepRow(step=step, agent=agent, input=" ".join(first.split())[:SUMMARY_LENGTH]))
        parts = (await part_of(task, f"{step} · keep the task"),) if isinstance(task, str) else task
        await unpaused(state)
        state.begin(step, agent)
        try:
            if result is None:
                answer = await self.ask_within(step, agent, parts, **options)
            else:
                answer = await self.ask_for(result, step, agent, parts, **options)
        except ENDINGS as error:
            state.end(step, StepState.FAILED, note=text_of(error))
            raise
        state.end(step, StepState.DONE, output=answer.content, note="; ".join(answer.notes))
        return answer

    async def ask_for(
        self, result: type[Model], step: str, agent: str, parts: Sequence[Part], **options: Any
    ) -> TypedAnswer[Model]:
        """Ask for a `result` of that type, as `ask` does, as a part of a step that has begun."""
        check = partial(problems_of, kind=result)
        answer = await self.ask_within(step, agent, parts, schema=schema_of(result), check=check, **options)
        return TypedAnswer.of(answer, result)

    async def fill_in(
        self, schema: dict[str, Any], agent: str, material: Sequence[Part], *, step: str = "result"
    ) -> Content:
        """Have an agent put material into JSON of a schema, as a step of its own; returns the JSON.

        Raises:
            ApplicationError: When nobody does; OutputInvalid where no answer fitted the schema.
        """
        answer = await self.ask(agent, [*material, Part(text=FILL_IN)], step=step, schema=schema)
        if answer.data is None:
            raise non_retryable(ErrorKind.OUTPUT_INVALID, f"{answer.agent} stopped before its answer fitted the schema")
        return await keep_data(answer.data, f"{step} · keep the data")

    async def ask_within(
        self,
        step: str,
        agent: str,
        parts: Sequence[Part],
        *,
        schema: dict[str, Any] | None = None,
        accept_invalid: bool = False,
        context_characters: int | None = None,
        max_repairs: int = MAX_REPAIRS,
        wait_for_cost: bool = False,
        shared_parts: int = 0,
        check: Check | None = None,
        planned: Sequence[Part] | None = None,
    ) -> Answer:
        """Ask an agent, its fallbacks if need be, as a part of a step that has begun.

        A forked run does not ask what the run before it has asked with the same words: it takes that answer over.

        Args:
            step: The step that the calls count for.
            agent: Name of the agent.
            parts: What it is given.
            schema: JSON schema of the answer, which is then found in `data`.
            accept_invalid: Return an answer that breaks the schema instead of sending it back.
            context_characters: How many characters of the labelled parts it is shown; None: as many as fit.
            max_repairs: How often an answer that breaks the schema is sent back.
            wait_for_cost: Whether cancelling waits until the running call has reported what it cost.
            shared_parts: How many of the first parts other agents are given as well, at about the same time.
            check: Lists what is wrong with an answer that fits `schema`, which then is sent back as well.
            planned: What it was to be given before people changed that; a fork of the run knows the step by it.

        Raises:
            ApplicationError: When nobody answers.
        """
        await self.ready()
        asked = digest_of_ask(agent, parts if planned is None else planned, schema)
        ask = Ask(
            self,
            step,
            parts,
            schema=schema,
            accept_invalid=accept_invalid,
            context_characters=context_characters,
            max_repairs=max_repairs,
            wait_for_cost=wait_for_cost,
            shared_parts=shared_parts,
            check=check,
        )

        # What is taken over is looked up anew in each part of a run that continues as new; what was answered is found.
        answer = await self.outcomes.take(step, asked)
        if answer is None:
            by = partial(ask.of, self.outcomes.agent_for(step, agent))
            if journal.here() is None:
                answer = await by()
            else:
                answer = await journal.once(f"ask {step} {journal.digest(agent, *parts)}", Answer, by)
        if schema is None or answer.data is not None or accept_invalid:
            self.outcomes.keep(step, asked, answer)
        return answer

    async def delegate(
        self, step: str, asker: str, card: ToolCard, call: ToolCall, attempt: Attempt | None
    ) -> tuple[ToolAnswer, str]:
        """Have another agent do a task for the one that works at a step; returns its answer, and a note ("" for nothing)."""
        return await delegate(self, step, asker, card, call, attempt)

    def is_done(self, step: str, agent: str, parts: Sequence[Part], schema: dict[str, Any] | None = None) -> bool:
        """Whether a forked run takes the answer to this over, so that nobody is asked."""
        return self.outcomes.has(step, digest_of_ask(agent, parts, schema))
