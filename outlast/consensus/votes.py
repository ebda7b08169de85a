"""Consensus: the same material to several analysts, one verdict by a rule that is data."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from outlast.consensus.contracts import AgreementSummary
from outlast.contracts import (
    ChangingResult,
    Content,
    Contract,
    Part,
    RunRequest,
    Spend,
    Summary,
)
from outlast.documents.contracts import DocumentSource


class RuleKind(StrEnum):
    """How votes become a verdict."""

    MAJORITY = "majority"
    """More than half of all voters."""
    WEIGHTED = "weighted"
    """More than half of all weight."""
    UNANIMOUS = "unanimous"
    """All voters."""
    QUORUM = "quorum"
    """At least `quorum` voters, and more than for any other option."""


class Rule(Contract):
    """How votes become a verdict."""

    kind: RuleKind = RuleKind.MAJORITY
    """What makes a majority."""
    quorum: int = Field(default=2, ge=1)
    """How many voters must agree; only used by `quorum`."""


class Voter(Contract):
    """One analyst."""

    agent: str
    """Name of the agent."""
    name: str = ""
    """Name of the voter in the result; empty: the agent's."""
    angle: str = ""
    """What it shall look at, added to the question; empty: nothing."""
    weight: float = Field(default=1.0, gt=0)
    """How much its vote counts, more than 0; only used by `weighted`."""


class OnTie(StrEnum):
    """Who decides when the votes do not."""

    JUDGE = "judge"
    PERSON = "person"
    FLAG = "flag"
    """Nobody: the disagreement is the result."""


class ConsensusKind(StrEnum):
    """What is asked of the analysts."""

    VOTE = "vote"
    """One of the options; a rule makes a verdict of the votes."""
    FINDINGS = "findings"
    """Whatever they find: claims with evidence, grouped into what is agreed, what is disputed, and what only one saw."""


class ConsensusRequest(RunRequest):
    """A question about a document or other material, and who answers it."""

    question: str = Field(min_length=1, max_length=20_000)
    """What is asked, in words."""
    document: DocumentSource | None = None
    """The file that it is about; None: no file."""
    material: Part | None = None
    """The text that it is about, in place of a file."""
    options: tuple[str, ...] = ("yes", "no", "unclear")
    """The answers to choose from; not used with `kind` findings."""
    voters: tuple[Voter, ...] = ()
    """Who votes, or analyses with `kind` findings; empty: the default ones."""
    rule: Rule = Rule()
    """How votes become a verdict; not used with `kind` findings."""
    on_tie: OnTie = OnTie.JUDGE
    """Who decides when the votes do not; not used with `kind` findings."""
    judge: str = "judge"
    """Name of the agent that breaks a tie."""
    kind: ConsensusKind = ConsensusKind.VOTE
    """Whether analysts vote, or make claims freely."""
    consensus_agent: str = "consensus"
    """Name of the agent that groups claims, with `kind` findings."""
    deadline: float = Field(default=300.0, gt=0, le=31_536_000)
    """How long a person has to break a tie, in seconds."""
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""


class VoteState(StrEnum):
    """How a vote ended; a failed voter is not an abstention."""

    CAST = "cast"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Vote(Contract):
    """One analyst's verdict."""

    voter: str
    """Name of the voter."""
    agent: str
    """Name of the agent that voted."""
    state: VoteState
    """How the vote ended."""
    verdict: str = ""
    """The option it chose; empty where it chose none."""
    confidence: float | None = None
    """How sure it is, from 0 to 1; None where it gave no number."""
    reasons: Summary = ""
    """Why, at most 200 characters; with `kind` findings its own short answer."""
    evidence: tuple[Summary, ...] = ()
    """Passages that it quotes, each at most 200 characters."""
    full: Content | None = None
    """The whole answer; None where there is none."""
    weight: float = 1.0
    """How much the vote counts under a weighted rule."""
    error: Summary = ""
    """Why it failed, at most 200 characters; empty where it did not."""
    spend: Spend = Spend()
    """What it cost."""


class ConsensusResult(ChangingResult):
    """The verdict, how it came about, and every vote."""

    verdict: str
    """The chosen option; empty where the votes were flagged as a tie, and with `kind` findings."""
    decided_by: str
    """`judge`, `person`, `nobody`, or the rule that decided."""
    agreed: bool
    """Whether all who voted chose the verdict."""
    votes: tuple[Vote, ...]
    """Every vote; with `kind` findings one for each analyst."""
    report: Content
    """The step trace of the run, in the content store."""
    dissent: tuple[str, ...] = ()
    """Names of the voters who chose another option."""
    ruling: Vote | None = None
    """What a judge or a person decided where the votes did not; None where they did."""
    stopped_early: bool = False
    """Whether votes were left out because they could no longer change the verdict."""
    findings: AgreementSummary | None = None
    """How far free analyses agree; None where there was a vote."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""
