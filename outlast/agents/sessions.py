"""The durable agent: one tool-using agent on one task, or in a conversation: what people say, and what came of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
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
    Question,
    RunRequest,
    RunResult,
    Spend,
    StepRow,
    ToolAnswer,
    ToolCall,
    Toolset,
    Transcript,
)

MESSAGES_MEMO = "messages"
"""The memo field that holds the messages (`MessageLog`) that have changed; each change is in history, in order."""


class SessionLimits(Contract):
    """Where a tool-using agent stops; in a conversation, where it stops to work on one message."""

    turns: int = Field(default=50, ge=1, le=10_000)
    """Model turns."""
    tokens: int = Field(default=2_000_000, ge=1)
    """Tokens of all calls together."""
    seconds: float = Field(default=86_400.0, gt=0)
    """Seconds from the first turn on; what people take to decide does not count."""


class OpenTurn(Contract):
    """A turn of the model whose tools are being called: what is needed to go on in the middle of it."""

    calls: tuple[ToolCall, ...]
    """The calls that the model asked for."""
    answers: tuple[ToolAnswer, ...] = ()
    """The answers of those that are done."""
    said: Content = Content()
    """What the agent has said last."""
    tokens: int = 0
    """Tokens of the call that made it."""


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
    open: Annotated[OpenTurn | None, CARRIED] = None
    """The turn in the middle of which the part ended, because people are waited for; in `left` its calls are broken off."""

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


class MessageState(StrEnum):
    """Where a message is; each one ends as one of the last four."""

    WAITING = "waiting"
    """The agent has not seen it yet: it will at its next turn."""
    WORKING = "working"
    """The agent has seen it, and works on it."""
    ANSWERED = "answered"
    """The agent has answered."""
    INTERRUPTED = "interrupted"
    """A person broke the work on it off; it stays part of the conversation."""
    STOPPED = "stopped"
    """A limit of the session ended the work on it; `answer` is what the agent said last, if anything."""
    FAILED = "failed"
    """It was not answered; `reason` says why."""


class SaidMessage(Contract):
    """One message of a person to a session, and its answer."""

    number: int
    """Its number in the session, from 1 on."""
    text: Content
    """What was said. While a long text waits, only its summary and size are known."""
    by: str = ""
    """Who said it; empty where they did not say."""
    key: str = ""
    """The key that it was sent with, by which it is known if it is sent again."""
    state: MessageState = MessageState.WAITING
    """Where it is."""
    at: datetime
    """When it came, in workflow time (UTC)."""
    ended: datetime | None = None
    """When it was answered, or given up; None: not yet."""
    answer: Content | None = None
    """The answer. Messages that were worked on together have the same."""
    reason: str = ""
    """Why it was not answered; empty where it was."""


class MessageLog(Contract):
    """Messages of a session, in order: those that have changed (in the memo), or older ones (in the content store)."""

    messages: tuple[SaidMessage, ...] = ()
    """The messages."""


class ConversationView(Contract):
    """What the `conversation` query answers."""

    messages: tuple[SaidMessage, ...] = ()
    """The last messages, in order of their numbers."""
    total: int = 0
    """How many messages there were in all."""
    earlier: tuple[str, ...] = ()
    """Keys in the content store of older messages (`MessageLog`), oldest first."""
    working: bool = False
    """Whether the agent works on messages now."""
    ended: bool = False
    """Whether the session takes no more messages."""
    people: tuple[str, ...] = ()
    """Who has spoken, 100 names at most; whoever spoke last stands last."""
    answers: tuple[str, ...] = ()
    """Digests of the keys that the last answers to its questions came with."""


class SayAnswer(Contract):
    """What came of a message that was sent."""

    accepted: bool
    """Whether it was taken: it will be answered, or accounted for."""
    number: int = 0
    """Its number in the session; 0 where it was not taken, or only interrupted."""
    repeated: bool = False
    """Whether it had been sent before with the same key, so that nothing was added."""
    interrupted: bool = False
    """Whether it broke off what the agent was doing."""
    reason: str = ""
    """Why it was not taken, and what to do; empty where it was."""


class EndAnswer(Contract):
    """What came of the wish to end a session."""

    accepted: bool
    """Whether the session ends: at once if it is idle, otherwise after it has answered what it was sent before."""
    reason: str = ""
    """Why not; empty where it ends."""


class ConversationCarried(Contract):
    """A conversation as one part of a session hands it to the next."""

    messages: tuple[SaidMessage, ...] = ()
    """The messages that are not done, and the last ones that are."""
    total: int = 0
    """How many messages there were in all."""
    earlier: tuple[str, ...] = ()
    """Keys in the content store of older messages (`MessageLog`), oldest first."""
    keys: Mapping[str, int] = Field(default_factory=dict)
    """Numbers of the last messages that came with a key, by its digest."""
    texts: Mapping[str, str] = Field(default_factory=dict)
    """What was said with these keys, as digests; keys that came before these were kept have none."""
    people: tuple[str, ...] = ()
    """Who has spoken, whoever spoke last at the end."""
    ended: bool = False
    """Whether the session takes no more messages."""
    turns: int = 0
    """Model turns for the messages that are worked on."""
    tokens: int = 0
    """Tokens of those turns."""
    compactions: int = 0
    """How often the conversation was summed up in them."""
    answer: Content | None = None
    """The last answer."""
    calls: tuple[str, ...] = ()
    """Keys in the content store of the step traces of all parts so far, oldest first."""
    asked: int = 0
    """How many questions people were asked."""
    answers: Mapping[str, str] = Field(default_factory=dict)
    """Answers that came for questions that are not asked yet, by question."""
    questions: Mapping[str, Question] = Field(default_factory=dict)
    """The questions that are open, by the tool call that asks them."""
    waited: float = 0.0
    """Seconds in which a person was waited for."""
    notices: tuple[str, ...] = ()
    """Messages that changed nothing, and why."""


class AgentSessionRequest(RunRequest):
    """A task for one agent; `on_failure` also holds for a session that is stopped by a limit."""

    agent: str
    """Name of the agent."""
    task: str = Field(default="", max_length=200_000)
    """What the agent is to do; may be left out where a session continues, and of a conversation it is the first message."""
    conversation: bool = False
    """Whether the session stays open for messages (`say`) after each answer, until it is ended (`end`)."""
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
    talk: Annotated[ConversationCarried, CARRIED] = ConversationCarried()
    """The conversation of the part before."""
    below: Annotated[tuple[StepRow, ...], CARRIED] = ()
    """The last steps of agents that were asked in the parts before: where their runs are found."""


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
    conversation: ConversationView | None = None
    """What was said, and what came of each message; None where the session was no conversation."""
