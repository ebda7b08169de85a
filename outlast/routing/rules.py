"""Where a request goes: categories are data, and every answer of a router leads to exactly one place. Pure.

An unsure answer of a router looks like a sure one. So an answer that names no category, or names one too
unsurely, goes to the general handler, and a note says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from outlast.contracts import (
    SMALL_MODEL_HINT,
    SUMMARY_LENGTH,
    Content,
    ToolSpec,
)
from outlast.routing.categories import ANY_INPUT, DEFAULT_CATEGORIES, NO_ROUTE, NO_ROUTE_SPEC, PRIORITIES
from outlast.routing.contracts import Pick
from outlast.routing.requests import Category, Priority, RouteRequest

MAX_PICKS = 8
"""Routes that one request may take."""
SHOWN = 40


@dataclass(frozen=True)
class Route:
    """One way that a request takes: its category, and what the routing model filled in for it."""

    category: Category
    filled: Content | None = None


@dataclass(frozen=True)
class Choice:
    """The routes of one request, how sure the router was (0 to 1, None: it did not say), and what there is to say."""

    routes: tuple[Route, ...]
    confidence: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def category(self) -> str:
        """The category of the first route."""
        return self.routes[0].category.name


def categories_of(request: RouteRequest) -> dict[str, Category]:
    """Return the categories of a request by name."""
    return {category.name: category for category in request.categories or DEFAULT_CATEGORIES}


def problems(request: RouteRequest) -> list[str]:
    """List what is wrong with the categories of a request, in words for who wrote it."""
    found = []
    names = [category.name for category in request.categories or DEFAULT_CATEGORIES]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        found.append(f"categories: {', '.join(twice)} is there more than once; name each once")
    if NO_ROUTE in names:
        found.append(f"categories: {NO_ROUTE!r} is what the router says when nothing fits; call yours otherwise")
    if request.general not in names:
        found.append(f"general: there is no category {request.general!r}; choose from {', '.join(names)}")
    found += [
        f"categories.{category.name}.input_schema: must be the schema of an object ('type': 'object')"
        for category in request.categories
        if category.input_schema is not None and category.input_schema.get("type") != "object"
    ]
    if request.router == "trained" and not request.trained:
        found.append("trained: name the classifier (the reference that the command train-router prints)")
    return found


def label_schema(categories: Mapping[str, Category]) -> dict[str, Any]:
    """Return the schema of a small model's answer: one category, and how sure it is."""
    words = ", ".join(
        f"{category.name}={'/'.join(map(_word, category.words))}" for category in categories.values() if category.words
    )
    hint = {SMALL_MODEL_HINT: f"Label words: {words}. Cue: The text above is a message about"} if words else {}
    return {
        "type": "object",
        "properties": {
            "category": {"type": "string", "enum": list(categories), "description": "Kind of request.", **hint},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "How sure you are."},
        },
        "required": ["category", "confidence"],
        "additionalProperties": False,
    }


def label_question(categories: Mapping[str, Category]) -> str:
    """Return what a small model is asked about a request."""
    listed = "\n".join(f"- {category.name}: {category.description}" for category in categories.values())
    return f"Which category does the request above belong to?\n{listed}"


def decided(request: RouteRequest, answer: str, confidence: float | None) -> Choice:
    """Turn a classifier's answer into a route: the general one where it names none of ours, or names it too unsurely."""
    categories = categories_of(request)
    found = categories.get(answer) or _meant(answer, categories)
    if not answer.strip():
        return general(request, "the classifier named no category")
    if found is None:
        return general(request, f"the classifier said {answer[:SHOWN]!r}, which is not a category here")
    if confidence is not None and confidence < request.threshold and found.name != request.general:
        why = f"{found.name} at {confidence:.2f} is below the threshold of {request.threshold:g}"
        return replace(general(request, why), confidence=confidence)
    return Choice((Route(found),), confidence)


def general(request: RouteRequest, why: str) -> Choice:
    """Send a request to the general handler, and say why."""
    note = f"{why}, so it went to {request.general}"
    return Choice((Route(categories_of(request)[request.general]),), notes=(note[:SUMMARY_LENGTH],))


def route_tools(categories: Mapping[str, Category]) -> tuple[ToolSpec, ...]:
    """Return one tool for each category, and one for requests that none fits."""
    return (
        *(
            ToolSpec(
                name=category.name,
                description=category.description,
                input_schema=category.input_schema or ANY_INPUT,
            )
            for category in categories.values()
        ),
        NO_ROUTE_SPEC,
    )


def picked(request: RouteRequest, picks: Sequence[Pick]) -> Choice:
    """Turn the picks of a model, all of them valid, into routes that may go together."""
    categories = categories_of(request)
    routes: list[Route] = []
    for pick in picks:
        if pick.tool in categories and Route(categories[pick.tool], pick.filled) not in routes:
            routes.append(Route(categories[pick.tool], pick.filled))
    if not routes:
        none = next((pick for pick in picks if pick.tool == NO_ROUTE), None)
        reason = f" ({_reason(none.filled)})" if none is not None and none.filled is not None else ""
        return general(request, f"no route fits{reason}" if none is not None else "the router picked no route")
    notes: list[str] = []
    alone = next((route for route in routes if route.category.alone), None)
    if alone is not None and len(routes) > 1:
        others = ", ".join(route.category.name for route in routes if route is not alone)
        notes.append(f"{alone.category.name} goes alone, so {others} was left out"[:SUMMARY_LENGTH])
        routes = [alone]
    if len(routes) > MAX_PICKS:
        notes.append(f"{len(routes) - MAX_PICKS} of {len(routes)} picked routes were left out: {MAX_PICKS} at most")
        routes = routes[:MAX_PICKS]
    return Choice(tuple(routes), notes=tuple(notes))


def priority_of(value: Any) -> Priority:
    """Read a priority; what is none counts as high, because somebody thought the request grave."""
    written = str(value).strip().lower()
    return next((priority for priority in PRIORITIES if priority == written), "high")


def _meant(answer: str, categories: Mapping[str, Category]) -> Category | None:
    """Find the category that a model wrote in its own way: other case, blanks or hyphens."""
    found = [category for name, category in categories.items() if _bare(name) == _bare(answer)]
    return found[0] if len(found) == 1 else None


def _bare(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _word(word: str) -> str:
    # A comma, a slash or a full stop would end the list of words.
    return " ".join(word.translate(str.maketrans(",/.=", "    ")).split())


def _reason(filled: Content) -> str:
    """Return why no route fits, where the reason is short enough to be inline."""
    try:
        reason = json.loads(filled.text or "")["reason"]
    except (ValueError, KeyError, TypeError):
        reason = filled.summary
    return " ".join(str(reason).split())[:100]
