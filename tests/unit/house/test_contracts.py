"""What lands in history can be read back, by this version, by the next one and by the last one."""

import ast
import itertools
import json
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel, ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

import outlast.contracts
import workflows.contracts
from outlast.agents.sessions import AgentSessionRequest, SessionProgress
from outlast.contracts import (
    CARRIED,
    AgentCard,
    Catalog,
    Content,
    Contract,
    GatesCarried,
    Message,
    ModelFailure,
    ModelRequest,
    ModelTurn,
    Part,
    RollbackRequest,
    RunRequest,
    StopReason,
    ToolCall,
    ToolSpec,
    Usage,
    carried_in,
)
from tests.policed import ROOT
from tests.served import STARTED

USAGE = Usage(input_tokens=3, cache_write_tokens=4)
EXAMPLES: list[Contract] = [
    Content(summary="s", size=5, ref="r"),
    Content(text=""),
    ModelRequest(
        agent="a",
        model="m",
        max_tokens=5,
        messages=(Message(parts=(Part(text="t"), Part(ref="r", label="l"))), Message(role="assistant", parts=())),
        output_schema={"type": "object", "properties": {}},
        tools=(ToolSpec(name="n", description="d", input_schema={}),),
        tool_choice="any",
        temperature=0.0,
        continues=Part(text=""),
        context_characters=0,
    ),
    ModelTurn(
        content=Content(text="t"),
        stop_reason=StopReason.TOOL_USE,
        data={},
        schema_errors=("e",),
        tool_calls=(ToolCall(id="i", name="n", input={"deep": [1, None, {"a": 1.5}]}), ToolCall(id="j", name="n")),
        usage=USAGE,
        usd=0.000001,
    ),
    ModelFailure(status=529, usage=USAGE),
    Catalog(
        agents=(
            AgentCard(name="a", description="d", model="m", window=9, max_tokens=5, timeout=1.5, system=Part(ref="r")),
        )
    ),
]
CONTRACTS = sorted(
    {
        kind
        for module in (outlast.contracts, workflows.contracts)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Contract) and kind is not Contract
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
async def test_a_message_comes_back_from_history_as_it_was(example: Contract) -> None:
    payloads = await pydantic_data_converter.encode([example])
    (decoded,) = await pydantic_data_converter.decode(payloads, [type(example)])
    assert decoded == example
    assert type(decoded) is type(example)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_what_a_newer_version_adds_is_ignored(example: Contract) -> None:
    newer = json.loads(example.model_dump_json()) | {"added_later": {"x": 1}}
    assert type(example).model_validate_json(json.dumps(newer)) == example


def test_defaults_take_no_room_in_history() -> None:
    turn = ModelTurn(content=Content(text="Yes."), stop_reason=StopReason.END_TURN, usage=Usage(), attempt=1)
    assert turn.model_dump_json() == '{"content":{"text":"Yes."}}'
    assert ModelFailure().model_dump_json() == "{}"
    assert Message(parts=(Part(text="t"),)).model_dump() == {"parts": ({"text": "t"},)}


def test_what_differs_from_a_default_is_written_though_it_is_false() -> None:
    assert json.loads(Content(text="").model_dump_json()) == {"text": ""}
    request = ModelRequest(agent="a", model="m", messages=(), max_tokens=1, temperature=0.0, context_characters=0)
    assert json.loads(request.model_dump_json()) == {
        "agent": "a", "model": "m", "messages": [], "max_tokens": 1, "temperature": 0.0, "context_characters": 0,
    }  # fmt: skip
    assert json.loads(ModelTurn(content=Content(), data={}).model_dump_json()) == {"content": {}, "data": {}}


def test_messages_with_the_required_fields_alone_are_read() -> None:
    """Written by hand, and not to be changed once 0.2.0 is released: a run of it may hold exactly this."""
    turn = ModelTurn.model_validate_json(
        '{"content":{"summary":"s","size":2000,"ref":"r"},"usage":{"input_tokens":7,"output_tokens":2},'
        '"request_id":"req_1","usd":0.5,"ms":12}'
    )
    assert (turn.stop_reason, turn.attempt, turn.usage.input_tokens) == (StopReason.END_TURN, 1, 7)
    card = AgentCard.model_validate_json(
        '{"name":"a","description":"d","model":"m","window":9,"max_tokens":5,"timeout":30,"system":{"ref":"r"}}'
    )
    assert (card.attempts, card.continuations, card.fallbacks) == (3, 2, ())
    request = ModelRequest.model_validate_json(
        '{"agent":"a","model":"m","messages":[{"parts":[{"text":"t"}]}],"max_tokens":5}'
    )
    assert (request.tool_choice, request.messages[0].role) == ("auto", "user")


@pytest.mark.parametrize("kind", CONTRACTS, ids=lambda kind: kind.__name__)
def test_every_contract_is_frozen_and_lenient(kind: type[BaseModel]) -> None:
    assert kind.model_config.get("frozen") is True
    assert kind.model_config.get("extra") == "ignore"


def test_nobody_changes_a_message() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(USAGE, "input_tokens", 5)  # noqa: B010 - written plainly, the type checker refuses it
    assert {Part(text="t"): 1}[Part(text="t")] == 1


def test_summaries_have_a_limit() -> None:
    assert len(Content(summary="x" * 200).summary) == 200
    with pytest.raises(ValidationError, match="at most 200"):
        Content(summary="x" * 201)


def test_a_part_points_at_a_content_without_its_summary() -> None:
    assert Part.of(Content(summary="s", size=5000, ref="r"), "step 1") == Part(ref="r", label="step 1")
    assert Part.of(Content(text="t")) == Part(text="t")
    assert Catalog(agents=()).get("a") is None


CARRIED_STATE = (
    "Approval",
    "Approver",
    "BudgetShown",
    "Change",
    "Changes",
    "Decision",
    "DecisionLog",
    "GateDecision",
    "GateState",
    "GatesCarried",
    "FallbackTaken",
    "Pause",
    "Spend",
    "Toolset",
    "UsedToken",
)
"""Contracts that say what a run has done, spent, or was allowed: nobody who starts one may write them."""
GIVEN_ON_PURPOSE = {
    "RollbackRequest.changes": "what an ended run told; each undo is carried out from the record of the call alone",
}
LIKE_STATE = {
    "gates",
    "changes",
    "progress",
    "spend",
    "hops",
    "tokens",
    "records",
    "early",
    "raised",
    "paused",
    "toolset",
}


def state_in(model: type[BaseModel], path: str) -> list[tuple[str, bool]]:
    """Find every field that holds carried state, with whether it is marked; what is marked is not looked into."""
    found: list[tuple[str, bool]] = []
    for name, field in model.model_fields.items():
        where, marked = f"{path}.{name}", CARRIED in field.metadata
        inner = _models_in(field.annotation)
        if any(each.__name__ in CARRIED_STATE for each in inner) or (name in LIKE_STATE and inner) or marked:
            found.append((where, marked))
        else:
            found += [one for each in inner for one in state_in(each, where)]
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


@pytest.mark.parametrize("kind", STARTED, ids=lambda kind: kind.__name__)
def test_no_first_request_can_carry_state(kind: Any) -> None:
    request = get_type_hints(kind.run)["request"]
    assert issubclass(request, RunRequest)
    unmarked = [where for where, marked in state_in(request, request.__name__) if not marked]
    assert [where for where in unmarked if where not in GIVEN_ON_PURPOSE] == []


def test_the_walk_finds_what_continue_as_new_carries() -> None:
    found = dict(state_in(AgentSessionRequest, "S"))
    assert {"S.gates", "S.paused", "S.continues.changes", "S.continues.toolset", "S.continues.spend"} <= set(found)
    assert dict(state_in(RollbackRequest, "RollbackRequest")) == {
        "RollbackRequest.changes": False,
        "RollbackRequest.part_before": True,
    }
    filled = AgentSessionRequest(
        agent="a", gates=GatesCarried(opened=1), continues=SessionProgress(turns=1, notes=("n",))
    )
    assert list(carried_in(filled)) == ["continues.notes", "gates"]


CONTRACT_FILES = (
    "outlast/contracts/*.py",
    "outlast/*/contracts.py",
    "outlast/consensus/votes.py",
    "outlast/routing/requests.py",
    "outlast/agents/sessions.py",
    "activities/search/contracts.py",
    "workflows/contracts/*.py",
    "samples/refund/contracts.py",
)


def undocumented(source: str) -> list[str]:
    """Name the fields of the classes in a file that have no docstring under them."""
    missing = []
    for model in (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)):
        for field, below in itertools.zip_longest(model.body, model.body[1:]):
            if not isinstance(field, ast.AnnAssign) or "ClassVar" in ast.unparse(field.annotation):
                continue
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
            if not isinstance(text, str) or not text.strip():
                missing.append(f"{model.name}.{ast.unparse(field.target)}")
    return missing


@pytest.mark.parametrize("pattern", CONTRACT_FILES)
def test_each_field_of_a_contract_has_its_docstring(pattern: str) -> None:
    files = sorted(ROOT.glob(pattern))
    assert files, f"{pattern} names no file"
    assert {str(file.relative_to(ROOT)): undocumented(file.read_text()) for file in files} == {
        str(file.relative_to(ROOT)): [] for file in files
    }


def test_a_field_without_a_docstring_is_found() -> None:
    assert undocumented('class A(Contract):\n    told: int\n    """Seconds."""\n    bare: int = 0\n    last: str') == [
        "A.bare",
        "A.last",
    ]
