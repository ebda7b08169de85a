"""The durable agent: one tool-using agent on one task."""

from typing import Annotated

from pydantic import Field

from outlast.contracts import (
    CARRIED,
    KEEP,
    Budget,
    BudgetShown,
    Changes,
    Content,
    Contract,
    GatePolicy,
    GatesCarried,
    Hop,
    Message,
    Pause,
    RollbackPolicy,
    RunState,
    Spend,
    StartRequest,
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


class AgentSessionRequest(StartRequest):
    """A task for one agent; `continues` is what is `resumable` of an earlier session's progress.

    `allowed` names irreversible tools that the person who starts the run approves beforehand. `on_failure` says how far to
    roll back what its tools changed when the session fails, is cancelled or is stopped by a limit, `on_denied` when a person
    denies a call that cannot be undone: by default the agent goes on without it. `gate` is the policy of such calls, `requester`
    who asked for the run and may not approve them. `gates` are those of the part before, `paused` is set where a session
    continues as new while it is paused.
    With `stream` its calls publish what the models write, which puts those texts into its history.
    """

    agent: str
    task: str = Field(default="", max_length=200_000)
    limits: SessionLimits = SessionLimits()
    allowed: tuple[str, ...] = ()
    continues: SessionProgress | None = None
    on_failure: RollbackPolicy = KEEP
    on_denied: RollbackPolicy = KEEP
    gate: GatePolicy = GatePolicy()
    requester: str = ""
    gates: Annotated[GatesCarried, CARRIED] = GatesCarried()
    paused: Annotated[Pause | None, CARRIED] = None
    budget: Budget | None = None
    stream: bool = False


class AgentSessionResult(Contract):
    """The agent's last words, why it stopped, and the whole conversation by reference."""

    state: RunState
    answer: Content | None
    stopped: str
    report: Content
    progress: SessionProgress = SessionProgress()
    spend: Spend = Spend()
    budget: BudgetShown | None = None
    tools_missing: tuple[str, ...] = ()
