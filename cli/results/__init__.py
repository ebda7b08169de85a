"""The pages of what this application's workflows return; a new workflow gets a line in KINDS and a file beside this one."""

from outlast.cli.kinds import (
    CONSENSUS,
    DOCUMENTS,
    PLAN,
    REQUESTS,
    RESEARCH,
    SESSION,
    STAGED,
    RunKind,
    register_kind,
)
from outlast.storage.garbage.kinds import RecordKind, register_record

KINDS = (
    RunKind(PLAN, "plan", "plan", "outlast.cli.results.plans:PAGE", request="outlast.contracts:PlanRequest"),
    RunKind(
        DOCUMENTS,
        "document",
        "documents",
        "cli.results.documents:PAGE",
        request="workflows.contracts.documents:DocumentAnalysisRequest",
    ),
    RunKind(
        RESEARCH,
        "research",
        "research",
        "cli.results.research:PAGE",
        request="workflows.contracts.research:ResearchRequest",
    ),
    RunKind(
        REQUESTS, "route", "requests", "cli.results.requests:PAGE", request="outlast.routing.requests:RouteRequest"
    ),
    RunKind(
        CONSENSUS,
        "consensus",
        "consensus",
        "cli.results.consensus:PAGE",
        request="outlast.consensus.votes:ConsensusRequest",
    ),
    RunKind(
        SESSION, "agent", "agent", "cli.results.sessions:PAGE", request="outlast.agents.sessions:AgentSessionRequest"
    ),
    RunKind(STAGED, "staged", "staged", "cli.results.staged:PAGE", request="outlast.stages.contracts:StagedRequest"),
)

FOUND = RecordKind("found in a search", frozenset({"source", "text"}), frozenset({"found", "notes", "cached"}))
"""What `activities.search` remembers for the day, in the content store."""


def register() -> None:
    """Let the commands know these workflows."""
    for kind in KINDS:
        register_kind(kind)
    register_record(FOUND)
