"""Where a run stops, as people write it; what they send is read; a command line refuses what the command does not know."""

from typing import Any

import pytest
from pydantic import ValidationError

from outlast.approvals.messages import read_answer
from outlast.cli.inputs import read_checkpoint
from outlast.cli.leaving import LeavingError
from outlast.contracts import CheckpointPolicy, CheckpointWhen
from outlast.workflow.inputs import only, plain


@pytest.mark.parametrize(
    ("text", "when", "steps"),
    [
        ("none", CheckpointWhen.NONE, ()),
        (" after-plan ", CheckpointWhen.AFTER_PLAN, ()),
        ("every-stage", CheckpointWhen.EVERY_STAGE, ()),
        ("steps=3, 5,3", CheckpointWhen.STEPS, ("3", "5")),
    ],
)
def test_a_checkpoint_is_read_from_its_text(text: str, when: CheckpointWhen, steps: tuple[str, ...]) -> None:
    policy = CheckpointPolicy.model_validate(text)
    assert (policy.when, policy.steps) == (when, steps)
    assert CheckpointPolicy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    "text", ["", "steps", "steps=", "steps= ,", "after-plan=1", "Every-Stage", "3", "after-plan,steps=2"]
)
def test_nonsense_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValidationError, match="write after-plan, every-stage, or steps=3,5"):
        CheckpointPolicy.model_validate(text)


def test_steps_belong_to_the_checkpoint_of_steps() -> None:
    with pytest.raises(ValidationError, match="after-plan stops at no step of its own"):
        CheckpointPolicy(when=CheckpointWhen.AFTER_PLAN, steps=("1",))


@pytest.mark.parametrize("text", ["every-stage", "none", "steps", "later"])
def test_a_command_refuses_where_it_does_not_stop(text: str) -> None:
    with pytest.raises(LeavingError, match="does not stop there; write after-plan or steps=3,5"):
        read_checkpoint(text, "after-plan", "steps")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b' {"by": "ann"} ', {"by": "ann"}),
        ('{"by": "ann"}', {"by": "ann"}),
        ({"by": "ann"}, {"by": "ann"}),
        ('"ann"', "ann"),
        (" ann\n", "ann"),
        ("[1, 2]", [1, 2]),
        ("[no list", "[no list"),
        ("  ", None),
        ('""', None),
        (True, True),
        (b"\xff", b"\xff"),
        ('{"by": "ann", "by": "bob"}', '{"by": "ann", "by": "bob"}'),
    ],
)
def test_an_input_is_read_in_whatever_form_it_comes(sent: Any, read: Any) -> None:
    assert plain(sent) == read


@pytest.mark.parametrize(("sent", "why"), [(("a", "b"), "2 inputs"), (('{"by":',), "not JSON")])
def test_messages_of_one_input_say_what_is_wrong_with_others(sent: tuple[Any, ...], why: str) -> None:
    assert only(()) is None
    with pytest.raises(ValueError, match=why):
        only(sent)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (("question-1", "yes"), ("question-1", "yes")),
        ((b'{"question": "question-1", "answer": 5}',), ("question-1", "5")),
        (("[1, 2]",), ("", "[1, 2]")),
        (("{half",), ("", "{half")),
        ((" ",), ("", None)),
        ((), ("", None)),
        (([1],), ("", None)),
    ],
)
def test_an_answer_is_what_was_written(sent: tuple[Any, ...], read: tuple[str, str | None]) -> None:
    assert read_answer(sent) == read
