"""Writes `docs/performance.md` from the figures: tables, verdicts, and for each missed target where its time goes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.report.gains import gains, sizing
from benchmarks.report.plots import plots
from benchmarks.report.sections import SECTIONS
from benchmarks.report.shortfall import explain
from benchmarks.report.tables import TITLES, latency_of, number, show, table, taken

Row = Mapping[str, Any]

PICTURES = {
    "bench-history.svg": "Bytes of history per step, beside bare Temporal",
    "bench-makespan.svg": "Makespan of the graphs, beside bare Temporal",
    "bench-streams.svg": "Seconds until all streams are done",
}
GRAPHS = {"chain20": "chain of 20", "fan50": "fan-out of 50", "rand60": "random graph of 60"}

HEAD = """# Performance

What is gained over bare Temporal, how large a machine has to be, which targets are met or missed, and how it was measured.
`make bench` writes this page from `benchmarks/results/latest.json`; to change its words, edit `benchmarks/report/`.
"""

METHOD = """## How it was measured

```sh
make bench                                           # everything, about half an hour
.venv/bin/python -m benchmarks --only rand60,crash   # these anew, the others kept
.venv/bin/python -m benchmarks --quick               # does it work at all, a minute or two
```

The same graphs run through the product (a plan handed to `PlanAndExecuteWorkflow`: agents, content store, heartbeats, trace)
and through a bare Temporal workflow as anyone would write it (one activity a step, outputs as plain values, no heartbeat).
Both make the same model calls, in turn, in one run. In the first column the model is scripted, within the worker's process,
on the embedded server. HTTP: the real client of the Messages API streams from a local server with a set latency; both share
the same cores. Answers are 2 kB of text.

This is one dev server and one worker on a small machine that others may use too, so compare the columns of one row, not rows
with other machines. "Other cores" is what others used meanwhile, and "loop" is how long a fixed piece of Python took.
"""

SIZING = """What one core carries, derived from the figures below. A worker process computes on one core;
`worker.py --processes auto` runs one on each. With Temporal Cloud or a cluster, the server's part is not yours."""


def page(result: Row) -> str:
    """Return the whole page."""
    figures = result["figures"]
    timed = [row for graph in GRAPHS for row in figures.get(graph, ())]
    pictures = {name: f"![{title}](images/{name})" for name, title in PICTURES.items() if name in plots(figures)}
    sections = [HEAD, "## Gains\n\n" + "\n".join(gains(figures)), pictures.get("bench-history.svg", "")]
    if sized := sizing(figures):
        sections.append(f"## How large a machine\n\n{SIZING}\n\n{sized}")
    sections += ["## Targets\n\n" + _targets(result["targets"])]
    if missed := explain(result):
        sections.append("### Missed targets, and where the time goes\n\n" + "\n\n".join(missed))
    sections += [METHOD, _machine(result)]
    if timed:
        sections.append("## One run: makespan ÷ longest path of model calls\n\n" + _ratios(timed))
        sections.append(pictures.get("bench-makespan.svg", ""))
        sections.append("## History and calls\n\n" + _histories(timed))
        sections.append("## Where the time of a run goes\n\n" + _legs(timed))
    for name, title, write in SECTIONS:
        if figures.get(name):
            sections.append(f"## {title}\n\n{write(figures[name])}")
            sections.append(pictures.get(f"bench-{name}.svg", ""))
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


def _machine(result: Row) -> str:
    machine = result["machine"]
    quick = " **Quick run: these are no results.**" if result["quick"] else ""
    return (
        f"Last taken {result['at']} on {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, {machine['temporal']}, temporalio "
        f"{machine['temporalio']}, pydantic {machine['pydantic']}, obstore {machine['obstore']}, "
        f"anthropic {machine['anthropic']}.{quick} Each cell: median (smallest–largest)."
    )


def _targets(verdicts: Sequence[Row]) -> str:
    rows = [
        (
            verdict["name"],
            verdict["wanted"],
            "not taken yet" if verdict["measured"] is None else f"{verdict['measured']:,g}",
            {True: "yes", False: "**no**", None: ""}[verdict["reached"]],
        )
        for verdict in verdicts
    ]
    return "First column (scripted model), unless HTTP or streams are named.\n\n" + table(
        ("", "wanted", "measured", "reached"), rows
    )


def _across(
    rows: Sequence[Row], cell: Callable[[Row], str], first: Callable[[Row], str] = lambda row: _case(row)
) -> str:
    """Build a table of one line a case and one column a side; sides that a case lacks stay empty."""
    names = [name for name in TITLES if any(name in row["sides"] for row in rows)]
    lines = [
        (first(row), *(cell(row["sides"][name]) if name in row["sides"] else "" for name in names)) for row in rows
    ]
    return table(("", *(TITLES[name] for name in names)), lines)


def _case(row: Row) -> str:
    return f"{GRAPHS[row['graph']]}, {latency_of(row)}"


def _ratios(rows: Sequence[Row]) -> str:
    ratios = _across(rows, lambda side: f"{show(side['ratio'])}, n={side['ratio']['n']}")
    others = max(side["other_cores"]["median"] for row in rows for side in row["sides"].values())
    when = "; ".join(f"{_case(row)} {taken(row)}" for row in rows)
    return f"{ratios}\n\nOther cores: {others:g} at most. Taken: {when}."


def _histories(rows: Sequence[Row]) -> str:
    def cell(side: Row) -> str:
        calls = "/".join(str(number) for number in dict.fromkeys(side["calls"]))
        return f"{side['events_per_step']['median']:g} ev, {number(side['bytes_per_step']['median'])} B, {calls} calls"

    return (
        "Events and bytes of history per step, and model calls of one run. An activity is three events, a workflow task "
        "three more; how many results one task takes depends on timing.\n\n" + _across(rows, cell)
    )


def _legs(rows: Sequence[Row]) -> str:
    parts = []
    for row in rows:
        if row["latency_s"] >= 1:
            continue
        sides = [name for name in ("product", "bare", "product_http", "bare_http") if name in row["sides"]]
        names = list(dict.fromkeys(leg for name in sides for leg in row["sides"][name]["legs_ms"]))
        lines = [(leg, *(f"{row['sides'][name]['legs_ms'].get(leg, 0):,.1f}" for name in sides)) for leg in names]
        for title, field in (
            ("worker CPU a step", "worker_cpu_ms_per_step"),
            ("server CPU a step", "server_cpu_ms_per_step"),
        ):
            lines.append((title, *(f"{row['sides'][name][field]['median']:.1f}" for name in sides)))
        parts.append(f"{_case(row)} (ms, medians):\n\n" + table(("", *(TITLES[name] for name in sides)), lines))
    return "\n\n".join(parts)
