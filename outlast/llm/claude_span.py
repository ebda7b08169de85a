"""The SDK's own span of a call, where telemetry is on: it hears of the events that the SDK would have read itself."""

from collections.abc import Callable
from typing import Any

import httpx2
from anthropic.types import RawMessageDeltaEvent, RawMessageStartEvent


class CallSpan:
    """Tells the span, if there is one, what was read and how that ended."""

    def __init__(self, response: httpx2.Response) -> None:
        self._observer: Any = getattr(response.stream, "stream_observer", None)
        self._begun = False

    @property
    def is_recorded(self) -> bool:
        """Whether there is a span."""
        return self._observer is not None

    def __enter__(self) -> None:
        if self._observer is not None:
            self._observer.begin()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._observer is not None and error is None:
            self._observer.end("read")
        elif self._observer is not None and isinstance(error, Exception):
            self._observer.end("failed", error)

    def hears(self, event: dict[str, Any]) -> None:
        """Pass on what says how the call went; of the deltas, the first is enough."""
        kind = event.get("type")
        if kind == "content_block_delta" and self._begun:
            return
        self._begun = self._begun or kind == "content_block_delta"
        form = _SPAN_EVENTS.get(str(kind))
        self._observer.item(form(**event) if form else event)


_SPAN_EVENTS: dict[str, Callable[..., object]] = {
    "message_start": RawMessageStartEvent.construct,
    "message_delta": RawMessageDeltaEvent.construct,
}
