"""Logs the same warning once in ten minutes: a collector that cannot be reached is tried again every second."""

import logging
import time

SAME_WARNING = 600.0
"""Seconds."""


class Once(logging.Filter):
    """Lets a message through once in ten minutes, compared up to its first colon or bracket."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one record."""
        begins = record.getMessage().split(":")[0].split("{")[0]
        now = time.monotonic()
        if now - self._logged.get(begins, -SAME_WARNING) < SAME_WARNING:
            return False
        self._logged[begins] = now
        return True
