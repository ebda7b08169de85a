"""`starter.py refund`: refund an order, from a file or from options; over a limit two people decide."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.start.begin import StartOptions, given, starts_run
from samples.refund import TASK_QUEUE, WORKFLOW

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach

FailAt = Literal["booking"]
NO_LEDGER = "https://ledger.invalid/bookings"
"""A ledger that is nowhere: names that end in .invalid never lead to an address (RFC 2606)."""


@starts_run(without=("on_fallback",))
def refund(
    file: Annotated[
        Path | None,
        typer.Argument(help="The request as JSON: {order, text, amount} (- for stdin).", metavar="FILE"),
    ] = None,
    order: Annotated[str | None, typer.Option(help="Which order, as the database has it.")] = None,
    text: Annotated[str | None, typer.Option(help="What the customer writes.")] = None,
    amount: Annotated[
        float | None, typer.Option(help="What is asked for, as in 12.50; without it the agent proposes.", min=0.01)
    ] = None,
    limit: Annotated[float | None, typer.Option(help="More than this needs two people (default: 100).", min=0)] = None,
    ledger: Annotated[str | None, typer.Option(help="Book it at URL/ORDER as well.", metavar="URL")] = None,
    fail_at: Annotated[
        FailAt | None, typer.Option(help="See a rollback: book in a ledger that is nowhere, after row and mail.")
    ] = None,
    task_queue: Annotated[
        str,
        typer.Option(
            help="Where its worker works; on its own queue, one is started while this waits if there is none."
        ),
    ] = TASK_QUEUE,
    *,
    options: StartOptions,
) -> None:
    """Refund one order of the database: a row, a mail, a booking; undone where one of them fails.

    Exit code 1 if it failed, was denied, or is not a matter of refunds.
    """
    from contextlib import nullcontext

    from outlast.cli.reaching import reaching
    from outlast.contracts import Part
    from samples.refund.contracts import RefundRequest
    from samples.refund.file import cents, read_refund
    from samples.refund.serving import served

    asked = read_refund(file, given(order=order, text=text, amount=amount))

    async def command(reach: "Reach") -> None:
        kept = await reach.store().keep(asked.text)
        request = RefundRequest(
            order=asked.order,
            text=Part.of(kept),
            **given(
                amount_cents=cents(asked.amount),
                limit_cents=cents(limit),
                ledger_url=NO_LEDGER if fail_at else ledger,
            ),
            **options.request_fields(),
        )
        summary = f"{asked.order}: {' '.join(asked.text.split())}"
        async with nullcontext() if options.detach else served(reach, task_queue):
            await options.begin(reach, WORKFLOW, request, summary=summary, task_queue=task_queue)

    reaching(command)
