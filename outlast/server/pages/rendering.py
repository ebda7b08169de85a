"""Renders the pages. Every text may come from a model; Jinja escapes all of them, and none is ever marked as safe."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from outlast.cli.printing import Exact, page_environment
from outlast.cli.rendering import seconds
from outlast.contracts import SHORT_DIGEST

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "style.css").read_text()
SCRIPT = (FOLDER / "live.js").read_text()


def render(template: str, **data: Any) -> str:
    """Return a page."""
    return _environment().get_template(template).render(**data)


def left(deadline: datetime | None, now: datetime) -> str:
    """Return how long people still have."""
    if deadline is None:
        return "until it is answered"
    remaining = (deadline - now).total_seconds()
    return f"{seconds(remaining)} left" if remaining > 0 else "time is over"


@cache
def _environment() -> Environment:
    made = page_environment(FOLDER)
    made.filters |= {
        "exact": Exact,
        "left": left,
        "took": seconds,
        "short": lambda digest: digest[:SHORT_DIGEST],
    }
    return made
