"""Asks a person, and goes on without an answer when none comes in time.

People send anything, at any time. So an answer is read leniently, kept when it names a question that has not been
asked yet, and shown as a notice when nobody asked; a wrong one never disturbs the run.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow

from outlast.contracts import SUMMARY_LENGTH, Question
from outlast.tracing.trace import RunTrace
from outlast.workflow import journal
from outlast.workflow.inputs import plain
from outlast.workflow.state import ExecutionState

DEFAULT_SECONDS = 300.0
EARLY_KEPT = 50

Check = Callable[[str], Awaitable[str]]
"""Says what is wrong with an answer; "" for nothing."""


class People:
    """The people around one run: what they were asked, and what they answered."""

    def __init__(self, state: ExecutionState, trace: RunTrace) -> None:
        self._state = state
        self._trace = trace
        self.asked = 0
        """How many questions were asked."""
        self._options: dict[str, tuple[str, ...]] = {}
        self._answers: dict[str, str] = {}

    async def ask(self, text: str, *, options: Sequence[str] = (), seconds: float = DEFAULT_SECONDS) -> str | None:
        """Put a question and wait for its answer, one of `options` if there are any; None when the time is over."""
        return await journal.once("question", str | None, partial(self._ask, text, options, seconds))

    async def ask_patiently(
        self, call: str, text: str, options: Sequence[str], form: dict[str, Any] | None, check: Check
    ) -> str:
        """Put the question of a tool call, and wait however long it takes for an answer that `check` finds nothing wrong with.

        An answer to a `form` is JSON, as text.
        """

        async def asked() -> str | None:
            name = journal.fixed("name", self._next)
            shown, full = with_options(text, options), " ".join(text.split())
            question = Question(
                id=name, text=shown, full="" if full in shown else full, options=tuple(options), form=form
            )
            while True:
                given = await self._put(question, None)
                if not (wrong := await check(given or "")):
                    return given
                del self._answers[name]
                self._trace.notice(f"{name}: {wrong}"[:500])

        return await journal.once(f"question {call}", str | None, asked) or ""

    async def _ask(self, text: str, options: Sequence[str], seconds: float) -> str | None:
        name = journal.fixed("name", self._next)
        seconds = max(0.0, journal.now("asked") + seconds - workflow.time())
        deadline = workflow.now() + timedelta(seconds=seconds)
        shown = with_options(text, options)
        return await self._put(Question(id=name, text=shown, deadline=deadline, options=tuple(options)), seconds)

    async def _put(self, question: Question, seconds: float | None) -> str | None:
        name = question.id
        self._options[name] = question.options
        self._state.asks(question)
        early = self._answers.pop(name, None)
        if early is not None:
            self._take(name, early)
        try:
            await workflow.wait_condition(
                lambda: name in self._answers,
                timeout=None if seconds is None else timedelta(seconds=seconds),
                timeout_summary=f"{name}: {question.text}"[:200],
            )
        except TimeoutError:
            return None
        finally:
            if workflow.in_workflow():  # not where a run that leaves memory is closed
                self._state.answered(name)
        return self._answers[name]

    def _next(self) -> str:
        self.asked += 1
        return f"question-{self.asked}"

    @property
    def answers(self) -> dict[str, str]:
        """Answers to questions that are open, or not asked yet."""
        return {
            name: given
            for name, given in self._answers.items()
            if name in self._state.questions or name not in self._options
        }

    def restore(self, asked: int, answers: Mapping[str, str]) -> None:
        """Go on as the part before ended."""
        self.asked, self._answers = asked, dict(answers)

    def answer(self, arguments: Sequence[Any]) -> None:
        """Take a person's answer: a text, or `{"question": "question-1", "answer": "…"}`; never raises."""
        question, given = read_answer(arguments, self._is_form)
        if given is None:
            self._trace.notice(f"answer with {len(arguments)} inputs not understood; send one text")
            return
        waiting = [name for name in self._state.questions if name not in self._answers]
        if not question and len(waiting) == 1:
            question = waiting[0]
        if question in waiting:
            self._take(question, given)
        elif question and question not in self._options and len(self._answers) < EARLY_KEPT:
            self._answers[question] = given
        else:
            why = f"{len(waiting)} questions are open, name one" if len(waiting) > 1 else "no such question is open"
            self._trace.notice(f"answer {given!r} changes nothing: {why}")

    def _is_form(self, question: str) -> bool:
        """Whether a question is answered with an object: this one, or the one that is open."""
        asked = self._state.questions
        named = asked.get(question) if question else next(iter(asked.values()), None) if len(asked) == 1 else None
        return named is not None and named.form is not None

    def _take(self, question: str, given: str) -> None:
        options = self._options[question]
        chosen = next((option for option in options if option.casefold() == given.strip().casefold()), None)
        if options and chosen is None:
            self._trace.notice(f"{question}: {given!r} is not one of {', '.join(options)}")
            return
        self._answers[question] = chosen or given


def with_options(text: str, options: Sequence[str]) -> str:
    """Shorten a question to what people are shown, its options behind it."""
    choice = f" ({' | '.join(options)})" if options else ""
    if len(choice) > SUMMARY_LENGTH // 2:
        # The question itself must be seen; an answer outside the options is refused with the list of them.
        choice = f" (one of {len(options)} options)"
    return f"{' '.join(text.split())[: SUMMARY_LENGTH - len(choice) - 1]}{choice}"[:SUMMARY_LENGTH]


def read_answer(arguments: Sequence[Any], is_form: Callable[[str], bool] = lambda _: False) -> tuple[str, str | None]:
    """Find question and answer in whatever was sent; the answer to a form (by question) may be an object."""
    if len(arguments) == 2 and all(isinstance(each, str) for each in arguments):
        return str(arguments[0]), str(arguments[1])
    if len(arguments) != 1:
        return "", None
    data = plain(arguments[0])
    if isinstance(data, dict):
        answer = data.get("answer")
        if isinstance(answer, dict) and is_form(str(data.get("question", ""))):
            answer = json.dumps(answer, ensure_ascii=False)
        elif answer is None and is_form(""):
            answer = json.dumps(data, ensure_ascii=False)
        return str(data.get("question", "")), str(answer) if isinstance(answer, str | int | float) else None
    # What is JSON but no object is an answer as it was written.
    answer = data if isinstance(data, str | int | float) else arguments[0]
    return "", str(answer) if isinstance(answer, str | int | float) and str(answer).strip() else None
