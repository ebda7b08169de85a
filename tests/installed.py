"""What `pip install outlast` brings, read from the metadata of what is installed here: no network is needed."""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from typing import Any

from packaging.requirements import Requirement

from tests.real_process import PROJECT

METADATA: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = METADATA["optional-dependencies"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def core() -> dict[str, Distribution]:
    """Every distribution that an installation without extras has, our own left out."""
    return closure(METADATA["dependencies"])


def extra(name: str) -> dict[str, Distribution]:
    """Every distribution of an extra, those of the core included."""
    return closure([*METADATA["dependencies"], f"outlast[{name}]"])


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    waiting = [Requirement(one) for one in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    found: dict[str, Distribution] = {}
    while waiting:
        one = waiting.pop()
        key = (normal(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        if key[0] == "outlast":
            waiting += [Requirement(text) for name in one.extras for text in EXTRAS[name]]
            waiting = [each for each in waiting if each.marker is None or each.marker.evaluate()]
            continue
        found[key[0]] = distribution(one.name)
        for text in found[key[0]].requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": each}) for each in ("", *one.extras)):
                waiting.append(needed)
    return found
