"""What the steps of a run came to, kept over the parts of the run."""

from outlast.agents.answers import Answer
from outlast.agents.outcomes import Outcomes
from outlast.contracts import Content


def test_what_a_run_comes_to_again_in_its_next_part_is_kept_once() -> None:
    def answer(text: str) -> Answer:
        return Answer(Content(text=text), "a")

    before = Outcomes()
    before.keep("1", "x", answer("one"))
    before.keep("2", "x", answer("cancelled afterwards"))
    before.keep("3", "x", answer("first"))
    after = Outcomes()
    after.restore(before.ended)
    after.keep("1", "x", answer("one"))  # found again
    after.keep("3", "x", answer("first"))
    after.keep("3", "x", answer("second"))  # asked once more, which is new
    after.keep_data("4", "y", {"found": 1})
    assert [(one.step, one.content.text) for one in after.ended] == [
        ("1", "one"),
        ("2", "cancelled afterwards"),
        ("3", "first"),
        ("3", "second"),
        ("4", None),
    ]
