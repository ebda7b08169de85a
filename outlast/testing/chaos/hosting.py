"""Becomes the worker of a chaos run: `python hosting.py [--clock SECONDS] PROGRAM.py ARGUMENT…`, or `… module:Workflow …`.

`--clock` shifts `time.time`, `time.time_ns` and `datetime.now` for the Python code of the worker: what the library, the
application and its dependencies in Python see. Temporal's core and TLS go by the machine's clock, and so do timers, which count
from the start of the machine.
"""

import importlib
import os
import pkgutil
import runpy
import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any


def shift_clock(seconds: float) -> None:
    """Let the Python code of this process see a clock that is off by so many seconds."""
    import outlast

    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + round(seconds * 1e9)

    class SameInstances(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class Shifted(datetime, metaclass=SameInstances):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    left_out = ("outlast.cli", "outlast.devstack", "outlast.testing", "outlast.contracts", "outlast.documents")
    for found in pkgutil.walk_packages(outlast.__path__, "outlast."):
        if not found.name.startswith(left_out) and "__main__" not in found.name:
            module = importlib.import_module(found.name)
            if getattr(module, "datetime", None) is datetime:
                module.datetime = Shifted  # type: ignore[attr-defined]


def main(arguments: list[str]) -> None:
    """Run the program, or a worker of the workflows that are named."""
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        sys.path[0] = os.getcwd()  # imports begin where the worker is started, and not beside this file
    if arguments[0] == "--clock":
        shift_clock(float(arguments[1]))
        arguments = arguments[2:]
    program, *rest = arguments
    if program.endswith(".py"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
        sys.argv = [program, *rest]
        runpy.run_path(program, run_name="__main__")
        return
    from outlast.worker.running import run_worker

    named, sys.argv = program.split(","), [program, *rest]
    found = [getattr(importlib.import_module(each.partition(":")[0]), each.partition(":")[2]) for each in named]
    run_worker(workflows=found)


if __name__ == "__main__":
    main(sys.argv[1:])
