"""What a person does in a chat beside talking: decide at gates, answer questions, end the session."""

from collections.abc import Callable

from temporalio.client import WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from outlast.cli.chat.commands import HELP, Meant, first_of
from outlast.cli.chat.sessions import end
from outlast.cli.chat.talk import Talk
from outlast.cli.control import send_answer
from outlast.cli.decisions.sending import DecisionRequest, send
from outlast.cli.decisions.standing import STOP_ASKING, bounds_in
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import PASSING, Reach
from outlast.cli.rendering import safe
from outlast.client import ServerUnavailableError
from outlast.contracts import Verdict


class Acting:
    """Acts in the name of one person; `note` prints what came of it."""

    def __init__(self, reach: Reach, who: str, talk: Talk, note: Callable[[str], None]) -> None:
        self._reach = reach
        self._who = who
        self._talk = talk
        self._note = note
        self.failed = False
        """Whether something was not done that was asked for."""

    async def do(self, what: Meant, run: WorkflowExecutionDescription | None, key: str = "") -> None:
        """Do it, and say what came of it; what cannot be done is said, and ends nothing. An answer is known by its key."""
        if what.word not in ("approve", "deny", "revoke", "answer", "end"):
            if what.word != "help":
                self.fail(safe(f"/{what.word} is no command; // begins a message that begins with a slash"))
            for line in HELP:
                self._note(line)
        elif run is None:
            self.fail("there is no session yet: say something first")
        else:
            try:
                await self._act(what, run, key)
            except (LeavingError, ApplicationError) as error:
                self.fail(safe(f"✗ {error}"))
            except (RPCError, ServerUnavailableError) as error:
                if isinstance(error, RPCError) and error.status not in PASSING:
                    raise
                self.fail(f"✗ the server does not answer; once it does, type /{what.word} again")

    def fail(self, line: str) -> None:
        """Say what was not done, and why."""
        self.failed = True
        self._note(line)

    async def _act(self, what: Meant, run: WorkflowExecutionDescription, key: str) -> None:
        talk = self._talk
        if what.word == "end":
            if not await end(self._reach, run, self._who):
                self._note(f"{run.id} has ended already")
        elif what.word == "answer" and not talk.questions:
            self.fail("nothing is asked: a line is a message")
        elif what.word == "answer":
            question, text = first_of(what.text, tuple(talk.questions))
            self._note(safe(await send_answer(self._reach, run.id, text, question or None, key, self._who)))
            talk.questions.pop(question or talk.question, None)
        elif what.word == "revoke":
            gate, _, reason = what.text.partition(" ")
            request = DecisionRequest(Verdict.REVOKE, gate, self._who, reason)
            self._note(await send(self._reach, run.id, request, self._note))
        else:
            await self._decide(what, run)

    async def _decide(self, what: Meant, run: WorkflowExecutionDescription) -> None:
        talk = self._talk
        gate, reason = first_of(what.text, tuple(talk.gates))
        gate = gate or next(iter(talk.gates), "")
        bounds, reason = bounds_in(reason)
        verdict = Verdict.APPROVE if what.word == "approve" else Verdict.DENY
        if bounds is not None and verdict is Verdict.DENY:
            raise LeavingError(WRONG, f"{STOP_ASKING}: it goes with /approve, so nothing was sent")
        # What was shown here is what is decided: an action that was edited since has another digest.
        digest = talk.gates[gate].digest if gate in talk.gates and talk.gates[gate].whole else ""
        request = DecisionRequest(verdict, gate, self._who, reason, digest, stop_asking=bounds)
        self._note(await send(self._reach, run.id, request, _unsaid if digest else self._note))
        talk.gates.pop(gate, None)


def _unsaid(_: str) -> None:
    """What stands on the screen already is not told again."""
