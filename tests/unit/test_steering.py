"""Where a run stops, as people write it; and the command line refuses what the command does not know."""

import pytest
from pydantic import ValidationError

from outlast.cli.inputs import read_checkpoint
from outlast.cli.leaving import LeavingError
from outlast.contracts import CheckpointPolicy, CheckpointWhen


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
