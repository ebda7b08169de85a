"""What can be scripted for the double of the Messages API; `outlast.testing.messages_api.double` says what each field does."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Rule(BaseModel):
    """One scripted behaviour."""

    model_config = ConfigDict(extra="forbid")

    system: str = ""
    user: str = ""
    model: str = ""
    times: int | None = None
    text: str | None = None
    data: Any = None
    size: int | None = None
    latency: float | None = None
    stop_reason: str = "end_turn"
    usage: dict[str, int] = {}
    status: int | None = None
    error_type: str = "api_error"
    message: str = "scripted"
    headers: dict[str, str] = {}
    stream_error: str | None = None
    breaks: Literal["connection", "stream", "silence"] | None = None
    tool: str = ""
    input: dict[str, Any] = {}
    before_turn: int | None = None
    hold: str = ""
    keeps: str = ""
    piece: int = 2048
    pace: float = 0.0

    def fits(self, call: dict[str, Any]) -> bool:
        """Whether the rule is for this call and not used up."""
        wanted = (("system", self.system), ("user", self.user), ("model", self.model))
        if self.times == 0 or (self.before_turn is not None and call["turn"] >= self.before_turn):
            return False
        return all(part in call[name] for name, part in wanted)


class Script(BaseModel):
    """What `POST /script` takes."""

    model_config = ConfigDict(extra="forbid")

    latency: float | None = None
    size: int | None = None
    hold: bool | None = None
    outage: (
        int | Literal["cut", "ended", "silence", "hang", "garbage", "web page", "json", "wrong type", "crawl"] | None
    ) = None
    release: list[str] = []
    rules: list[Rule] = []
