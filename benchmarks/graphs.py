"""The graphs that are run, what a step of them asks for, and the stand-in for a model that answers it. No Temporal here.

A step's input says how long its answer takes and how big it is, so that one worker serves every case. Answers
must differ from call to call, else a content-addressed store keeps a part of them only.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

Dag = Mapping[str, Sequence[str]]

GRAPHS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("dags.json").read_text())
"""Each graph as step → the steps it depends on, in topological order."""

TEXT_CHARACTERS = 1_200_000
_ASKED = re.compile(r"(\S+) of (\S+): (\d+) bytes in ([\d.]+) s")


def longest_path(dag: Dag) -> int:
    """Count the steps of the longest path."""
    depth: dict[str, int] = {}
    for step, dependencies in dag.items():
        depth[step] = 1 + max((depth[dependency] for dependency in dependencies), default=0)
    return max(depth.values())


@dataclass(frozen=True)
class Work:
    """What one step of a run asks for: an answer of `size` bytes after `latency` seconds."""

    step: str
    run: str
    latency: float
    size: int

    @property
    def instruction(self) -> str:
        return f"{self.step} of {self.run}: {self.size} bytes in {self.latency:g} s"

    @classmethod
    def read(cls, prompt: str) -> "Work":
        """Read it back from the beginning of a prompt."""
        found = _ASKED.match(prompt)
        assert found, f"no work in {prompt[:80]!r}"
        return cls(step=found[1], run=found[2], size=int(found[3]), latency=float(found[4]))


@cache
def _words() -> str:
    """Return word-like text (zlib makes it 2.2 to 2.4 times smaller)."""
    random = Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(random.choice(letters) for _ in range(random.randint(2, 10))) for _ in range(3000)]
    words, length = [], 0
    while length < TEXT_CHARACTERS:
        word = random.choice(vocabulary)
        words.append(word)
        length += len(word) + 1
    return " ".join(words)


def prepare_text() -> None:
    """Make the text before anything is measured."""
    _words()


def text_of(size: int) -> str:
    """Return `size` bytes of word-like text that no other call gets."""
    mark = os.urandom(8).hex()
    start = int(mark[:8], 16) % 100_000
    return f"{mark} {_words()[start : start + size]}"[:size]


@dataclass(frozen=True)
class Call:
    """One model call as the model saw it; times are Unix seconds, `ended` only if it was answered."""

    step: str
    started: float
    ended: float | None


class CallLog:
    """A file to which a stand-in writes when a call starts and ends; it survives the death of the writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, what: str, step: str) -> None:
        """Write one line."""
        os.write(self._file, f"{what} {step} {time.time():.4f}\n".encode())


def read_calls(path: Path) -> list[Call]:
    """Read all calls in the order of their starts; an end belongs to the last start of its step."""
    calls: list[Call] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        what, step, at = line.split()
        if what == "start":
            calls.append(Call(step, float(at), None))
            continue
        position = max(index for index, call in enumerate(calls) if call.step == step and call.ended is None)
        calls[position] = Call(step, calls[position].started, float(at))
    return calls
