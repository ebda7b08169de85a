"""What a chaos run is made of: what is started, which faults strike, and what became of it all."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from outlast.extras import require

require("testing", "outlast.testing.chaos")  # before anything of it is imported, which the modules beside this one do


class Fault(StrEnum):
    """What strikes."""

    KILL = "kill"
    KILL_BOTH = "kill-both"
    SIGTERM = "sigterm"
    STOP = "stop"
    STOP_BOTH = "stop-both"
    SERVER_KILLED = "server-killed"
    NETWORK_CUT = "network-cut"
    NETWORK_STALLED = "network-stalled"
    API_DOWN = "api-down"
    API_429 = "api-429"
    API_529 = "api-529"
    API_500 = "api-500"
    API_CUT = "api-cut"
    API_ENDED = "api-ended"
    API_GARBAGE = "api-garbage"
    API_WEB_PAGE = "api-web-page"
    API_WRONG_TYPE = "api-wrong-type"
    API_JSON = "api-json"
    API_HANG = "api-hang"
    API_CRAWL = "api-crawl"
    STORE_GONE = "store-gone"
    STORE_READ_ONLY = "store-read-only"
    STORE_FULL = "store-full"
    STARTER_KILLED = "starter-killed"
    CLOCK_AHEAD = "clock-ahead"
    CLOCK_BEHIND = "clock-behind"
    NO_CACHE = "no-cache"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class Kind:
    """What a fault does: in words, what it strikes (two faults at once never strike the same), and for how many seconds."""

    what: str
    target: Literal["workers", "server", "network", "api", "store", "starters"]
    seconds: tuple[float, float] = (0.0, 0.0)


API = (1.5, 4.0)
KINDS: Mapping[Fault, Kind] = {
    Fault.KILL: Kind("SIGKILL to one of two workers", "workers", (0.0, 2.0)),
    Fault.KILL_BOTH: Kind("SIGKILL to both workers", "workers", (0.0, 2.0)),
    Fault.SIGTERM: Kind("SIGTERM to one of two workers", "workers"),
    Fault.STOP: Kind("one of two workers stands still (SIGSTOP, SIGCONT)", "workers", (2.0, 6.0)),
    Fault.STOP_BOTH: Kind("both workers stand still", "workers", (2.0, 6.0)),
    Fault.SERVER_KILLED: Kind("SIGKILL to the server, started again on its database", "server", (0.0, 2.0)),
    Fault.NETWORK_CUT: Kind("connections between workers and server are reset and refused", "network", (1.0, 5.0)),
    Fault.NETWORK_STALLED: Kind("connections between workers and server pass nothing on", "network", (1.0, 5.0)),
    Fault.API_DOWN: Kind("the API resets and refuses connections", "api", API),
    Fault.API_429: Kind("the API answers 429", "api", API),
    Fault.API_529: Kind("the API answers 529", "api", API),
    Fault.API_500: Kind("the API answers 500", "api", API),
    Fault.API_CUT: Kind("the API drops the connection in the middle of an answer", "api", API),
    Fault.API_ENDED: Kind("the API ends the stream in the middle of an answer", "api", API),
    Fault.API_GARBAGE: Kind("the API sends what is no event", "api", API),
    Fault.API_WEB_PAGE: Kind("the API sends a web page", "api", API),
    Fault.API_WRONG_TYPE: Kind("the API streams under a wrong content type", "api", API),
    Fault.API_JSON: Kind("the API sends plain JSON where a stream was asked for", "api", API),
    Fault.API_HANG: Kind("the API takes calls and says nothing", "api", API),
    Fault.API_CRAWL: Kind("the API streams three characters at a time", "api", API),
    Fault.STORE_GONE: Kind("the directory of the content store is away", "store", (5.0, 5.0)),
    Fault.STORE_READ_ONLY: Kind("the content store can only be read", "store", (3.0, 5.0)),
    Fault.STORE_FULL: Kind("no file of the workers can grow, as on a full disk", "store", (3.0, 5.0)),
    Fault.STARTER_KILLED: Kind("SIGKILL to a starter, started again with the same id", "starters"),
    Fault.CLOCK_AHEAD: Kind(
        "a worker whose clock is an hour ahead takes over from one of two",
        "workers",
        (2.0, 4.0),
    ),
    Fault.CLOCK_BEHIND: Kind("the same with a clock that is an hour behind", "workers", (2.0, 4.0)),
    Fault.NO_CACHE: Kind(
        "a worker that keeps no run in memory takes over, and every run is queried",
        "workers",
        (2.0, 4.0),
    ),
    Fault.DEPLOY: Kind("both workers are replaced by those of another build", "workers"),
}
"""All faults."""

EVERY_FAULT: tuple[Fault, ...] = tuple(Fault)


@dataclass(frozen=True)
class Says:
    """What a person says in a session.

    Args:
        text: The message; none of a session is part of another one.
        by: Who says it.
        at_once: Whether it is said while the message before may still be worked on.
        interrupt: Whether it breaks off what the agent does.
    """

    text: str
    by: str = ""
    at_once: bool = False
    interrupt: bool = False


@dataclass(frozen=True)
class Scenario:
    """One workflow under chaos; `{run}` in texts of `request`, `says` and `command` stands for the run's id, `job-123456`.

    Each prompt should hold that id, because calls are counted for each run.

    Args:
        name: What the table calls it.
        workflow: The workflow's type, started by the client with `request`.
        request: The workflow's request as JSON.
        command: The command that starts the run under the id `{run}` and waits for it, in the place of `workflow`; its exit code
            is judged (0, or 1 for a run that is to fail), and it can be killed and started again.
        ends: How the run must end.
        says: What people say to a session of an agent, in the place of `workflow` and `command`; `request` is the session's.
            Each message has to be answered, or broken off by one that interrupts. It is said by a program of its own, which can
            be killed and started again.
        approvers: Who approves its gates.
        answer: What people answer to each question that it asks.
        prepare: Called with the id before the run starts.
        check: Called with the id after the run has ended; returns what is wrong, or "".
    """

    name: str
    workflow: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = ()
    ends: Literal["completed", "failed"] = "completed"
    says: Sequence[Says] = ()
    approvers: Sequence[str] = ()
    answer: str = ""
    prepare: Callable[[str], None] = lambda _: None
    check: Callable[[str], str] = lambda _: ""


@dataclass
class Strike:
    """One fault that struck: when it began and ended (Unix seconds), and how long it took until something was done again."""

    fault: Fault
    began: float
    ended: float = 0.0
    progress: float | None = None


@dataclass
class Case:
    """What became of all runs under one seed; whatever is listed or counted beside runs and strikes should not be."""

    seed: int
    runs: Counter[str] = field(default_factory=Counter)
    """How many runs of each scenario there were."""
    strikes: list[Strike] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Runs that did not end as they should."""
    wedged: list[str] = field(default_factory=list)
    """Runs that did not end."""
    finished_repeated: list[str] = field(default_factory=list)
    """Calls that were made again although their answer had come."""
    live_repeated: list[str] = field(default_factory=list)
    """Calls that were given up and made again although neither their process nor the API was struck."""
    effects_twice: list[str] = field(default_factory=list)
    wrong_exits: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    """Processes that outlived the worker that had started them."""
    calls: int = 0
    """Model calls that came to the API."""
    excused: int = 0
    """Calls made again because they ran in a process that was killed, or over a connection that was cut."""

    def wrong(self) -> dict[str, list[str]]:
        """Return all that should not be, by its kind; nothing where all is well."""
        found = {name: getattr(self, name) for name in FINDINGS}
        return {name: value for name, value in found.items() if value}


FINDINGS: Mapping[str, str] = {
    "lost": "runs lost",
    "finished_repeated": "finished calls repeated",
    "live_repeated": "live calls repeated",
    "effects_twice": "effects applied twice",
    "wedged": "runs wedged",
    "wrong_exits": "wrong exit codes",
    "tracebacks": "tracebacks",
    "orphans": "orphan processes",
}
"""What a case counts, and what the table calls it."""
