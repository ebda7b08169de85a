"""Everything that workflows, activities and people exchange, as frozen pydantic models.

Open `requests.py` first: what all requests and results share. Others import every name from here, not from the files.
These models live in the histories of open runs: fields are added with a default and never renamed.

Plans, models, tools and agents are imported when a name of theirs is first used: half the time of all, and `status` needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from outlast.contracts.actions import (
    ARGUMENTS_SHOWN,
    SHORT_DIGEST,
    Acting,
    Approval,
    ArgumentsShown,
    Effect,
    Produced,
    ProposedAction,
    Risk,
    UndoablePair,
    digest_of,
    hashed,
    invisible,
    named,
    same_digest,
    shown,
    visible,
)
from outlast.contracts.base import (
    CARRIED,
    NO_SUCH_FIELD,
    SUMMARY_LENGTH,
    Content,
    Contract,
    NoOp,
    OutageWait,
    Packed,
    PackedRequest,
    Part,
    StoreRequest,
    StoreWait,
    Summary,
    problems_in,
    unknown_in,
    wrong_fields,
)
from outlast.contracts.changes import (
    KEEP,
    ROLL_BACK_ALL,
    Change,
    Changes,
    ChangeState,
    Checkpoint,
    Extent,
    OnFallback,
    RollbackAnswer,
    RollbackPolicy,
    StuckDecision,
)
from outlast.contracts.decisions import (
    NOISE,
    NOISE_KEPT,
    NOT_BY_REQUESTER,
    SEARCH_ATTRIBUTES,
    DecisionLog,
    GateRecord,
    GateTerms,
    GateTermsRequest,
    Identity,
    IdentityRequest,
    RecordKind,
    UsedToken,
    Verdict,
    breaks,
)
from outlast.contracts.gate_views import (
    GATE_MEMO,
    GATES_IN_MEMO,
    GATES_MEMO,
    RECORDS_MEMO,
    Decided,
    GateNews,
    GatesShown,
    GateView,
    WaitingActions,
    WaitsBelow,
)
from outlast.contracts.gates import (
    Approver,
    Bounds,
    Decision,
    GateDecision,
    GateOutcome,
    GatesCarried,
    GateState,
    SlackThread,
    StandingApproval,
)
from outlast.contracts.runs import (
    BUDGET_GATE,
    QUESTION_MEMO,
    ArchivedPart,
    Budget,
    BudgetShown,
    CallTrace,
    FallbackTaken,
    Question,
    RunReport,
    RunState,
    RunStatus,
    Spend,
    StepRow,
    StepState,
    Trace,
)
from outlast.contracts.steering import (
    NO_CHECKPOINT,
    CheckpointPolicy,
    CheckpointWhen,
    DelegationLimits,
    DeploymentPolicy,
    GatePolicy,
    OnTimeout,
    Pause,
    PauseAnswer,
    QuestionAnswered,
    QuestionPolicy,
)

if TYPE_CHECKING:
    # fmt: off
    # isort: off
    from outlast.contracts.agents import AgentCard, Catalog, CatalogRequest, Prices
    from outlast.contracts.models import (
        CUT_NOTE, SMALL_MODEL_HINT, STREAM_TOPIC, TAKEN_NOTE, Message, ModelFailure, ModelRequest, ModelTurn,
        StopReason, Streamed, ToolAnswer, ToolCall, ToolSpec, Usage,
    )
    from outlast.contracts.notices import (
        Notice, NoticeRequest, NoticeSent, SlackPost, SlackPosted, WebhookBody, WebhookDelivered, WebhookDelivery,
        WebhookEvent, WebhookRequest, WebhookSent,
    )
    from outlast.contracts.plans import (
        MAX_PARALLEL, MAX_STEPS, PLANNED_STEPS, OnStepFailure, Plan, PlanChange, PlanReport, PlanRequest, PlanResult, PlanShape,
        PlanStep, StepAnswer, StepId,
    )
    from outlast.contracts.requests import (
        ActCarried, BranchCarried, ChangingResult, Fork, Remembered, RollbackRequest, RollbackResult, RunCarried, RunRequest,
        RunResult, StateCarried, StepOutcome, StepOutcomes,
        carried_in,
    )
    from outlast.contracts.tools import (
        AgentTool, AppendRequest, ToolCard, ToolRequest, ToolResult, Toolset, ToolsetRequest, Transcript, UndoRequest, UndoResult,
    )
    # isort: on
    # fmt: on

_MODULES = {
    "agents": "AgentCard Catalog CatalogRequest Prices",
    "models": "CUT_NOTE SMALL_MODEL_HINT STREAM_TOPIC TAKEN_NOTE Message ModelFailure ModelRequest ModelTurn "
    "StopReason Streamed ToolAnswer ToolCall ToolSpec Usage",
    "notices": "Notice NoticeRequest NoticeSent SlackPost SlackPosted WebhookBody WebhookDelivered WebhookDelivery "
    "WebhookEvent WebhookRequest WebhookSent",
    "plans": "MAX_PARALLEL MAX_STEPS PLANNED_STEPS OnStepFailure Plan PlanChange PlanReport PlanRequest "
    "PlanResult PlanShape PlanStep "
    "StepAnswer StepId",
    "requests": "ChangingResult Fork RollbackRequest RollbackResult RunRequest RunResult StepOutcome StepOutcomes "
    "carried_in ActCarried BranchCarried Remembered RunCarried StateCarried",
    "tools": "AgentTool AppendRequest ToolCard ToolRequest ToolResult Toolset ToolsetRequest Transcript UndoRequest UndoResult",
}
_PLACES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "ARGUMENTS_SHOWN", "BUDGET_GATE", "CARRIED", "CUT_NOTE", "GATES_IN_MEMO", "GATES_MEMO", "GATE_MEMO", "KEEP",
    "MAX_PARALLEL", "MAX_STEPS", "NOISE", "NOISE_KEPT", "NOT_BY_REQUESTER", "NO_CHECKPOINT", "NO_SUCH_FIELD", "PLANNED_STEPS",
    "QUESTION_MEMO",
    "RECORDS_MEMO", "ROLL_BACK_ALL", "SEARCH_ATTRIBUTES", "SHORT_DIGEST", "SMALL_MODEL_HINT", "STREAM_TOPIC",
    "SUMMARY_LENGTH", "TAKEN_NOTE", "ActCarried", "Acting", "AgentCard", "AgentTool",
    "AppendRequest", "Approval", "Approver", "ArchivedPart",
    "ArgumentsShown", "Bounds",
    "BranchCarried", "Budget", "BudgetShown", "CallTrace", "Catalog", "CatalogRequest", "Change",
    "ChangeState", "Changes", "ChangingResult", "Checkpoint", "CheckpointPolicy", "CheckpointWhen", "Content", "Contract",
    "Decided", "Decision", "DecisionLog", "DelegationLimits", "DeploymentPolicy", "Effect", "Extent", "FallbackTaken", "Fork",
    "GateDecision", "GateNews",
    "GateOutcome", "GatePolicy", "GateRecord", "GateState", "GateTerms", "GateTermsRequest", "GateView", "GatesCarried",
    "GatesShown", "Identity", "IdentityRequest", "Message", "ModelFailure", "ModelRequest", "ModelTurn", "NoOp", "Notice",
    "NoticeRequest", "NoticeSent", "OnFallback", "OnStepFailure", "OnTimeout", "OutageWait",
    "Packed", "PackedRequest", "Part", "Pause",
    "PauseAnswer", "Plan", "PlanChange", "PlanReport", "PlanRequest", "PlanResult", "PlanShape", "PlanStep", "Prices",
    "Produced", "ProposedAction", "Question", "QuestionAnswered", "QuestionPolicy", "RecordKind", "Remembered", "Risk",
    "RollbackAnswer", "RollbackPolicy", "RollbackRequest", "RollbackResult", "RunCarried", "RunReport", "RunRequest", "RunResult",
    "RunState", "RunStatus", "SlackPost", "SlackPosted", "SlackThread", "Spend", "StandingApproval",
    "StateCarried", "StepAnswer", "StepId", "StepOutcome", "StepOutcomes", "StepRow", "StepState", "StopReason",
    "StoreRequest", "StoreWait", "Streamed", "StuckDecision", "Summary", "ToolAnswer", "ToolCall", "ToolCard", "ToolRequest",
    "ToolResult", "ToolSpec", "Toolset", "ToolsetRequest", "Trace", "Transcript", "UndoRequest", "UndoResult",
    "UndoablePair", "Usage", "UsedToken", "Verdict", "WaitingActions", "WaitsBelow", "WebhookBody", "WebhookDelivered",
    "WebhookDelivery", "WebhookEvent", "WebhookRequest", "WebhookSent", "breaks", "carried_in", "digest_of", "hashed",
    "invisible", "named", "problems_in", "same_digest", "shown", "unknown_in", "visible", "wrong_fields",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a name from its module when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value
