"""What does not answer while somebody watches: reported once when it is lost, and once when it answers again."""

from collections.abc import Callable

from temporalio.service import RPCError

from outlast.cli.leaving import START_A_WORKER
from outlast.cli.reaching import NOBODY_ANSWERS
from outlast.cli.runs.waiting import NO_ANSWER, PASSING

SERVER = "the server"
WORKER = "a worker"
TOLD = {
    SERVER: "the server does not answer; still watching, nothing is lost …",
    WORKER: f"{NO_ANSWER} {START_A_WORKER}",
}


class Outages:
    """Keeps who is away, and tells it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._away: set[str] = set()

    def lost(self, error: RPCError, *, asked: str) -> bool:
        """Take an error of whoever was asked; returns whether it passes, so that asking again is right."""
        silent = asked == WORKER and error.status in NOBODY_ANSWERS
        if not silent and error.status not in PASSING:
            return False
        who = WORKER if silent else SERVER
        if who not in self._away:
            self._away.add(who)
            self._tell(TOLD[who])
        return True

    def answered(self, who: str) -> None:
        """Take note that it answers, and say so if it did not before."""
        for back in [SERVER, who] if who == WORKER else [who]:
            if back in self._away:
                self._away.remove(back)
                self._tell(f"{back} answers again")
