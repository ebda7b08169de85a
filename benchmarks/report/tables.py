"""How the page writes a spread, a latency and a table."""

from collections.abc import Mapping, Sequence
from typing import Any

TITLES = {
    "product": "product",
    "bare": "bare Temporal",
    "bare_default": "bare, default server",
    "product_http": "product, HTTP",
    "bare_http": "bare, HTTP",
    "product_seen": "product, HTTP, telemetry on",
}


def show(spread: Mapping[str, float]) -> str:
    """Show median, smallest and largest."""
    if spread["n"] == 1 or spread["min"] == spread["max"]:
        return number(spread["median"])
    return f"{number(spread['median'])} ({number(spread['min'])}–{number(spread['max'])})"


def number(value: float) -> str:
    """Write a number, large ones without a fraction."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def latency_of(row: Mapping[str, Any]) -> str:
    """Write the latency of a figure's model calls."""
    return f"{row['latency_s']:g} s" if row["latency_s"] >= 1 else f"{row['latency_s'] * 1e3:.0f} ms"


def taken(row: Mapping[str, Any]) -> str:
    """Say when a figure was taken, at which commit, and how fast the machine was."""
    at = f"{row['at']} at {row['commit']}" if row["commit"] else row["at"]
    return f"{at}, loop {row['calibration_ms']:g} ms"
