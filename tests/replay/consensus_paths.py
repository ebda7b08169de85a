"""The paths of a consensus: who answers what, who fails or is held, what they read, and how a tie ends."""

import json
from collections.abc import Callable
from typing import Any

from outlast.consensus.votes import ConsensusRequest, OnTie, Rule, RuleKind, Voter
from outlast.contracts import Part
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from tests.replay.path import Path
from tests.workflow.choosing.test_free_analyses import GROUPED, THREE
from tests.workflow.choosing.voting import (
    FAIL,
    FIVE,
    HOLD,
    RUN,
    TWO,
    analysts,
    five,
    free,
    panel,
    request,
    verdict,
    who,
)
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_document_analysis import LEASE, source

UNANIMOUS, WEIGHTED, QUORUM = Rule(kind=RuleKind.UNANIMOUS), Rule(kind=RuleKind.WEIGHTED), Rule(kind=RuleKind.QUORUM)
HEAVY = (TWO[0], TWO[1].model_copy(update={"weight": 2.0}))
LONG = "\n\n".join(f"Clause {n}. " + "The tenant shall keep the premises in good repair. " * 8 for n in range(60))


def consensus(
    script: Callable[[], Script],
    voters: tuple[Voter, ...] = TWO,
    *,
    lease: str = "",
    cancel: bool = False,
    answers: tuple[Any, ...] = (),
    **fields: Any,
) -> Path:
    async def ask(runner: Runner) -> ConsensusRequest:
        document = await source(runner, "lease.md", lease) if lease else None
        return request(voters, document=document, **fields)

    return Path(RUN, ask, script, cancel, answers=answers)


def mended(call: ModelCall) -> str:
    return verdict("maybe" if who(call) == "sceptic" and len(call.messages) == 1 else "yes")


def divided(**more: str) -> Callable[[], Script]:
    return lambda: panel(analyst="yes", sceptic="no", **more)


def agreed() -> Script:
    return panel(analyst="yes", sceptic="yes")


def freely(**says: str) -> Path:
    async def ask(runner: Runner) -> ConsensusRequest:
        return free(document=await source(runner, "lease.md", LEASE))

    return Path(RUN, ask, lambda: analysts(**says))


CONSENSUS_PATHS: dict[str, Path] = {
    "findings-grouped": freely(**THREE, consensus=json.dumps(GROUPED)),
    "findings-one-failed": freely(**{**THREE, "sceptic": FAIL}, consensus=json.dumps(GROUPED)),
    "findings-ungrouped": freely(**THREE, consensus=FAIL, generalist=FAIL),
    "consensus-stops-early": consensus(lambda: five("yes", HOLD, "yes", HOLD, "yes"), FIVE),
    "consensus-unanimous": consensus(lambda: five(*["no"] * 5), FIVE, rule=UNANIMOUS),
    "consensus-never-unanimous": consensus(
        lambda: five("yes", "no", HOLD, HOLD, HOLD), FIVE, rule=UNANIMOUS, on_tie=OnTie.FLAG
    ),
    "consensus-weighted": consensus(lambda: panel(analyst=HOLD, sceptic="yes"), HEAVY, rule=WEIGHTED),
    "consensus-quorum": consensus(
        lambda: five("a", "b", "c", "b", "d"), FIVE, rule=QUORUM, options=("a", "b", "c", "d"), on_tie=OnTie.FLAG
    ),
    "consensus-default-voters": consensus(lambda: panel(analyst="yes", sceptic=HOLD, general="yes"), ()),
    "consensus-failed-voter": consensus(lambda: panel(analyst="yes", sceptic=FAIL, judge="yes")),
    "consensus-sent-back": consensus(lambda: mended),
    "consensus-outside-of-the-options": consensus(lambda: panel(analyst="yes", sceptic="maybe"), on_tie=OnTie.FLAG),
    "consensus-judge": consensus(divided(judge="no"), lease=LEASE),
    "consensus-judge-fails": consensus(divided(judge=FAIL, generalist=FAIL)),
    "consensus-person": consensus(divided(), on_tie=OnTie.PERSON, answers=("maybe", "no")),
    "consensus-nobody-answers": consensus(divided(), on_tie=OnTie.PERSON),
    "consensus-flag": consensus(divided(), on_tie=OnTie.FLAG),
    "consensus-all-failed": consensus(lambda: panel(analyst=FAIL, sceptic=FAIL)),
    "consensus-document-and-material": consensus(agreed, lease=LEASE, material=Part(text="The rent is 900 a month.")),
    "consensus-long-document": consensus(agreed, lease=LONG),
    "consensus-long-question": consensus(agreed, question="Is it so? " * 200),
    "consensus-bad-document": consensus(agreed, lease=" \n"),
    "consensus-refused": consensus(agreed, options=("yes",)),
    "consensus-unknown-agent": consensus(agreed, (*TWO, Voter(agent="nobody"))),
    "consensus-cancelled": consensus(lambda: panel(analyst=HOLD, sceptic=HOLD), cancel=True),
}
