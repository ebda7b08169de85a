"""The durable agent: one tool-using agent on one task."""

from typing import Annotated, Any

from pydantic import Field

from outlast.contracts import (
    CARRIED,
    Changes,
    Content,
    Contract,
    GatesCarried,
    Hop,
    Message,
    Pause,
    RunRequest,
    RunResult,
    Spend,
    Toolset,
    Transcript,
)


class SessionLimits(Contract):
    """Where a tool-using agent stops: model turns, tokens of all calls together, and seconds from the first turn on."""

    turns: int = Field(default=50, ge=1, le=10_000)
    tokens: int = Field(default=2_000_000, ge=1)
    seconds: float = Field(default=86_400.0, gt=0)


class SessionProgress(Contract):
    """How far a session is: carried over by continue-as-new, and where a later session can go on.

    `left` is what the next turn is told first, `started` the workflow time of the first turn in seconds.
    `changes` is what its tools changed, and what became of it. A later session may be started with what is `resumable`: tools
    and changes that somebody wrote down would be believed, so only continue-as-new carries them.
    """

    transcript: Transcript | None = None
    left: tuple[Message, ...] = ()
    toolset: Annotated[Toolset | None, CARRIED] = None
    turns: int = Field(default=0, ge=0)
    tool_calls: int = Field(default=0, ge=0)
    compactions: int = Field(default=0, ge=0)
    started: Annotated[float, CARRIED] = 0.0
    spend: Annotated[Spend, CARRIED] = Spend()
    hops: Annotated[tuple[Hop, ...], CARRIED] = ()
    notes: Annotated[tuple[str, ...], CARRIED] = ()
    changes: Annotated[Changes, CARRIED] = Changes()

    @property
    def resumable(self) -> "SessionProgress":
        """What another session may go on from: the conversation, and how many turns it took."""
        return SessionProgress(
            transcript=self.transcript,
            left=self.left,
            turns=self.turns,
            tool_calls=self.tool_calls,
            compactions=self.compactions,
        )


class AgentSessionRequest(RunRequest):
    """A task for one agent; `continues` is what is `resumable` of an earlier session's progress.

    `allowed` names irreversible tools that the person who starts the run approves beforehand. `on_failure` also
    holds for a session that is stopped by a limit. `gates` are those of the part before, `paused` is set where a session
    continues as new while it is paused.
    """

    agent: str
    task: str = Field(default="", max_length=200_000)
    limits: SessionLimits = SessionLimits()
    allowed: tuple[str, ...] = ()
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""
    continues: SessionProgress | None = None
    gates: Annotated[GatesCarried, CARRIED] = GatesCarried()
    paused: Annotated[Pause | None, CARRIED] = None


class AgentSessionResult(RunResult):
    """The agent's last words, why it stopped, and the whole conversation by reference."""

    answer: Content | None
    stopped: str
    report: Content
    progress: SessionProgress = SessionProgress()
