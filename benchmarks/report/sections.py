"""The figures that stand on their own: throughput, large texts, crash."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.figures import long
from benchmarks.report.tables import TITLES, latency_of, show, table, taken

Row = Mapping[str, Any]

LOST = (
    "a step's calls counted as lost each time, because heartbeats were later than their time-out on this busy machine."
)


def _throughput(row: Row) -> str:
    fields = {
        "runs a second": "runs_per_s",
        "median run, s": "median_run_s",
        "worker CPU a run, ms": "worker_cpu_ms_per_run",
        "server CPU a run, ms": "server_cpu_ms_per_run",
        "other cores": "other_cores",
    }
    names = [name for name in TITLES if name in row["sides"]]
    lines = [(title, *(show(row["sides"][name][field]) for name in names)) for title, field in fields.items()]
    each: dict[str, Callable[[Row], str]] = {
        "model calls a run": lambda side: "/".join(f"{calls:g}" for calls in side["calls_per_run"]),
        "failed runs": lambda side: "/".join(map(str, side["failed_runs"])),
        "worker memory, peak MB": lambda side: f"{side['worker_mb']:g}",
    }
    lines += [(title, *(write(row["sides"][name]) for name in names)) for title, write in each.items()]
    failed = {TITLES[name]: sum(row["sides"][name]["failed_runs"]) for name in names}
    note = "".join(f"\n\n{number} runs failed ({title}): {LOST}" for title, number in failed.items() if number)
    return (
        f"{row['runs']} runs of six steps, {latency_of(row)} each ({taken(row)}).\n\n"
        + table(("", *(TITLES[name] for name in names)), lines)
        + note
    )


def _telemetry(row: Row) -> str:
    fields = {
        "runs a second": "runs_per_s",
        "worker CPU a run, ms": "worker_cpu_ms_per_run",
        "other cores": "other_cores",
    }
    lines = [(title, *(show(side[field]) for side in row["sides"].values())) for title, field in fields.items()]
    return (
        f"{row['rounds']} times {row['runs']} runs of six steps at once, {latency_of(row)} each, in turn with telemetry off and "
        f"on ({taken(row)}): traces of every run, metrics, over OTLP to a process that drops them. On ÷ off, by round: runs a "
        f"second {show(row['on_by_off'])}, CPU of the worker {show(row['cpu_on_by_off'])}.\n\n"
        + table(("", *(TITLES[name] for name in row["sides"])), lines)
    )


def _crowd(row: Row) -> str:
    failed = f"{row['failed_runs']} runs failed ({row['error']})" if row["failed_runs"] else "no run failed"
    return (
        f"{row['runs']} plans of six steps started at once on one worker, their model over HTTP, {latency_of(row)} each "
        f"({taken(row)}): **{row['calls']:,} calls for {row['calls_wanted']:,}**, {failed}; {row['runs_per_s']:g} runs a second, "
        f"the median run took {row['median_run_s']:g} s, worker at most {row['worker_mb']:g} MB, other cores "
        f"{row['other_cores']:g}."
    )


def _streams(row: Row) -> str:
    names = {"sdk": "SDK, its own transport", "product": "product"}
    return (
        f"{row['streams']} streams of {row['deltas']} pieces at once, one each {row['pace_s'] * 1000:g} ms, read in turn by "
        f"both clients ({taken(row)}); CPU of the client for each piece, in µs. Product ÷ SDK: {row['ratio']}.\n\n"
        + table(tuple(names.values()), [[show(row["us_per_delta"][name]) for name in names]])
    )


def _gather(row: Row) -> str:
    lines = [
        (
            TITLES[name],
            f"{side['completed']}" + (f" ({side['error']})" if side["error"] else ""),
            show(side["seconds"]) if side["seconds"] else "",
            show(side["worker_mb"]),
            show(side["idle_worker_mb"]),
            show(side["history_bytes"]),
        )
        for name, side in row["sides"].items()
    ]
    head = ("", "completed", "seconds", "worker, peak MB", "before, MB", "bytes of history")
    return (
        f"Thirty answers of {row['size']:,} bytes into one step, each time on a fresh worker ({taken(row)}).\n\n"
        + table(head, lines)
    )


def _crash(row: Row) -> str:
    lines = [
        (
            TITLES[name],
            show(side["ready_s"]),
            show(side["rerun_s"]),
            show(side["next_step_s"]),
            show(side["total_s"]),
            "/".join(map(str, side["calls"])),
            str(max(side["completed_steps_repeated"])),
        )
        for name, side in row["sides"].items()
    ]
    head = (
        "",
        "new worker ready, s",
        "killed step runs again, s",
        "next step starts, s",
        "whole run, s",
        "calls",
        "finished steps repeated",
    )
    beat = (
        f"heartbeat time-out of the baseline {row['heartbeat_s']:g} s"
        if row["heartbeat_s"]
        else "baseline without heartbeat"
    )
    return (
        f"A chain of {row['steps']} at {latency_of(row)}; {beat} ({taken(row)}). Seconds after the new worker began.\n\n"
        + table(head, lines)
    )


SECTIONS: tuple[tuple[str, str, Callable[[Row], str]], ...] = (
    ("throughput", "Many runs at once", _throughput),
    ("telemetry", "What telemetry costs", _telemetry),
    ("crowd", "A crowd: plans started at once", _crowd),
    ("streams", "Many streamed answers at once", _streams),
    ("long", "Long lives", long.shown),
    ("gather", "30 × 1 MB into one", _gather),
    ("crash", "kill -9 of the worker in the tenth call", _crash),
)
