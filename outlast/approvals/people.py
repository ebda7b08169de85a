"""Asks a person, and goes on without an answer when none comes in time.

People send anything, at any time. So an answer is read leniently, kept when it names a question that has not been
asked yet, and shown as a notice when nobody asked; a wrong one never disturbs the run.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow

from outlast.approvals.deadlines import NEVER
from outlast.approvals.identity_activities import GateTermsActivities
from outlast.approvals.questions.answers import OVER, Answers
from outlast.contracts import QUESTION_MEMO, SUMMARY_LENGTH, GateTerms, GateTermsRequest, Question, QuestionPolicy
from outlast.errors import text_of
from outlast.notices.notifying import Notifier, notify_of_question
from outlast.notices.slack.thread import RunInSlack
from outlast.notices.webhooks import Webhooks
from outlast.tracing.trace import RunTrace
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import is_recent, run_activity_anew
from outlast.workflow.failures import FAILURES
from outlast.workflow.state import ExecutionState

DEFAULT_SECONDS = 300.0

Check = Callable[[str], Awaitable[str]]
"""Says what is wrong with an answer; "" for nothing."""


class People:
    """The people whom one run may ask: `self.people` of an `AgentWorkflow`."""

    def __init__(self, state: ExecutionState, trace: RunTrace) -> None:
        self._state = state
        self._trace = trace
        self.notifier = Notifier(trace)
        self.webhooks: Webhooks | None = None
        self.slack: RunInSlack | None = None
        self.answers = Answers(state, trace)
        self.open: dict[str, Question] = {}
        """Questions of tool calls that are open, by the call: one that an earlier part of the run has asked goes on."""

    async def ask(self, text: str, *, options: Sequence[str] = (), seconds: float | None = None) -> str | None:
        """Put a question and wait for its answer. People see it in the inbox, and are notified and reminded as of a gate.

        Args:
            text: The question.
            options: The answers to choose from; empty: any text.
            seconds: How long people have; by default as `gates.toml` says, else 300 s.

        Returns:
            The answer, one of `options` if there are any; None when the time is over.

        Example:
            ```python
            region = await self.people.ask("Which region?", options=("eu", "us"), seconds=3600)
            ```
        """
        return await journal.once("question", str | None, partial(self._ask, text, options, seconds))

    async def ask_patiently(
        self, call: str, text: str, options: Sequence[str], form: dict[str, Any] | None, check: Check
    ) -> str | None:
        """Put the question of a tool call, and wait until `check` finds nothing wrong with an answer, which may take for ever.

        Where the deployment says how long people have, None when that time is over. An answer to a `form` is JSON, as text.
        """

        async def asked() -> str | None:
            if (known := self.open.get(call)) is not None:
                question, name, terms = known, known.id, await self._terms()
            else:
                name, since = journal.fixed("name", self._next), journal.now("asked")
                terms = await self._terms()
                given = terms.questions.deadline
                until = (
                    workflow.now() + timedelta(seconds=since + given - workflow.time()) if given is not None else None
                )
                shown, full = with_options(text, options), " ".join(text.split())
                full = "" if full in shown else full
                question = Question(id=name, text=shown, full=full, deadline=until, options=tuple(options), form=form)
            self.open[call] = question
            self.answers.checked.add(name)
            again = known is not None
            try:
                while (answer := await self._put(question, terms, again=again)) is not None and (
                    wrong := await check(answer)
                ):
                    del self.answers.given[name]
                    self._trace.notice(f"{name}: {wrong}"[:500])
                    self.answers.judge(name, wrong)
                    again = False
                self.answers.judge(name, "")
            finally:
                self.answers.judge(name, OVER)
                self.open.pop(call, None)
            return answer

        return await journal.once(f"question {call}", str | None, asked)

    async def _ask(self, text: str, options: Sequence[str], seconds: float | None) -> str | None:
        name = journal.fixed("name", self._next)
        asked = journal.now("asked")
        terms = await self._terms() if is_recent() else None
        policy = terms.questions if terms is not None else QuestionPolicy()
        given = seconds if seconds is not None else policy.deadline or DEFAULT_SECONDS
        deadline = workflow.now() + timedelta(seconds=max(0.0, asked + given - workflow.time()))
        shown = with_options(text, options)
        return await self._put(Question(id=name, text=shown, deadline=deadline, options=tuple(options)), terms)

    def restore(self, questions: Mapping[str, Question]) -> None:
        """Take over the questions that the part before left open: people may answer before they are asked anew."""
        self.open = dict(questions)
        for question in questions.values():
            self.answers.options[question.id] = question.options
            self.answers.checked.add(question.id)
            self._state.asks(question)

    async def _put(self, question: Question, terms: GateTerms | None, *, again: bool = False) -> str | None:
        """Show a question until it is answered, or its time is over; people are told of it by `terms`, if not `again`."""
        name, remind_every = question.id, terms.questions.remind_every if terms is not None else None
        self.answers.options[name] = question.options  # from here on: an answer that came before is kept for it
        self._state.asks(question)
        if terms is not None and not again:
            workflow.upsert_memo({f"{QUESTION_MEMO}{name}": question})
            self._tell(terms, question, "asked")
        early = self.answers.given.pop(name, None)
        if early is not None:
            self.answers.take(name, early)
        try:
            while not await self._answered(question, remind_every):
                if terms is not None:
                    self._tell(terms, question, "reminded")
        finally:
            if workflow.in_workflow():  # not where a run that leaves memory is closed
                self._state.answered(name)
                if terms is not None:
                    workflow.upsert_memo({f"{QUESTION_MEMO}{name}": None})
        answer = self.answers.given.get(name)
        if self.slack is not None:  # only on this way out: where a run is stopped, or leaves memory, nothing is posted
            self.slack.question(question, "nobody answered in time" if answer is None else f"answered: {answer}")
        return answer

    async def _answered(self, question: Question, remind_every: float | None) -> bool:
        """Wait for the answer until the deadline, or the next reminder if there is one before; returns whether that is all."""
        left = None if question.deadline is None else max(question.deadline - workflow.now(), timedelta())
        every = timedelta(seconds=remind_every) if remind_every and remind_every < NEVER else left
        reminds = every is not None and (left is None or left - every > timedelta(seconds=1))
        try:
            await workflow.wait_condition(
                lambda: question.id in self.answers.given,
                timeout=every if reminds else left,
                timeout_summary=f"{question.id}: {question.text}"[:200],
            )
        except TimeoutError:
            return not reminds
        return True

    async def _terms(self) -> GateTerms:
        """Read how people are told of questions in this deployment; where that cannot be read, they are not."""
        try:
            asked = GateTermsRequest(question=True)
            terms = await run_activity_anew(GateTermsActivities.gate_terms, asked, **policies.gate_terms())
        except FAILURES as error:
            self._trace.notice(f"nobody is told of questions: {text_of(error)}")
            return GateTerms()
        if self.webhooks is not None:
            self.webhooks.known(terms.webhooks)
        if self.slack is not None:
            self.slack.known(terms.slack)
        return terms

    def _tell(self, terms: GateTerms, question: Question, kind: str) -> None:
        what = f"{question.id} is {kind}"
        if terms.channels:
            self.notifier.begin(notify_of_question(self._trace, terms.channels, question, kind), what)
        if self.slack is not None:
            self.slack.question(question, is_reminder=kind == "reminded")
        if self.webhooks and kind == "asked":
            self.notifier.begin(self.webhooks.question_asked(question), what)

    def _next(self) -> str:
        self.answers.asked += 1
        return f"question-{self.answers.asked}"


def with_options(text: str, options: Sequence[str]) -> str:
    """Shorten a question to what people are shown, its options behind it."""
    choice = f" ({' | '.join(options)})" if options else ""
    if len(choice) > SUMMARY_LENGTH // 2:
        # The question itself must be seen; an answer outside the options is refused with the list of them.
        choice = f" (one of {len(options)} options)"
    return f"{' '.join(text.split())[: SUMMARY_LENGTH - len(choice) - 1]}{choice}"[:SUMMARY_LENGTH]
