"""Says for each missed target, in words filled with measured numbers, how far off it is and where the time goes."""

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]

REPORT = "activity started to completed, less latency"
WAIT = "workflow task scheduled to started"
TASK = "workflow task started to completed"
HEAD = "start to first activity"
TAIL = "last activity to end"
LATE = "A call counts as lost when no heartbeat of it has come for longer than its time-out, and is then made again."
SPANS = 28
"""Spans of one run of six steps in its worker: four for each step and its call, four around them."""


def explain(result: Row) -> list[str]:
    """Return one paragraph for each target that was missed."""
    return [_one(result, verdict) for verdict in result["targets"] if verdict["reached"] is False]


def _one(result: Row, verdict: Row) -> str:
    name, figure = verdict["name"], verdict["figure"]
    rows = result["figures"][figure]
    begin = f"**{name}**: {verdict['measured']:,g}, wanted {verdict['wanted']}."
    latency = 2.0 if name.endswith("2 s") else 0.05 if name.endswith("50 ms") else 0.2
    row = next((row for row in rows if row.get("latency_s") == latency), rows[0])
    if name.endswith("per step"):
        return f"{begin} {_history(row)}"
    if "model calls" in name or "failed" in name:
        return f"{begin} {LATE}"
    if figure == "throughput":
        return (
            f"{begin} {_throughput(row, result['machine']['cores'], 'bare_default' if 'default' in name else 'bare')}"
        )
    if figure in ("chain20", "fan50", "rand60"):
        return f"{begin} {_time(row, '_http' if 'HTTP' in name else '')}"
    write = {
        "telemetry": _telemetry,
        "gather": _gather,
        "streams": _streams,
        "start": _start,
        "crash": _crash,
        "asked": _asked,
        "long": _long,
    }
    return f"{begin} {write[figure](row)}" if figure in write else f"{begin} {LATE}"


def _time(row: Row, over: str) -> str:
    product, bare = (
        row["sides"][f"product{over}"],
        row["sides"][f"bare{over}" if f"bare{over}" in row["sides"] else "bare"],
    )
    legs, theirs = product["legs_ms"], bare["legs_ms"]
    longer = (product["ratio"]["median"] - 1) * row["ideal_s"] * 1e3
    return (
        f"That is {longer:,.0f} ms over the {row['ideal_s']:g} s that the model calls of the longest path take; bare Temporal "
        f"is at {bare['ratio']['median']:g} beside it. {legs[HEAD]:,.0f} ms lie before the first step starts (bare: "
        f"{theirs[HEAD]:,.0f}) and {legs[TAIL]:,.0f} ms after the last ends (bare: {theirs[TAIL]:,.0f}). In between, an answer "
        f"takes {legs[REPORT]:.1f} ms to be kept and recorded (bare: {theirs[REPORT]:.1f}), and the decision that follows "
        f"waits {legs[WAIT]:.1f} ms and takes {legs[TASK]:.1f} ms (bare: {theirs[WAIT]:.1f} and {theirs[TASK]:.1f}). "
        f"CPU a step: {product['worker_cpu_ms_per_step']['median']:.1f} ms in the worker (bare: "
        f"{bare['worker_cpu_ms_per_step']['median']:.1f}), {product['server_cpu_ms_per_step']['median']:.1f} ms in the server "
        f"(bare: {bare['server_cpu_ms_per_step']['median']:.1f}). {_noise(product)}"
    )


def _history(row: Row) -> str:
    product = row["sides"]["product"]
    tasks, events = product["workflow_tasks"], product["events_per_step"]
    return (
        f"{row['steps']} activities are three events each and the rest is workflow tasks: {tasks['median']:g} of them "
        f"({tasks['min']:g}–{tasks['max']:g}), {events['median']:g} events a step. Results that come together share a task; "
        f"the slower the machine, the more they come apart. {_noise(product)}"
    )


def _telemetry(row: Row) -> str:
    off, on = (row["sides"][name]["worker_cpu_ms_per_run"]["median"] for name in ("product_http", "product_seen"))
    return (
        f"A run costs {on:.0f} ms of CPU in the worker, {off:.0f} without: {(on - off) / SPANS:.1f} ms for each of its {SPANS} "
        f"spans, which Python makes and exports while {row['runs']} runs at once keep the cores busy. OTEL_TRACES_SAMPLER "
        "keeps fewer. "
        f"{_noise(row['sides']['product_seen'])}"
    )


def _gather(row: Row) -> str:
    product = row["sides"]["product"]
    idle, peak, prompt = product["idle_worker_mb"]["median"], product["worker_mb"]["median"], 30 * row["size"] / 2**20
    return (
        f"The worker has {idle:.0f} MB before its first call. The one prompt of {prompt:.0f} MB adds {peak - idle:.0f} MB, "
        f"{(peak - idle) / prompt:.1f} times itself: its parts, and the copies made while they are put together."
    )


def _streams(row: Row) -> str:
    return (
        f"The streams themselves take {row['own_s']:g} s. A worker computes "
        f"{row['cpu_ms_per_1000_deltas']:g} ms for 1,000 pieces, "
        "the runs around the streams included: {:.2f} cores for {} streams; what serves them, and the Temporal server, share "
        "the same cores. {}"
    ).format(row["worker_cores"], row["streams"], _noise({"other_cores": {"median": row["other_cores"]}}))


def _start(row: Row) -> str:
    commands = ", ".join(f"{name} {spread['median']:g}" for name, spread in row["command_cpu_s"].items())
    return (
        f"CPU of the commands in seconds: {commands}. Python and `import temporalio.client` alone take "
        f"{row['sdk_cpu_s']['median']:g} of each (but of --help); a worker computes {row['ready_cpu_s']['median']:g} s until it "
        f"is ready. A fixed piece of Python took {row['calibration_ms']:g} ms meanwhile, 12 on the calm machine."
    )


def _crash(row: Row) -> str:
    product = row["sides"]["product"]
    return (
        f"The new worker is ready after {product['ready_s']['median']:g} s; what the dead one ran is handed back before it "
        f"polls. A fixed piece of Python took {row['calibration_ms']:g} ms meanwhile, 12 on the calm machine."
    )


def _asked(row: Row) -> str:
    return (
        f"{row['answered']} of {row['asked']} questions were answered at all, the median after {row['median_s']:g} s: each waits "
        f"for the workflow tasks that the worker has taken before it. "
        f"{_noise({'other_cores': {'median': row['other_cores']}})}"
    )


def _long(row: Row) -> str:
    shown = (
        f"the {of}: {side['cpu_ms_early']:g} → {side['cpu_ms_late']:g} ms, "
        f"{side['bytes_early']:,} → {side['bytes_late']:,} bytes, "
        f"{side['mb_first']:g} → {side['mb_end']:g} MB in {side['parts']} parts"
        for of in ("plan", "session")
        for side in (row[of],)
    )
    return f"A call costs early → late, {'; '.join(shown)}."


def _throughput(row: Row, cores: int, against: str) -> str:
    product, bare = row["sides"]["product"], row["sides"][against]
    tuned = row["sides"].get("bare", bare)
    worker, server = (product[field]["median"] for field in ("worker_cpu_ms_per_run", "server_cpu_ms_per_run"))
    most = cores * 1e3 / (worker + server)
    return (
        f"{product['runs_per_s']['median']:g} runs a second against {bare['runs_per_s']['median']:g} of "
        f"bare Temporal. A run costs {worker:.0f} ms of "
        f"CPU in the worker (bare: {tuned['worker_cpu_ms_per_run']['median']:.0f}) and {server:.0f} ms in the server (bare: "
        f"{tuned['server_cpu_ms_per_run']['median']:.0f}); {cores} cores that did nothing else would make {most:.1f} runs a "
        f"second of that. {_noise(product)}"
    )


def _noise(side: Row) -> str:
    return f"Others used {side['other_cores']['median']:g} cores meanwhile."
