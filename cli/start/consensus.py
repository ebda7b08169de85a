"""`starter.py consensus`: several analysts read one document; they vote on options, or find what they agree on freely."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.start.begin import StartOptions, given, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


class By(StrEnum):
    """The rules, as `workflows.contracts` names them; repeated here, because importing those is slow."""

    MAJORITY = "majority"
    WEIGHTED = "weighted"
    UNANIMOUS = "unanimous"
    QUORUM = "quorum"


class Tie(StrEnum):
    """Who decides when the votes do not, as `workflows.contracts` names them."""

    JUDGE = "judge"
    PERSON = "person"
    FLAG = "flag"


@starts_run()
def consensus(
    file: Annotated[Path, typer.Argument(help="PDF, DOCX, HTML, Markdown or text file.", metavar="FILE")],
    question: Annotated[
        str | None, typer.Option(help="What to decide about it; may be left out where there are no options.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="A verdict to vote for; give it two times or more. Without any, the analysts report findings, and the "
            "result is what they agree on and what they dispute."
        ),
    ] = None,
    rule: Annotated[By | None, typer.Option(help="How votes become a verdict.  [default: majority]")] = None,
    quorum: Annotated[
        int | None, typer.Option(help="How many voters must agree; means --rule quorum.", min=1, max=50)
    ] = None,
    voter: Annotated[
        list[str] | None,
        typer.Option(
            help="An agent that votes or analyses, with its weight as a voter if it is not 1; repeatable. "
            "Default: analyst, sceptic and general-analyst.",
            metavar="AGENT[=WEIGHT]",
        ),
    ] = None,
    on_tie: Annotated[Tie | None, typer.Option(help="Who decides when the votes do not.  [default: judge]")] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="The agent that breaks a tie, or that groups findings (default there: consensus)."),
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds that a person has to decide.", min=0.1, max=31_536_000)
    ] = None,
    *,
    options: StartOptions,
) -> None:
    """Let several analysts read FILE: without --option they report what they find, with options they vote.

    Findings are grouped into what is agreed, what is disputed, and what only one analyst saw. A vote stops as soon as no
    other vote can change the outcome; exit code 1 if there is no verdict.
    """
    from outlast.cli.inputs import read_files
    from outlast.cli.kinds import CONSENSUS
    from outlast.cli.reaching import reaching
    from outlast.client import load_settings
    from outlast.consensus.votes import ConsensusRequest, Voter
    from outlast.consensus.voting import problems
    from outlast.documents.contracts import DocumentSource

    request = ConsensusRequest(
        question=question or _default_question(option),
        voters=tuple(Voter(**_voter(written)) for written in voter or ()),
        **_asked(option, rule, quorum, on_tie, judge, deadline),
        **options.request_fields(),
    )
    if wrong := problems(request):
        raise LeavingError(WRONG, "nothing was started:\n  " + "\n  ".join(wrong))
    ((name, data),) = read_files([file], load_settings().max_document_bytes)

    async def command(reach: "Reach") -> None:
        document = DocumentSource(name=name, ref=await reach.store().put(data), size=len(data))
        voted = request.model_copy(update={"document": document})
        summary = f"{name}: {' '.join(request.question.split())}"
        await options.begin(reach, CONSENSUS, voted, summary=summary)

    reaching(command)


def _default_question(options: list[str] | None) -> str:
    if options:
        raise LeavingError(WRONG, "--question: say what the options answer, as in --question 'May the tenant sublet?'")
    return "What does the document say that matters, and what follows from it?"


def _asked(
    options: list[str] | None,
    rule: By | None,
    quorum: int | None,
    on_tie: Tie | None,
    judge: str | None,
    deadline: float | None,
) -> dict[str, Any]:
    """Read the options as the fields of a request: a vote where there are options, free analyses where there are none."""
    from outlast.consensus.votes import ConsensusKind, Rule

    if not options:
        counting = {"--rule": rule, "--quorum": quorum, "--on-tie": on_tie, "--deadline": deadline}
        if meant := [name for name, value in counting.items() if value is not None]:
            raise LeavingError(
                WRONG, f"{meant[0]}: it is about votes, and without --option nobody votes; add --option yes --option no"
            )
        return {"kind": ConsensusKind.FINDINGS, **given(consensus_agent=judge)}
    if quorum is not None and rule not in (None, By.QUORUM):
        raise LeavingError(WRONG, f"--quorum: it says nothing under --rule {rule}; leave one of them out")
    kind = By.QUORUM if quorum is not None else rule or By.MAJORITY
    return {
        "options": tuple(options),
        "rule": Rule.model_validate({"kind": kind, **given(quorum=quorum)}),
        **given(on_tie=on_tie, judge=judge, deadline=deadline),
    }


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
