"""The figures that stand on their own: throughput, streams, large texts, crash, start."""

from collections.abc import Callable, Mapping, Sequence
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


def _streams(rows: Sequence[Row]) -> str:
    lines = [
        (
            f"{row['streams']}",
            f"{row['calls']}",
            f"{row['wall_s']:g}",
            f"{row['cpu_ms_per_1000_deltas']:g}",
            f"{row['worker_cores']:g}",
            f"{row['mb_per_stream']:g}",
            f"{row['other_cores']:g}",
        )
        for row in rows
    ]
    row = rows[0]
    head = (
        "streams",
        "calls made",
        "seconds",
        "worker CPU, ms per 1,000 pieces",
        "worker, cores",
        "MB per stream",
        "other cores",
    )
    return (
        f"Plans whose steps all stream at once through one worker, each answer in {row['deltas']} pieces, one every "
        f"{row['pace_s'] * 1000:g} ms ({row['own_s']:g} s for a stream alone; {taken(row)}). The CPU is all of the worker's: "
        "the runs around the streams included; what serves the streams shares the same cores.\n\n" + table(head, lines)
    )


def _client(row: Row) -> str:
    names = {"sdk": "SDK, its own transport", "product": "product"}
    return (
        f"{row['streams']} streams of {row['deltas']} pieces at once, one each {row['pace_s'] * 1000:g} ms, read in turn by "
        f"both clients ({taken(row)}); CPU of the client for each piece, in µs. Product ÷ SDK: {row['ratio']}.\n\n"
        + table(tuple(names.values()), [[show(row["us_per_delta"][name]) for name in names]])
    )


def _stopped(row: Row) -> str:
    return (
        f"{row['runs']} plans of six steps, calls of {latency_of(row)}, the worker stopped for "
        f"{row['stopped_s']:g} s with SIGSTOP "
        f"while calls ran ({taken(row)}): **{row['calls']} calls for {row['calls_wanted']}**, {row['failed_runs']} runs failed."
    )


def _asked(row: Row) -> str:
    return (
        f"One of {row['runs']} plans of six steps (calls of {latency_of(row)}) is asked for its status "
        f"every quarter of a second, "
        f"while the worker is at work on all of them ({taken(row)}): {row['answered']} of {row['asked']} "
        f"questions were answered, "
        f"**{row['in_time']:.0%} within 2 s**, the median after {row['median_s']:g} s, the last after {row['longest_s']:g} s. "
        "Where no answer comes in QUERY_WAIT, `status` shows what the history says."
    )


def _processes(row: Row) -> str:
    lines = [
        (count, show(each["runs_per_s"]), "/".join(map(str, each["calls"])), show(each["server_cpu_ms_per_run"]))
        for count, each in row["processes"].items()
    ]
    return (
        f"`worker.py --processes N`: {row['runs']} plans of six steps at once over HTTP, calls of "
        f"{latency_of(row)} ({taken(row)}). "
        "The Temporal server and the Messages API run on the same cores.\n\n"
        + table(("processes", "runs a second", "calls", "server CPU a run, ms"), lines)
    )


def _start(row: Row) -> str:
    commands = {f"`{name}`": show(spread) for name, spread in row["command_cpu_s"].items()}
    return (
        f"A worker is ready {show(row['ready_s'])} s after its start, for {show(row['ready_cpu_s'])} s "
        f"of CPU ({taken(row)}). CPU of "
        f"the commands, user and system, in seconds; `import temporalio.client` alone: {show(row['sdk_cpu_s'])}.\n\n"
        + table(tuple(commands), [tuple(commands.values())])
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


def _each(write: Callable[[Row], str]) -> Callable[[Sequence[Row]], str]:
    return lambda rows: "\n\n".join(map(write, rows))


SECTIONS: tuple[tuple[str, str, Callable[[Sequence[Row]], str]], ...] = (
    ("throughput", "Many runs at once", _each(_throughput)),
    ("crowd", "Plans started at once", _each(_crowd)),
    ("asked", "Status of a run while the worker is busy", _each(_asked)),
    ("stopped", "A worker that is stopped for a while", _each(_stopped)),
    ("processes", "Several worker processes", _each(_processes)),
    ("streams", "Many streamed answers at once", _streams),
    ("long", "Long runs", _each(long.shown)),
    ("client", "The model client alone", _each(_client)),
    ("gather", "30 × 1 MB into one", _each(_gather)),
    ("crash", "kill -9 of the worker in the tenth call", _each(_crash)),
    ("start", "Start of workers and commands", _each(_start)),
    ("telemetry", "Cost of telemetry", _each(_telemetry)),
)
