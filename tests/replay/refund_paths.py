"""The paths of the worked example: approved, edited, denied, timed out, below the limit, elsewhere, and taken back."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from outlast.llm.scripted import Script, ScriptedLLM
from samples.refund.contracts import RefundRequest
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.undo.refunding import EDIT, REFUND, clerk, shop_in, wanted

NOWHERE = "https://ledger.invalid/bookings"
"""A ledger that the worker may not call."""
TWO = (("approve", {"by": "ann"}), ("approve", {"by": "bob"}))


@dataclass(frozen=True)
class RefundPath(Path):
    """A path whose worker stands in a shop: a database, and a mail server."""

    @asynccontextmanager
    async def worker(self, runner: Runner) -> AsyncIterator[ScriptedLLM]:
        with shop_in(runner.settings.state_dir, NOWHERE) as opened:
            async with super().worker(opened.equipped(runner)) as llm:
                yield llm


def refund(
    *decisions: tuple[str, Any], script: Callable[[], Script] = clerk, order: str = "ORD-1001", **fields: Any
) -> Path:
    async def request(runner: Runner) -> RefundRequest:
        return wanted(order, **fields)

    return RefundPath(REFUND, request, script, local=False, decisions=decisions)


REFUND_PATHS: dict[str, Path] = {
    "refund-approved": refund(*TWO),
    "refund-edited": refund(("decide", {"verdict": "approve", "by": "carl", "edit": EDIT}), *TWO),
    "refund-denied": refund(("approve", {"by": "ann"}), ("deny", "bob")),
    "refund-timed-out": refund(("approve", {"by": "ann"})),
    "refund-below-the-limit": refund(order="ORD-1002", script=lambda: clerk(45)),
    "refund-elsewhere": refund(script=lambda: clerk(category="technical_support")),
    "refund-unknown-order": refund(order="ORD-9"),
    "refund-taken-back": refund(*TWO, ledger_url=NOWHERE),
    "refund-kept": refund(*TWO, ledger_url=NOWHERE, on_failure="keep"),
}
