"""The paths of routing: each router, each way in which it can be wrong, tickets, and requests that fail alone."""

import asyncio
from collections.abc import Callable
from typing import Any

from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from outlast.routing.requests import Category
from tests.replay.path import Path
from tests.workflow.choosing.routing import (
    BILLING,
    GENERAL,
    GRAVE,
    RUN,
    TECHNICAL,
    TEXTS,
    asking,
    calls,
    handling,
    is_classifier,
    is_router,
    labelling,
    out_of_order,
    picking,
    said,
    trained,
)
from tests.workflow.conftest import Runner

TINY = "the tiny one"
BROKEN = "what is no classifier"
MATTER = {"matter": "charged twice"}
PROBLEM = {"problem": "it crashes"}


def routing(script: Callable[[], Script], *texts: str, cancel: bool = False, **fields: Any) -> Path:
    async def request(runner: Runner) -> Any:
        made = {TINY: trained, BROKEN: broken}.get(fields.get("trained", ""))
        return asking(*texts, **(fields | {"trained": await made(runner)} if made else fields))

    return Path(RUN, request, script, cancel)


def picked(*turns: Any, text: str = BILLING) -> Path:
    return routing(lambda: picking(*turns), text, router="llm")


async def broken(runner: Runner) -> str:
    return await runner.store.put(b"no classifier")


def without_classifier(call: ModelCall) -> str:
    return out_of_order(call) if is_classifier(call) or is_router(call) else handling(call)


def one_failing(call: ModelCall) -> Any:
    return out_of_order(call) if TECHNICAL in said(call) and not is_classifier(call) else labelling()(call)


def never(call: ModelCall) -> Any:
    return asyncio.sleep(3600, "late")


ROUTING_PATHS: dict[str, Path] = {
    "routing-each-class": routing(labelling, *TEXTS.values()),
    "routing-narrow": routing(labelling, BILLING, GENERAL, max_parallel=1),
    "routing-unknown": routing(lambda: labelling({BILLING: {"category": "gardening", "confidence": 1}}), BILLING),
    "routing-empty": routing(lambda: labelling({BILLING: "no idea"}), BILLING),
    "routing-unsure": routing(lambda: labelling({BILLING: {"category": "billing", "confidence": 0.1}}), BILLING),
    "routing-confidence-unread": routing(
        lambda: labelling({BILLING: {"category": "billing", "confidence": 300}}), BILLING
    ),
    "routing-classifier-away": routing(lambda: without_classifier, BILLING),
    "routing-ticket-unwritten": routing(lambda: labelling(handler=out_of_order), GRAVE),
    "routing-one-fails": routing(lambda: one_failing, BILLING, TECHNICAL, " "),
    "routing-all-fail": routing(lambda: labelling(handler=out_of_order), BILLING, TECHNICAL),
    "routing-long-request": routing(labelling, f"{BILLING} " * 40),
    "routing-own-categories": routing(
        lambda: labelling({BILLING: {"category": "money", "confidence": 1}}),
        BILLING,
        categories=(Category(name="money", agent="writer", description="Anything about money."),),
        general="money",
    ),
    "routing-wrong-categories": routing(labelling, BILLING, general="nowhere"),
    "routing-cancelled": routing(lambda: never, BILLING, cancel=True),
    "routing-trained": routing(labelling, *TEXTS.values(), router="trained", trained=TINY),
    "routing-trained-unsure": routing(labelling, "吾輩は猫である", router="trained", trained=TINY),
    "routing-trained-missing": routing(labelling, BILLING, router="trained"),
    "routing-trained-broken": routing(labelling, BILLING, router="trained", trained=BROKEN),
    "routing-picked": picked(calls(("billing", MATTER))),
    "routing-picked-several": picked(calls(("billing", MATTER), ("technical_support", PROBLEM))),
    "routing-picked-alone": picked(calls(("billing", MATTER), ("escalation_required", {"reason": "r"})), text=GRAVE),
    "routing-picked-none-fits": picked(calls(("no_route_fits", {"reason": "a poem"})), text="a poem"),
    "routing-picked-sent-back": picked(calls(("billing", {}), turn=1), calls(("billing", MATTER), turn=2)),
    "routing-picked-wrong-twice": picked(calls(("billing", {}), turn=1), calls(("gardening", {}), turn=2)),
    "routing-picked-words": picked("It is billing.", calls(("billing", MATTER))),
    "routing-router-away": routing(lambda: without_classifier, BILLING, router="llm"),
}
