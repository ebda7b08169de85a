"""The durable agent: one tool-using agent on one task."""

from typing import Annotated, Any

from pydantic import Field

from outlast.contracts import (
    CARRIED,
    Changes,
    Content,
    Contract,
    FallbackTaken,
    GatesCarried,
    Message,
    Pause,
    RunRequest,
    RunResult,
    Spend,
    Toolset,
    Transcript,
)


class SessionLimits(Contract):
    """Where a tool-using agent stops."""

    turns: int = Field(default=50, ge=1, le=10_000)
    """Model turns."""
    tokens: int = Field(default=2_000_000, ge=1)
    """Tokens of all calls together."""
    seconds: float = Field(default=86_400.0, gt=0)
    """Seconds from the first turn on; what people take to decide does not count."""


class SessionProgress(Contract):
    """How far a session is: carried over by continue-as-new, and from where a later session can continue.

    A later session may be started with what is `resumable`: tools and changes that somebody wrote down would be believed, so only
    continue-as-new carries them.
    """

    transcript: Transcript | None = None
    """The conversation so far."""
    left: tuple[Message, ...] = ()
    """What the next turn is given first."""
    toolset: Annotated[Toolset | None, CARRIED] = None
    """The agent's tools, as they were read."""
    turns: int = Field(default=0, ge=0)
    """Model turns so far."""
    tool_calls: int = Field(default=0, ge=0)
    """Tool calls so far."""
    compactions: int = Field(default=0, ge=0)
    """How often the conversation was summed up."""
    started: Annotated[float, CARRIED] = 0.0
    """Workflow time of the first turn, in seconds since 1970."""
    spend: Annotated[Spend, CARRIED] = Spend()
    """What the calls cost so far."""
    hops: Annotated[tuple[FallbackTaken, ...], CARRIED] = ()
    """Changes to a fallback."""
    notes: Annotated[tuple[str, ...], CARRIED] = ()
    """What happened on the way, in words."""
    changes: Annotated[Changes, CARRIED] = Changes()
    """What its tools changed, and what became of each change."""

    agent: Annotated[str, CARRIED] = ""
    """Who has the conversation; empty: the agent that the request names."""
    handoffs: Annotated[int, CARRIED] = 0
    """How often it was handed over."""
    asked: Annotated[int, CARRIED] = 0
    """How many agents were asked by others."""

    @property
    def resumable(self) -> "SessionProgress":
        """What another session may continue from: the conversation, and how many turns it took."""
        return SessionProgress(
            transcript=self.transcript,
            left=self.left,
            turns=self.turns,
            tool_calls=self.tool_calls,
            compactions=self.compactions,
        )


class AgentSessionRequest(RunRequest):
    """A task for one agent; `on_failure` also holds for a session that is stopped by a limit."""

    agent: str
    """Name of the agent."""
    task: str = Field(default="", max_length=200_000)
    """What the agent is to do; may be left out where a session continues."""
    limits: SessionLimits = SessionLimits()
    """Where it stops."""
    allowed: tuple[str, ...] = ()
    """Irreversible tools that whoever starts the run approves beforehand."""
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""
    continues: SessionProgress | None = None
    """What is `resumable` of an earlier session's progress, to continue from."""
    gates: Annotated[GatesCarried, CARRIED] = GatesCarried()
    """The gates of the part before."""
    paused: Annotated[Pause | None, CARRIED] = None
    """Set where a session continues as new while it is paused."""


class AgentSessionResult(RunResult):
    """What an agent answered, and the whole conversation by reference."""

    answer: Content | None
    """Its last words."""
    stopped: str
    """Which limit ended it; empty where it answered."""
    report: Content
    """The step trace of the run, in the content store."""
    progress: SessionProgress = SessionProgress()
    """From where a later session can continue."""
