"""Tells the same complaint once in ten minutes: whoever cannot be reached is not reached again every second."""

import logging
import time

SAME_COMPLAINT = 600.0
"""Seconds."""


class Once(logging.Filter):
    """Lets a message through once in ten minutes, what stands behind its first colon or bracket not looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one record."""
        said = record.getMessage().split(":")[0].split("{")[0]
        now = time.monotonic()
        if now - self._told.get(said, -SAME_COMPLAINT) < SAME_COMPLAINT:
            return False
        self._told[said] = now
        return True
