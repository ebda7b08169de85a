"""The pictures of the page, as SVG: bars side by side. One colour each for the product and for bare Temporal."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Row = Mapping[str, Any]
Bars = Sequence[tuple[str, Sequence[tuple[str, float]]]]

COLOURS = {"product": "#2f6fab", "bare Temporal": "#b8b8b8", "product, HTTP": "#7fb0dc", "bare, HTTP": "#dcdcdc"}
WIDTH, LEFT, LABEL, BAR, GAP = 760, 190, 90, 18, 16
CASES = {"chain20": "chain of 20", "fan50": "fan-out of 50", "rand60": "random graph of 60"}


def plots(figures: Row) -> dict[str, str]:
    """Draw what was measured: file name → SVG."""
    timed = {graph: row for graph in CASES for row in figures.get(graph, ()) if row["latency_s"] == 0.2}
    found = {}
    if timed:
        history = [(CASES[graph], _sides(row, "bytes_per_step", ("product", "bare"))) for graph, row in timed.items()]
        found["bench-history.svg"] = bars("Bytes of history per step, answers of 2 kB", history)
        names = ("product", "bare", "product_http", "bare_http")
        ratios = [(CASES[graph], _sides(row, "ratio", names)) for graph, row in timed.items()]
        found["bench-makespan.svg"] = bars("Makespan ÷ longest path of model calls of 200 ms", ratios)
    if streams := figures.get("streams"):
        seconds = [(f"{row['streams']} streams", [("product, HTTP", row["wall_s"])]) for row in streams]
        own = f"{streams[0]['own_s']:g}"
        found["bench-streams.svg"] = bars(f"Seconds until all streams are done; one alone takes {own}", seconds)
    return found


def _sides(row: Row, field: str, names: Sequence[str]) -> list[tuple[str, float]]:
    titles = {"product": "product", "bare": "bare Temporal", "product_http": "product, HTTP", "bare_http": "bare, HTTP"}
    return [(titles[name], row["sides"][name][field]["median"]) for name in names if name in row["sides"]]


def bars(title: str, groups: Bars) -> str:
    """Draw groups of bars: each group with its name, each bar with what it stands for and its value."""
    most = max((value for _, group in groups for _, value in group), default=1.0) or 1.0
    scale = (WIDTH - LEFT - LABEL) / most
    parts, y = [], 48
    for name, group in groups:
        parts.append(f'<text x="0" y="{y + BAR - 4}" font-weight="bold">{escape(name)}</text>')
        for series, value in group:
            length = max(1.0, value * scale)
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{COLOURS[series]}"/>')
            shown = f"{value:,.0f}" if value >= 100 else f"{value:g}"
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + BAR - 6}">{shown} {escape(series)}</text>')
            y += BAR
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 60} {y}" role="img" aria-label="{escape(title)}"'
    style = ' font-family="sans-serif" font-size="13" fill="#333">'
    back = (
        f'<rect width="{WIDTH + 60}" height="{y}" fill="#fff"/><text x="0" y="22" font-size="15">{escape(title)}</text>'
    )
    return "\n".join([head + style, back, *parts, "</svg>", ""])
