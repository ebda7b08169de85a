"""What does not answer while somebody watches: reported once when it is lost, and once when it answers again."""

from collections.abc import Callable

from temporalio.service import RPCError

from outlast.cli.reaching import NOBODY_ANSWERS, PASSING
from outlast.cli.runs.waiting import NO_ANSWER
from outlast.command_line import start_a_worker

SERVER = "the server"
WORKER = "a worker"


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
            lost = "the server does not answer; still watching, nothing is lost …"
            self._tell(f"{NO_ANSWER} {start_a_worker()}" if who == WORKER else lost)
        return True

    def answered(self, who: str) -> None:
        """Take note that it answers, and say so if it did not before."""
        for back in [SERVER, who] if who == WORKER else [who]:
            if back in self._away:
                self._away.remove(back)
                self._tell(f"{back} answers again")
