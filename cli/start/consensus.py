"""`starter.py consensus`: several analysts judge one document, and a rule makes one verdict of theirs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.leaving import WRONG, LeavingError
from cli.start.begin import (
    BudgetCalls,
    BudgetTokens,
    BudgetUsd,
    Detach,
    Id,
    Json,
    LeaveBehind,
    Stream,
    TakeBack,
    begin,
    budgeted,
    given,
    undone,
)

if TYPE_CHECKING:
    from cli.reaching import Reach


class By(StrEnum):
    """The rules, as `workflows.contracts` names them; said again here, because importing those is not light."""

    MAJORITY = "majority"
    WEIGHTED = "weighted"
    UNANIMOUS = "unanimous"
    QUORUM = "quorum"


class Tie(StrEnum):
    """Who decides when the votes do not, as `workflows.contracts` names them."""

    JUDGE = "judge"
    PERSON = "person"
    FLAG = "flag"


def consensus(
    file: Annotated[Path, typer.Argument(help="PDF, DOCX, HTML, Markdown or text file.", metavar="FILE")],
    question: Annotated[str, typer.Option(help="What shall be decided about it.")],
    option: Annotated[
        list[str] | None,
        typer.Option(help="A verdict to choose; give it two times or more. Default: yes, no, unclear."),
    ] = None,
    rule: Annotated[By, typer.Option(help="How votes become a verdict.")] = By.MAJORITY,
    quorum: Annotated[
        int | None, typer.Option(help="How many voters must agree; means --rule quorum.", min=1, max=50)
    ] = None,
    voter: Annotated[
        list[str] | None,
        typer.Option(
            help="An agent that votes, with its weight if it is not 1; may be given again. "
            "Default: analyst, sceptic and general-analyst.",
            metavar="AGENT[=WEIGHT]",
        ),
    ] = None,
    on_tie: Annotated[Tie, typer.Option(help="Who decides when the votes do not.")] = Tie.JUDGE,
    judge: Annotated[str | None, typer.Option(help="The agent that judges.")] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds that a person has to decide.", min=0.1, max=31_536_000)
    ] = None,
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    budget_calls: BudgetCalls = None,
    on_failure: TakeBack = None,
    on_fallback: LeaveBehind = None,
    run_id: Id = None,
    detach: Detach = False,
    stream: Stream = False,
    as_json: Json = False,
) -> None:
    """Let several analysts vote on a question about FILE.

    It stops as soon as no other vote can change the outcome. Exit code 1 if there is no verdict.
    """
    from activities.contracts import DocumentSource
    from bootstrap import load_settings
    from cli.inputs import read_files
    from cli.reaching import CONSENSUS, reaching
    from workflows.contracts import ConsensusRequest, Rule, Voter
    from workflows.patterns.consensus import problems

    if quorum is not None and rule not in (By.MAJORITY, By.QUORUM):
        raise LeavingError(WRONG, f"--quorum: it says nothing under --rule {rule}; leave one of them out")
    kind = By.QUORUM if quorum is not None else rule
    request = ConsensusRequest(
        question=question,
        voters=tuple(Voter(**_voter(written)) for written in voter or ()),
        rule=Rule.model_validate({"kind": kind, **given(quorum=quorum)}),
        **given(options=tuple(option) if option else None, on_tie=on_tie, judge=judge, deadline=deadline),
        **budgeted(budget_usd, budget_tokens, budget_calls),
        **undone(on_failure, on_fallback),
    )
    if wrong := problems(request):
        raise LeavingError(WRONG, "nothing was started:\n  " + "\n  ".join(wrong))
    ((name, data),) = read_files([file], load_settings().max_document_bytes)

    async def command(reach: "Reach") -> None:
        document = DocumentSource(name=name, ref=await reach.store().put(data), size=len(data))
        voted = request.model_copy(update={"document": document})
        summary = f"{name}: {' '.join(question.split())}"
        await begin(
            reach, CONSENSUS, voted, run_id=run_id, summary=summary, detach=detach, as_json=as_json, stream=stream
        )

    reaching(command)


def _voter(written: str) -> dict[str, Any]:
    """Read AGENT or AGENT=WEIGHT."""
    agent, equals, weight = written.partition("=")
    if not equals:
        return {"agent": agent.strip()}
    try:
        number = float(weight)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise LeavingError(WRONG, f"--voter {written}: the weight must be a number over 0, as in --voter {agent}=2")
    return {"agent": agent.strip(), "weight": number}
