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
from activities.contracts.documents import DocumentSource, ExtractedText, ExtractRequest
from activities.contracts.effects import Effect, UndoablePair
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
    "AppendRequest",
    "Approval",
    "Catalog",
    "CatalogRequest",
    "CiteRequest",
    "CitedText",
    "Content",
    "Contract",
    "DocumentSource",
    "Effect",
    "ExtractRequest",
    "ExtractedText",
    "Finding",
    "Findings",
    "FoundRequest",
    "GateTerms",
    "GateTermsRequest",
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
    "Prices",
    "ProposedAction",
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
    "UndoablePair",
    "Usage",
    "digest_of",
    "hashed",
    "same_digest",
]
