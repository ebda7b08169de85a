"""The budget of a run: every model call reserves before it is sent, and people are asked when a limit is reached.

A call fits if what it will probably cost does, beside the worst that those that run can cost. One that does not fit waits for
them, because their reservations are larger than what they cost. When nothing runs and it still does not fit, one gate asks
people for more, however many calls wait; a budget that cannot start even one call says so at once. A call that waits may be
cancelled while the gate is open; the gate belongs to the run and stays.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception

from outlast.approvals.gates import Gates
from outlast.budget.ledger import NAMES, Experience, Ledger, prompt_guess, read_amounts, worst_of, written
from outlast.contracts import (
    AgentCard,
    Budget,
    BudgetShown,
    Catalog,
    ModelRequest,
    ModelTurn,
    ProposedAction,
    Risk,
    RunResult,
    Spend,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, root_of, text_of
from outlast.tracing.trace import RunTrace
from outlast.workflow import journal
from outlast.workflow.failures import finished
from outlast.workflow.state import ExecutionState

Result = TypeVar("Result")

NO_BUDGET = Budget()
BYTES_PER_TOKEN = 6
"""How many bytes an answer is taken to add to a conversation for each of its tokens."""


@dataclass(frozen=True)
class Reservation:
    """What is reserved for one call: the most it can cost, and how many tokens its prompt may have."""

    number: int
    prompt: int
    worst: Spend


class Budgeting:
    """The budget of one run; without one it does nothing at all."""

    def __init__(self, state: ExecutionState, trace: RunTrace, gates: Gates) -> None:
        self.stopped = ""
        self._state = state
        self._trace = trace
        self._gates = gates
        self._budget = NO_BUDGET
        self._ledger = Ledger()
        self._line = asyncio.Lock()
        self._waiting: dict[int, Callable[[], Spend]] = {}
        self._arrived = 0
        self._raised = 0
        self._warnings: list[str] = []
        self._soft = False
        self._asking: asyncio.Task[None] | None = None
        self._conversations: dict[str, int] = {}
        self._experience = Experience()

    @property
    def limited(self) -> bool:
        """Whether this run has a budget."""
        return self._budget.limited

    @property
    def soft(self) -> bool:
        """Whether the run shall save: the soft share of a limit is spent."""
        return self._soft

    @property
    def shown(self) -> BudgetShown | None:
        """How the run stands with its budget; None where it has none."""
        if not self.limited:
            return None
        return BudgetShown(
            **self._limits(),
            spent=self._state.spend,
            reserved=self._ledger.held,
            raised=self._raised,
            warnings=tuple(self._warnings),
            stopped=self.stopped,
        )

    @property
    def carried(self) -> Budget | None:
        """The budget as people have raised it, for the next part of this run; what is spent goes along with the log."""
        return self._budget.model_copy(update=self._limits()) if self.limited else None

    @property
    def asking(self) -> bool:
        """Whether people are asked for more."""
        return self._asking is not None and not self._asking.done()

    @property
    def raised(self) -> int:
        """How often people raised it."""
        return self._raised

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should know about it."""
        return tuple(self._warnings)

    @property
    def experience(self) -> Experience:
        """What the calls so far have shown."""
        return self._experience

    def restore(self, raised: int, warnings: Sequence[str], stopped: str) -> None:
        """Go on as the part before ended; the limits come with the request, and what is spent with the state."""
        self._raised, self._warnings, self.stopped = raised, list(warnings), stopped
        self._soft = self._ledger.share(self._state.spend)[0] >= self._budget.soft
        self._show()

    def start(self, budget: Budget | None) -> None:
        """Set the limits."""
        self._budget = budget or NO_BUDGET
        self._ledger = Ledger.of(self._budget)
        self._show()

    def knows(self, catalog: Catalog) -> None:
        """Note at once which models have no price, because no limit in USD can bound them."""
        unpriced = list(dict.fromkeys(card.model for card in catalog.agents if card.prices is None))
        if unpriced and "usd" in self._ledger.limits:
            self._warn(f"no price is known of {', '.join(unpriced)}: their calls count as 0 USD, so the USD limit does "
                       "not hold them; tokens and calls are counted. Prices: models.toml")  # fmt: skip

    async def reserve(self, card: AgentCard, request: ModelRequest, needed: int = 0) -> Reservation | None:
        """Reserve budget for a call, or wait until there is some; `needed` is how many tokens its prompt is known to have.

        None where the run has no budget. Raises BudgetReached when people do not raise it.
        """
        if not self.limited:
            return None
        known = self._conversations.get(request.transcript or "")
        prompt = needed or prompt_guess(card, request, known)
        worst = worst_of(card, prompt, request.max_tokens)
        likely = self._likely(card, request, prompt, worst)
        self._arrived += 1
        place = self._arrived
        self._waiting[place] = likely
        try:
            async with self._line:
                await self._fitting(likely)
                number = self._ledger.reserve(self._state.spend, worst, likely())
        finally:
            del self._waiting[place]
        self._show()
        return Reservation(number, prompt, worst)

    def learn(self, card: AgentCard, turn: ModelTurn) -> None:
        """Remember what a call used, and how long a conversation is, for its next turn."""
        self._experience.learn(card, turn.prompt_bound, turn.usage)
        if turn.transcript is not None and turn.prompt_bound:
            answered = max(turn.content.size, turn.usage.output_tokens * BYTES_PER_TOKEN)
            self._conversations = {turn.transcript: turn.prompt_bound + answered, **self._conversations}

    def release(self, held: Reservation) -> None:
        """Give a reservation back; what the call cost must be in the log by now."""
        self._ledger.release(held.number)
        share, name = self._ledger.share(self._state.spend)
        if not self._soft and share >= self._budget.soft:
            self._soft = True
            self._warn(f"{share:.0%} of the budget is spent ({name})")
        self._show()

    async def close(self) -> None:
        """Close the gate when the run ends before people have decided."""
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await finished([self._asking])

    def in_error(self, error: BaseException) -> BaseException:
        """Note in the error of a failed run how it stands with its budget, and name the budget where that is what stopped it."""
        if not self.limited or not isinstance(error, Exception) or is_cancelled_exception(error):
            return error
        root = root_of(error)
        details = root.details if isinstance(root, ApplicationError) else ()
        shown = tuple(map(self.in_result, details))
        if self.stopped and kind_of(error) is not ErrorKind.BUDGET_REACHED:
            return non_retryable(ErrorKind.BUDGET_REACHED, f"{self.stopped}; {text_of(error)}", *shown)
        return non_retryable(kind_of(error), text_of(error), *shown) if shown else error

    def in_result(self, result: Result) -> Result:
        """Note in the result of a run how it stands with its budget."""
        if self.limited and isinstance(result, RunResult):
            return result.model_copy(update={"budget": self.shown})
        return result

    def _likely(self, card: AgentCard, request: ModelRequest, prompt: int, worst: Spend) -> Callable[[], Spend]:
        """Return what a call will probably cost, as far as the run knows when that is asked."""

        def likely() -> Spend:
            return self._experience.likely(card, prompt, request.max_tokens, worst)

        self._check_first(card, likely())
        return likely

    def _check_first(self, card: AgentCard, likely: Spend) -> None:
        """End a run at once whose budget is too small for its first call: nothing is lost, and no person has to be asked."""
        if self._state.spend.calls or self._ledger.reserved or self._raised:
            return
        if missing := self._ledger.lacking(self._state.spend, likely):
            usd = f", {likely.usd:.4f} USD" if likely.usd else ""
            self.stopped = (
                f"the budget cannot start one call ({self._spent_line()}): the first, {card.name} on {card.model}, needs about "
                f"{likely.tokens:,} tokens (prompt {likely.input_tokens:,}, answer {likely.output_tokens:,}{usd}), "
                f"which is {written(missing)} more than there is"
            )
            self._show()
            raise non_retryable(ErrorKind.BUDGET_REACHED, self.stopped)

    async def _fitting(self, likely: Callable[[], Spend]) -> None:
        """Wait until a call fits: for calls at work first, then for people."""
        while True:
            if self.stopped:
                raise non_retryable(ErrorKind.BUDGET_REACHED, self.stopped)
            if not self._ledger.lacking(self._state.spend, likely()):
                return
            if self._ledger.reserved:
                await workflow.wait_condition(
                    lambda: not self._ledger.reserved or not self._ledger.lacking(self._state.spend, likely())
                )
            else:
                await self._asked()

    async def _asked(self) -> None:
        """Wait for the one gate, opened by whichever call came first."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        asking = self._asking
        await workflow.wait_condition(asking.done)
        asking.result()

    async def _ask(self) -> None:
        """Ask people for more: what they approve is added, anything else stops the run."""
        journal.begin(None)  # the question belongs to the run, and to no call that waits for it
        spent = self._state.spend
        more = self._ledger.proposal(self._budget, spent, [likely() for likely in self._waiting.values()])
        calls = f"{len(self._waiting)} calls wait" if len(self._waiting) > 1 else "a call waits"
        what = f"raise the budget by {written(more)}; spent: {self._spent_line()}; {calls}"
        action = ProposedAction(description=what[:200], tool="raise_budget", input=more, risk=Risk.MEDIUM)
        try:
            decision = await self._gates.open(
                action,
                self._budget.gate,
                takes=NAMES,
                describe=lambda edited: (
                    f"raise the budget, as edited: {dict(edited.input)}; spent: {self._spent_line()}"
                ),
            )
        except ApplicationError as error:
            self._stop(text_of(error))
            return
        if not decision.approved:
            by = f" by {', '.join(decision.by)}" if decision.by else ""
            self._stop(f"raising it was {decision.outcome}{by}" + (f" ({decision.reason})" if decision.reason else ""))
            return
        try:
            self._ledger.raise_by(read_amounts(decision.action.input))
        except ValueError as error:
            # People meant to raise it, so they are asked again.
            self._warn(f"{decision.gate}: {error}")
            return
        self._raised += 1
        self._soft = self._ledger.share(self._state.spend)[0] >= self._budget.soft
        self._show()

    def _stop(self, why: str) -> None:
        self.stopped = f"the budget is reached ({self._spent_line()}), and {why}"
        self._show()

    def _spent_line(self) -> str:
        return BudgetShown(**self._limits(), spent=self._state.spend).line

    def _limits(self) -> dict[str, Any]:
        return {name: limit if name == "usd" else int(limit) for name, limit in self._ledger.limits.items()}

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)
        self._show()

    def _show(self) -> None:
        if self.limited:
            self._trace.stands(self.shown)
