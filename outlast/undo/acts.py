"""What the agents of a step did to the world, so that no other attempt at the step does it again.

A fallback, or the same agent on a second try, is given what was done before it. Where it asks for the same act all the same (the
same tool with the same arguments), it gets the earlier answer; an act that may or may not have happened is made again
under the key that it had, by which services tell that it is the same.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from temporalio import workflow

from outlast.contracts import ActCarried, Change, ChangeState, Part, ToolAnswer, ToolCall, hashed

ARGUMENTS_SHOWN = 1000
ANSWER_SHOWN = 500
KEY_DIGEST = 16
DONE_BEFORE = (
    "An earlier attempt at this task failed, after it had done what is listed here. Do not do any of it again; "
    "go on from there.\n"
)
HAPPENED = (ChangeState.DONE, ChangeState.UNDO_FAILED, ChangeState.NOT_UNDOABLE)
STATES = {
    ChangeState.DONE: "done",
    ChangeState.REGISTERED: "nobody knows whether it happened; find out before you do it again",
    ChangeState.UNDONE: "undone since; it counts as not done",
    ChangeState.UNDO_FAILED: "done, and it could not be undone",
    ChangeState.NOT_UNDOABLE: "done, and it cannot be undone",
    ChangeState.NOT_HAPPENED: "it had no effect",
}


@dataclass
class Act:
    """One call of a tool that changes something; `change` is its number in the undo log (0: it was never made)."""

    step: str
    agent: str
    call: ToolCall
    change: int = 0
    answer: ToolAnswer | None = None
    settled: bool = False
    """Whether the ask that made it has ended."""

    @cached_property
    def digest(self) -> str:
        """Name the act by tool and arguments, for any agent."""
        arguments = {"input": dict(self.call.input)} if self.call.ref is None else {"ref": self.call.ref}
        return hashed({"tool": self.call.name, **arguments})

    @property
    def key(self) -> str:
        """The key by which a service tells that it is the same act, in every attempt at the step and after a reset."""
        return f"{workflow.info().workflow_id}/{self.step}/{self.digest[:KEY_DIGEST]}"


@dataclass
class Attempt:
    """One attempt of an agent at a step; `before` is what earlier attempts did there, in order."""

    step: str
    agent: str
    before: Sequence[Act]
    _state: Callable[[int], ChangeState | None]
    acts: list[Act] = field(default_factory=list)
    _repeated: Counter[str] = field(default_factory=Counter)

    def act(self, call: ToolCall) -> Act:
        """Return the act of a call: that of an earlier attempt, if this one asks for the same as often, else a new one."""
        new = Act(self.step, self.agent, call)
        same = [act for act in self.before if act.change and act.digest == new.digest and not self._is_gone(act)]
        number = self._repeated[new.digest]
        self._repeated[new.digest] += 1
        act = same[number] if number < len(same) else new
        self.acts.append(act)
        return act

    def asked(self, call: ToolCall, changes: Sequence[Change], answer: ToolAnswer) -> None:
        """Keep what another agent changed that was asked for it by this call."""
        for number, change in enumerate(changes):
            made = ToolCall(id=call.id, name=f"{call.name} · {change.tool}", input={"arguments": change.arguments})
            self.acts.append(Act(self.step, self.agent, made if number else call, change.seq, answer))

    def repeated(self, call: ToolCall) -> ToolAnswer | None:
        """Return what an agent answered to this very call in an earlier attempt, where it changed something that stands."""
        digest = Act(self.step, self.agent, call).digest
        for act in self.before:
            if act.change and act.digest == digest and (answer := self.answered(act, call)) is not None:
                self.acts.append(act)
                return answer
        return None

    def answered(self, act: Act, call: ToolCall) -> ToolAnswer | None:
        """Return the answer that an act has had already; None where it must be made."""
        if act.answer is None or act.answer.failed or self._state(act.change) not in HAPPENED:
            return None
        heading = f"This was done already, by {act.agent}, and was not done again. What came of it:"
        content = act.answer.content
        update = {"text": f"{heading}\n{content.text}"} if content.ref is None else {"label": heading}
        return ToolAnswer(id=call.id, content=content.model_copy(update=update))

    def done_before(self) -> list[Part]:
        """Return what was done before, for the agent of this attempt; nothing where nothing was."""
        if not self.before:
            return []
        lines = [f"{number}. {self._line(act)}" for number, act in enumerate(self.before, 1)]
        parts = [Part(text=DONE_BEFORE + "\n".join(lines), label="already done")]
        for number, act in enumerate(self.before, 1):
            if act.call.ref is not None:
                parts.append(Part(ref=act.call.ref, label=f"already done, arguments of {number}"))
            if act.answer is not None and act.answer.content.ref is not None:
                parts.append(Part(ref=act.answer.content.ref, label=f"already done, answer to {number}"))
        return parts

    def _line(self, act: Act) -> str:
        given = "…" if act.call.ref else json.dumps(dict(act.call.input), ensure_ascii=False)[:ARGUMENTS_SHOWN]
        state = self._state(act.change) if act.change else None
        became = STATES[state] if state is not None else "not done"
        answer = " ".join(((act.answer.content.text if act.answer else "") or "").split())[:ANSWER_SHOWN]
        return f"{act.agent} called {act.call.name}({given}): {became}" + (f". It answered: {answer}" if answer else "")

    def _is_gone(self, act: Act) -> bool:
        return self._state(act.change) in (ChangeState.UNDONE, None)


class Acts:
    """The acts of one run, by step; `change_of` looks a change up in the run's undo log."""

    def __init__(self, change_of: Callable[[int], Change | None]) -> None:
        self._change_of = change_of
        self._ended: dict[str, list[Act]] = {}

    def attempt(self, step: str, agent: str) -> Attempt:
        """Begin an attempt at a step, which knows what those that failed there did."""
        return Attempt(step, agent, tuple(self._ended.get(step, ())), self._state)

    def failed(self, attempt: Attempt) -> None:
        """Keep what a failed attempt did, for the next one."""
        known = self._ended.setdefault(attempt.step, [])
        known += [act for act in attempt.acts if act not in known]

    def settle(self, step: str) -> None:
        """Take note that an ask at a step has ended."""
        for act in self._ended.get(step, ()):
            act.settled = True

    def carried(self) -> dict[str, tuple[ActCarried, ...]]:
        """Return the acts for the next part of the run, but for those of asks under way: these find them again by themselves."""
        return {step: tuple(_carried(act) for act in acts if act.settled) for step, acts in self._ended.items()}

    def restore(self, carried: Mapping[str, Sequence[ActCarried]]) -> None:
        """Take over the acts of the parts before."""
        for step, acts in carried.items():
            self._ended[step] = [_restored(step, act) for act in acts]

    def changes(self, step: str) -> list[int]:
        """Name the changes of the attempts at a step that failed."""
        return [act.change for act in self._ended.get(step, ()) if act.change]

    def lines(self, step: str) -> str:
        """Return in a few lines what failed attempts at a step did; empty where they did nothing."""
        parts = self.attempt(step, "").done_before()
        return (parts[0].text or "").removeprefix(DONE_BEFORE) if parts else ""

    def _state(self, change: int) -> ChangeState | None:
        found = self._change_of(change)
        return found.state if found else None


def _carried(act: Act) -> ActCarried:
    answer = act.answer.model_dump(mode="json") if act.answer else None
    return ActCarried(agent=act.agent, call=act.call.model_dump(mode="json"), change=act.change, answer=answer)


def _restored(step: str, act: ActCarried) -> Act:
    answer = ToolAnswer.model_validate(act.answer) if act.answer is not None else None
    return Act(step, act.agent, ToolCall.model_validate(act.call), act.change, answer, settled=True)
