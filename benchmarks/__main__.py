"""Takes the figures: `python -m benchmarks [--quick] [--only NAME,…] [--reps N] [--out DIR]`.

A whole run takes about half an hour and writes `benchmarks/results/latest.json` and `docs/performance.md`. With `--only`
the figures named are taken anew and the others kept. `--quick` tries everything once, small, and keeps nothing unless
`--out` says where.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.plan import FIGURES, QUICK, Extent, take
from benchmarks.report.page import page
from benchmarks.report.plots import plots
from benchmarks.targets import judge
from tests.real_process import PROJECT

FORMAT = 1
RESULTS = PROJECT / "benchmarks" / "results"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the product beside bare Temporal."
    )
    parser.add_argument("--quick", action="store_true", help="everything once and small, to see that it works")
    parser.add_argument("--only", help=f"comma-separated, of: {', '.join(FIGURES)}")
    parser.add_argument("--reps", type=int, help="repetitions (default 3)")
    parser.add_argument("--out", type=Path, help="directory for latest.json and performance.md")
    arguments = parser.parse_args()
    arguments.names = arguments.only.split(",") if arguments.only else list(FIGURES)
    if unknown := [name for name in arguments.names if name not in FIGURES]:
        parser.error(f"no figure named {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    return arguments


def _places(arguments: argparse.Namespace) -> tuple[Path, Path] | None:
    if arguments.out:
        return arguments.out / "latest.json", arguments.out / "performance.md"
    if arguments.quick:
        return None
    return RESULTS / "latest.json", PROJECT / "docs" / "performance.md"


def _kept(result: Path, names: list[str]) -> dict[str, Any]:
    """Return the figures of an earlier result that are not taken anew."""
    if set(names) == set(FIGURES) or not result.exists():
        return {}
    earlier: dict[str, Any] = json.loads(result.read_text())
    return earlier["figures"] if earlier["format"] == FORMAT and not earlier["quick"] else {}


def main() -> int:
    """Take the figures, write them, and print the verdicts; returns the exit code (targets missed are no error)."""
    arguments = _arguments()
    extent: Extent = QUICK if arguments.quick else Extent()
    if arguments.reps:
        extent = replace(extent, reps=arguments.reps)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        figures = asyncio.run(take(arguments.names, extent, Path(directory), lambda text: print(text, flush=True)))
    places = _places(arguments)
    kept = _kept(places[0], arguments.names) if places else {}
    taken = {name: figures.get(name, kept.get(name)) for name in FIGURES if name in figures or name in kept}
    result: dict[str, Any] = {
        "format": FORMAT,
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "quick": extent.quick,
        "machine": describe(),
        "targets": judge(taken),
        "figures": taken,
    }
    for verdict in result["targets"]:
        if verdict["measured"] is None:
            continue
        mark = "reached    " if verdict["reached"] else "NOT reached"
        print(f"{mark}  {verdict['name']}: {verdict['measured']:,g} (wanted {verdict['wanted']})")
    if places:
        for place, text in zip(
            places, (json.dumps(result, indent=1, ensure_ascii=False) + "\n", page(result)), strict=True
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            print(f"written: {place}")
        images = places[1].parent / "images"
        images.mkdir(exist_ok=True)
        for name, picture in plots(taken).items():
            (images / name).write_text(picture)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The SDK's native threads can crash the interpreter at exit, after everything is done.
    os._exit(code)
