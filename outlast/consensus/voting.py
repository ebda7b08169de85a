"""Counts votes, and knows when no vote that is still to come can change the outcome. Pure.

A failed voter is no abstention: it keeps its seat, so what fails never makes a majority easier. Weights added up as
floats give another sum in another order, so they are counted as fractions of what people wrote.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from outlast.consensus.votes import ConsensusKind, ConsensusRequest, OnTie, Rule, RuleKind, Voter

Ballots = Mapping[str, str | None]
"""The option that each voter chose, by the voter's name, or None if it failed; who is not there may still vote."""

PANEL = (
    Voter(agent="analyst", angle="Weigh all options against each other before you choose."),
    Voter(agent="sceptic", angle="Look for what speaks against the obvious answer: exceptions, conditions, gaps."),
    Voter(agent="general-analyst", angle="Go by what the text plainly says to an ordinary reader."),
    Voter(agent="legal-analyst", angle="Go by the exact wording: duties, rights, conditions, definitions."),
    Voter(agent="financial-analyst", angle="Go by figures, dates and what they commit somebody to."),
)
"""Five angles on one question; an agent that is named without an angle takes its own from here."""

DEFAULT_VOTERS = PANEL[:3]
MAX_VOTERS = 50
MAX_OPTIONS = 20
MAX_OPTION_CHARACTERS = 100


@dataclass(frozen=True)
class Outcome:
    """What votes come to: an option, or "" where they decide nothing; `empty` if there was no vote at all."""

    verdict: str = ""
    empty: bool = False


@dataclass(frozen=True)
class Count:
    """Counts the votes of `voters`, whose names differ, on `options` by a rule."""

    rule: Rule
    voters: tuple[Voter, ...]
    options: tuple[str, ...]

    def outcome(self, ballots: Ballots) -> Outcome:
        """Return what the votes come to if no further vote is cast."""
        if not any(self._cast(ballots).values()):
            return Outcome(empty=True)
        return Outcome(next((option for option in self.options if self._wins(option, ballots)), ""))

    def settled(self, ballots: Ballots) -> Outcome | None:
        """Return the outcome if no completion of the votes can change it, else None.

        Only the ends need a look: all others fail, or all others choose the same. No option gets further than by all of
        them, so what none of the ends changes, nothing in between changes.
        """
        missing = [voter.name for voter in self.voters if voter.name not in ballots]
        outcome = self.outcome(ballots)
        ends = [self.outcome({**ballots, **dict.fromkeys(missing, option)}) for option in self.options if missing]
        return outcome if all(end == outcome for end in ends) else None

    def leaders(self, ballots: Ballots) -> tuple[str, ...]:
        """Return the options that most votes are for: several where they tie, none without votes."""
        tally = self._tally(ballots)
        most = max(tally.values())
        return tuple(option for option in self.options if most and tally[option] == most)

    def dissent(self, ballots: Ballots, verdict: str) -> tuple[str, ...]:
        """Name the voters who chose otherwise than the verdict.

        Without a verdict it is those against the leading option, and everybody who voted where several lead.
        """
        leaders = self.leaders(ballots)
        held = verdict or (leaders[0] if len(leaders) == 1 else "")
        return tuple(name for names in self._cast(ballots).values() for name in names if ballots[name] != held)

    def standing(self, ballots: Ballots) -> str:
        """Return in one line who voted for what."""
        counts = [
            f"{option} {len(names)} ({', '.join(names)})" for option, names in self._cast(ballots).items() if names
        ]
        return ", ".join(counts)

    def _wins(self, option: str, ballots: Ballots) -> bool:
        tally = self._tally(ballots)
        match self.rule.kind:
            case RuleKind.MAJORITY | RuleKind.WEIGHTED:
                return 2 * tally[option] > sum(map(self._weight, self.voters))
            case RuleKind.UNANIMOUS:
                return tally[option] == len(self.voters)
            case RuleKind.QUORUM:
                # A small quorum is reached by several options at times: then the one with more votes wins, if it is alone.
                return tally[option] >= self.rule.quorum and self.leaders(ballots) == (option,)

    def _tally(self, ballots: Ballots) -> dict[str, Fraction]:
        weights = {voter.name: self._weight(voter) for voter in self.voters}
        cast = self._cast(ballots)
        return {option: sum((weights[name] for name in names), Fraction()) for option, names in cast.items()}

    def _weight(self, voter: Voter) -> Fraction:
        return Fraction(str(voter.weight)) if self.rule.kind is RuleKind.WEIGHTED else Fraction(1)

    def _cast(self, ballots: Ballots) -> dict[str, list[str]]:
        """Return the voters of each option, in the order of the voters, so that the order of arrival means nothing."""
        names = [voter.name for voter in self.voters if voter.name in ballots]
        return {option: [name for name in names if ballots[name] == option] for option in self.options}


def seated(voters: Sequence[Voter]) -> tuple[Voter, ...]:
    """Give each voter a name and an angle; none given means the default three."""
    angles = {voter.agent: voter.angle for voter in PANEL}
    seen: dict[str, int] = {}
    result = []
    for voter in voters or DEFAULT_VOTERS:
        name = voter.name.strip()
        if not name:
            seen[voter.agent] = seen.get(voter.agent, 0) + 1
            name = voter.agent if seen[voter.agent] == 1 else f"{voter.agent} ({seen[voter.agent]})"
        angle = voter.angle or angles.get(voter.agent, "")
        result.append(voter.model_copy(update={"name": name, "angle": angle}))
    return tuple(result)


def options_of(request: ConsensusRequest) -> tuple[str, ...]:
    """Return the options without blanks around them."""
    return tuple(" ".join(option.split()) for option in request.options)


def problems(request: ConsensusRequest) -> list[str]:
    """List what is wrong with a request, each with its field and the fix; empty if it can be voted on."""
    return [*_question_problems(request), *_voter_problems(request)]


def _question_problems(request: ConsensusRequest) -> Iterator[str]:
    options = options_of(request)
    if not request.question.strip():
        yield "question: it is blank; say what shall be decided"
    if request.kind is ConsensusKind.FINDINGS:
        return
    if len(options) < 2:
        yield f"options: {len(options)} given; name at least two to choose from"
    if len(options) > MAX_OPTIONS:
        yield f"options: {len(options)} given; name at most {MAX_OPTIONS}"
    for position, option in enumerate(options):
        if not option:
            yield f"options[{position}]: it is blank; write what a voter may choose"
        elif len(option) > MAX_OPTION_CHARACTERS:
            yield (
                f"options[{position}]: {len(option)} characters; write at most {MAX_OPTION_CHARACTERS} and explain it in "
                "the question"
            )
        elif option.casefold() in [other.casefold() for other in options[:position]]:
            yield f"options[{position}]: {option!r} is there already; name each option once"


def _voter_problems(request: ConsensusRequest) -> Iterator[str]:
    voters = seated(request.voters)
    if len(voters) < 2:
        yield "voters: one voter is not a consensus; name at least two, or none for the default three"
    if len(voters) > MAX_VOTERS:
        yield f"voters: {len(voters)} given; name at most {MAX_VOTERS}"
    names = [voter.name for voter in voters]
    for position, voter in enumerate(voters):
        if not voter.agent.strip():
            yield f"voters[{position}].agent: it is blank; name an agent"
        if not math.isfinite(voter.weight):
            yield f"voters[{position}].weight: it is {voter.weight}; give a finite number"
        first = names.index(voter.name)
        if first != position:
            yield f"voters[{position}].name: voters[{first}] is called {voter.name!r} as well; give each its own name"
    if request.kind is ConsensusKind.FINDINGS:
        yield from _analyst_problems(request, voters)
        return
    if request.rule.kind is RuleKind.QUORUM and request.rule.quorum > len(voters):
        yield f"rule.quorum: {request.rule.quorum} of {len(voters)} voters cannot agree; lower it, or name more voters"
    if request.on_tie is OnTie.JUDGE and request.judge in [voter.agent for voter in voters]:
        yield f"judge: {request.judge!r} votes as well, and would judge itself; name an agent that does not vote"


def _analyst_problems(request: ConsensusRequest, analysts: Sequence[Voter]) -> Iterator[str]:
    for position, analyst in enumerate(analysts):
        if analyst.weight != 1:
            yield f"voters[{position}].weight: {analyst.weight:g} counts votes, and free analyses have none; leave it out"
    if request.consensus_agent in [analyst.agent for analyst in analysts]:
        yield (
            f"consensus_agent: {request.consensus_agent!r} is an analyst as well, and would group its own claims; "
            "name another agent"
        )
