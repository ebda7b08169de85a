"""What people answer to the questions of one run: read leniently, held against the question, and known when it is sent again.

The signal never raises, and shows as a notice what changes nothing. The update is refused instead, and its sender hears why.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import workflow

from outlast.approvals.messages import read_answer, read_key
from outlast.approvals.questions.keys import Keys
from outlast.contracts import QuestionAnswered
from outlast.errors import ErrorKind, non_retryable
from outlast.tracing.trace import RunTrace
from outlast.workflow.inputs import plain
from outlast.workflow.state import ExecutionState

EARLY_KEPT = 50
EXAMPLE = '{"question": "question-1", "answer": "…"}'
OVER = "it was taken back before the answer was checked"


class Answers:
    """What people have answered in one run, by question."""

    def __init__(self, state: ExecutionState, trace: RunTrace) -> None:
        self._state = state
        self._trace = trace
        self.keys = Keys()
        self.asked = 0
        """How many questions were asked."""
        self.options: dict[str, tuple[str, ...]] = {}
        """The options of each question that was asked, empty where it has none."""
        self.checked: set[str] = set()
        """Questions whose answers are checked once they have come, beyond their options."""
        self.given: dict[str, str] = {}
        self._verdicts: dict[str, str | None] = {}
        """What is wrong with answers whose senders wait to hear it, by question; None: that is not known yet."""

    @property
    def carried(self) -> dict[str, str]:
        """Answers to questions that are open, or not asked yet."""
        return {
            name: given
            for name, given in self.given.items()
            if name in self._state.questions or name not in self.options
        }

    def restore(self, asked: int, given: Mapping[str, str]) -> None:
        """Go on as the part before ended."""
        self.asked, self.given = asked, dict(given)

    def receive(self, arguments: Sequence[Any]) -> None:
        """Take a person's answer: a text, or `{"question": "question-1", "answer": "…"}`; never raises."""
        question, given = read_answer(arguments, self._is_form)
        if given is None:
            self._trace.notice(f"answer with {len(arguments)} inputs not understood; send one text")
            return
        question, waiting, key = question or self._only, self._waiting, read_key(arguments)
        if question in waiting and self.keys.number(key) is not None:
            if why := self.keys.conflict(key, given):
                self._trace.notice(f"answer {given!r} changes nothing: {why}")
        elif question in waiting:
            self.keys.remember(key, 0, given)
            self.take(question, given)
        elif question and question not in self.options and len(self.given) < EARLY_KEPT:
            self.given[question] = given
        else:
            why = f"{len(waiting)} questions are open, name one" if len(waiting) > 1 else "no such question is open"
            self._trace.notice(f"answer {given!r} changes nothing: {why}")

    def refusal(self, arguments: Sequence[Any]) -> str:
        """Say why an answer would not be taken, naming the field and the fix; "" where it would. Changes nothing."""
        question, given = read_answer(arguments, self._is_form)
        if given is None:
            return f"answer: {len(arguments)} inputs are not understood; send a text, or {EXAMPLE}"
        key = read_key(arguments)
        if (why := self.keys.conflict(key, given)) or self.keys.number(key) is not None:
            return why
        waiting, named = self._waiting, question
        question = question or self._only
        if question in waiting:
            return self._wrong(question, given)
        if not named:
            return f"question: name one of {', '.join(waiting)}" if waiting else "question: nothing is asked"
        over = "is answered already, or over" if self._was_asked(named) else "was not asked"
        return f"question: {named[:60]!r} {over}; {'open: ' + ', '.join(waiting) if waiting else 'none is open'}"

    async def answer(self, arguments: Sequence[Any]) -> QuestionAnswered:
        """Take the answer of somebody who waits to hear what came of it; raises InputInvalid with the reason if it is refused."""
        if why := self.refusal(arguments):
            raise non_retryable(ErrorKind.INPUT_INVALID, why)
        question, given = read_answer(arguments, self._is_form)
        key = read_key(arguments)
        if (number := self.keys.number(key)) is not None:
            return QuestionAnswered(question=question, repeated=True, number=number)
        assert given is not None
        question = question or self._only
        self.take(question, given)
        if question in self.checked:
            self._verdicts[question] = None
            await workflow.wait_condition(lambda: self._verdicts[question] is not None)
            if wrong := self._verdicts.pop(question):
                raise non_retryable(ErrorKind.INPUT_INVALID, f"answer: {wrong}")
        self.keys.remember(key, 0, given)
        return QuestionAnswered(question=question)

    def take(self, question: str, given: str) -> None:
        """Take an answer to a question that was asked, unless it is none of its options."""
        chosen = self._chosen(question, given)
        if self.options[question] and chosen is None:
            self._trace.notice(f"{question}: {given!r} is not one of {', '.join(self.options[question])}")
            return
        self.given[question] = chosen or given

    def judge(self, question: str, wrong: str) -> None:
        """Let whoever waits to hear whether their answer was taken know what is wrong with it; the first word on it counts."""
        if self._verdicts.get(question, "") is None:
            self._verdicts[question] = wrong

    @property
    def _waiting(self) -> list[str]:
        return [name for name in self._state.questions if name not in self.given]

    @property
    def _only(self) -> str:
        """The question that is meant where none is named; "" where none is open, or more than one."""
        waiting = self._waiting
        return waiting[0] if len(waiting) == 1 else ""

    def _was_asked(self, question: str) -> bool:
        """Whether there was such a question, here or in an earlier part of the run."""
        number = re.fullmatch(r"question-(\d{1,9})", question)
        return question in self.options or (number is not None and 0 < int(number[1]) <= self.asked)

    def _wrong(self, question: str, given: str) -> str:
        if self.options[question] and self._chosen(question, given) is None:
            return f"answer: {given[:60]!r} is not one of {', '.join(self.options[question])}"
        if self._state.questions[question].form is not None and not isinstance(plain(given), Mapping):
            return f"answer: {given[:60]!r} is no JSON object; fill in the form of {question}"
        return ""

    def _chosen(self, question: str, given: str) -> str | None:
        """Return the option that an answer means; None where it means none."""
        wanted = given.strip().casefold()
        return next((option for option in self.options[question] if option.casefold() == wanted), None)

    def _is_form(self, question: str) -> bool:
        """Whether a question is answered with an object: this one, or the one that is open."""
        asked = self._state.questions
        named = asked.get(question) if question else next(iter(asked.values()), None) if len(asked) == 1 else None
        return named is not None and named.form is not None
