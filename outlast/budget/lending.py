"""The budget of a run whose agents ask others that work in runs of their own: each is lent a share, and settles it at its end.

What is lent counts as spent until then, so several at work at the same time overshoot nothing. An agent whose share is used up
asks people at a gate of its own run; what they add there is added here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from outlast.budget.ledger import amounts
from outlast.budget.limits import Budgeting, Reservation
from outlast.contracts import AgentCard, Budget, Spend
from outlast.notices.notifying import let_others_run

KEPT = 0.25
"""What the agent that asks keeps, as a part of what one that is asked gets."""
LEAST = Spend(calls=1, input_tokens=1, usd=0.000001)
"""What must be there to be lent."""


@dataclass(frozen=True)
class Loan:
    """What one agent is lent, and the reservation that it stands for."""

    budget: Budget
    held: Reservation


class Lending(Budgeting):
    """The budget of one run, of which it lends shares; `lent` is what was lent to this run itself."""

    lent: Budget | None = None
    _borrowing = 0

    @property
    def raised_by(self) -> dict[str, float]:
        """By how much people raised what was lent to this run."""
        if self.lent is None:
            return {}
        first = {name: float(getattr(self.lent, name)) for name in self._ledger.limits}
        return {name: limit - first[name] for name, limit in self._ledger.limits.items() if limit > first[name]}

    async def lend(self) -> Loan | None:
        """Set a share aside for an agent that works in a run of its own, or wait until there is some.

        Those that ask at the same time share evenly. None where the run has no budget; raises BudgetReached when people do not
        raise it.
        """
        if not self.limited:
            return None
        self._borrowing += 1
        self._arrived += 1
        place = self._arrived
        self._waiting[place] = lambda: LEAST
        try:
            await let_others_run()  # the others of this moment are counted first
            async with self._line:
                await self._fitting(lambda: LEAST)
                share = self._share(self._borrowing + KEPT)
                number = self._ledger.reserve(self._state.spend, share)
        finally:
            self._borrowing -= 1
            del self._waiting[place]
        self._show()
        given = {name: amounts(share)[name] for name in self._ledger.limits}
        return Loan(self._budget.model_copy(update=_whole(given)), Reservation(number, 0, share))

    def settle(self, loan: Loan | None, raised: Mapping[str, float]) -> None:
        """Take a loan back; what was spent of it must be in the log by now, and what people `raised` it by is added."""
        if loan is None:
            return
        if raised:
            self._ledger.raise_by(raised)
            self._raised += 1
        self.release(loan.held)

    def _share(self, among: float) -> Spend:
        taken = amounts(self._state.spend.plus(self._ledger.held))
        free = {name: limit - taken[name] for name, limit in self._ledger.limits.items()}
        part = {name: amount / among for name, amount in free.items()}
        return Spend(
            calls=max(1, math.floor(part.get("calls", 0))),
            input_tokens=max(1, math.floor(part.get("tokens", 0))),
            usd=max(0.000001, math.floor(part.get("usd", 0) * 1e6) / 1e6),
        )

    def _check_first(self, card: AgentCard, likely: Spend) -> None:
        if self.lent is None:  # a share that is too small is no mistake of whoever started the run: people are asked
            super()._check_first(card, likely)


def _whole(given: Mapping[str, float]) -> dict[str, float | int]:
    return {name: amount if name == "usd" else int(amount) for name, amount in given.items()}
