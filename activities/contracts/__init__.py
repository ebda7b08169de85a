"""What activities take and give back: everything here lands in event history.

The trap: running executions decode these models from old histories, so this package is a database schema. Fields are
added with a default and never renamed. Defaults are left out of the JSON, because every byte here is stored once
for each step of each run.
"""

from activities.contracts.actions import (
    SHORT_DIGEST,
    Acting,
    Approval,
    ProposedAction,
    Risk,
    digest_of,
    hashed,
    same_digest,
)
from activities.contracts.agents import AgentCard, Catalog, CatalogRequest, Prices
from activities.contracts.base import SUMMARY_LENGTH, Content, Contract, Part, StoreRequest, Summary
from activities.contracts.claims import (
    Agreement,
    AgreementSummary,
    Claim,
    Claims,
    ClaimsRequest,
    Firmness,
    GroupRequest,
    Point,
    Position,
    Quote,
)
from activities.contracts.documents import DocumentSource, ExtractedText, ExtractRequest
from activities.contracts.effects import Effect
from activities.contracts.identities import (
    SEARCH_ATTRIBUTES,
    GateTerms,
    GateTermsRequest,
    Identity,
    IdentityRequest,
)
from activities.contracts.models import (
    Message,
    ModelFailure,
    ModelRequest,
    ModelTurn,
    StopReason,
    ToolAnswer,
    ToolCall,
    ToolSpec,
    Usage,
)
from activities.contracts.notices import Notice, TellRequest, Told
from activities.contracts.routing import Labelled, LabelRequest, Pick, Picks, PicksRequest
from activities.contracts.searches import (
    CitedText,
    CiteRequest,
    Finding,
    Findings,
    FoundRequest,
    SearchRequest,
    SourceKind,
)
from activities.contracts.streaming import STREAM_TOPIC, Streamed
from activities.contracts.tools import (
    AppendRequest,
    ToolCard,
    ToolRequest,
    ToolResult,
    Toolset,
    ToolsetRequest,
    Transcript,
    UndoRequest,
    UndoResult,
)

__all__ = [
    "SEARCH_ATTRIBUTES",
    "SHORT_DIGEST",
    "STREAM_TOPIC",
    "SUMMARY_LENGTH",
    "Acting",
    "AgentCard",
    "Agreement",
    "AgreementSummary",
    "AppendRequest",
    "Approval",
    "Catalog",
    "CatalogRequest",
    "CiteRequest",
    "CitedText",
    "Claim",
    "Claims",
    "ClaimsRequest",
    "Content",
    "Contract",
    "DocumentSource",
    "Effect",
    "ExtractRequest",
    "ExtractedText",
    "Finding",
    "Findings",
    "Firmness",
    "FoundRequest",
    "GateTerms",
    "GateTermsRequest",
    "GroupRequest",
    "Identity",
    "IdentityRequest",
    "LabelRequest",
    "Labelled",
    "Message",
    "ModelFailure",
    "ModelRequest",
    "ModelTurn",
    "Notice",
    "Part",
    "Pick",
    "Picks",
    "PicksRequest",
    "Point",
    "Position",
    "Prices",
    "ProposedAction",
    "Quote",
    "Risk",
    "SearchRequest",
    "SourceKind",
    "StopReason",
    "StoreRequest",
    "Streamed",
    "Summary",
    "TellRequest",
    "Told",
    "ToolAnswer",
    "ToolCall",
    "ToolCard",
    "ToolRequest",
    "ToolResult",
    "ToolSpec",
    "Toolset",
    "ToolsetRequest",
    "Transcript",
    "UndoRequest",
    "UndoResult",
    "Usage",
    "digest_of",
    "hashed",
    "same_digest",
]
