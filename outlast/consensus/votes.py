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
    """A rule; `quorum` counts voters, weights are each voter's own."""

    kind: RuleKind = RuleKind.MAJORITY
    quorum: int = Field(default=2, ge=1)


class Voter(Contract):
    """One analyst: an agent, the angle it takes (added to the question), and its weight."""

    agent: str
    name: str = ""
    angle: str = ""
    weight: float = Field(default=1.0, gt=0)


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
    """A question about a document (or about `material`), the options to choose from, and who votes by which rule.

    With `kind` findings there are no options, no rule and no tie: `voters` are the analysts, and `consensus_agent` groups
    what they claim. `deadline` is in seconds, for a person who has to break a tie.
    """

    question: str = Field(min_length=1, max_length=20_000)
    document: DocumentSource | None = None
    material: Part | None = None
    options: tuple[str, ...] = ("yes", "no", "unclear")
    voters: tuple[Voter, ...] = ()
    rule: Rule = Rule()
    on_tie: OnTie = OnTie.JUDGE
    judge: str = "judge"
    kind: ConsensusKind = ConsensusKind.VOTE
    consensus_agent: str = "consensus"
    deadline: float = Field(default=300.0, gt=0, le=31_536_000)
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""


class VoteState(StrEnum):
    """How a vote ended; a failed voter is not an abstention."""

    CAST = "cast"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Vote(Contract):
    """One analyst's verdict with its confidence (0 to 1), reasons and evidence."""

    voter: str
    agent: str
    state: VoteState
    verdict: str = ""
    confidence: float | None = None
    reasons: Summary = ""
    evidence: tuple[Summary, ...] = ()
    full: Content | None = None
    weight: float = 1.0
    error: Summary = ""
    spend: Spend = Spend()


class ConsensusResult(ChangingResult):
    """The verdict (empty when flagged), how it came about, and every vote; `dissent` names the voters who differed.

    `decided_by` is the rule, `judge`, `person` or `nobody`; `ruling` is what a judge or a person said where the votes did not
    decide. `agreed` says that all who voted chose the verdict. Free analyses have no verdict but `findings`, and one vote for
    each analyst, whose `reasons` are its own short answer.
    """

    verdict: str
    decided_by: str
    agreed: bool
    votes: tuple[Vote, ...]
    report: Content
    dissent: tuple[str, ...] = ()
    ruling: Vote | None = None
    stopped_early: bool = False
    findings: AgreementSummary | None = None
    notes: tuple[str, ...] = ()
