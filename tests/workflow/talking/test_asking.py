"""An agent that asks people: what it asks, what is no answer, and that an answer counts once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from outlast.agents.sessions import MessageState, SessionLimits
from outlast.contracts import QuestionAnswered, RunStatus
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.talking.chats import Session, answered, asked, noticed, refused, said, talk
from tests.workflow.talking.test_agent_session import SESSION, calls, in_turn, results

FORM = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
ASKS = calls(
    ("ask_person", {"question": "Which one?", "options": ["red", "blue"]}),
    ("ask_person", {"question": "Why?"}),
    ("ask_person", {"question": "Fill in", "form": FORM}),
    ("ask_person", {"question": "Fill in", "form": {"type": "nothing"}}),
    ("ask_person", {}),
    turn=1,
)


async def taken(session: Session, answer: dict[str, Any]) -> QuestionAnswered:
    found: QuestionAnswered = await session.execute_update("answer", answer, result_type=QuestionAnswered)
    return found


async def test_an_agent_asks_a_person_for_a_text_a_choice_and_a_form(runner: Runner, tmp_path: Path) -> None:
    """Whoever works on a file of Claude Code: `AskUserQuestion` is the same tool. What is no answer is refused."""
    ours = with_agents(runner, tmp_path / "agents", {"asker": "tools: AskUserQuestion, list_files"})
    async with ours.worker(in_turn(ASKS, "Thanks.")) as llm:
        session = await ours.start(SESSION, talk("Ask", "asker", limits=SessionLimits(seconds=60)))
        with ours.env.auto_time_skipping_disabled():
            questions = await asked(session, 3)
            by_text = {one.text.partition(" (")[0]: one for one in questions}
            which, why, form = (by_text[text].id for text in ("Which one?", "Why?", "Fill in"))
            assert [one.deadline for one in questions] == [None] * 3
            assert (by_text["Which one?"].options, by_text["Fill in"].form) == (("red", "blue"), FORM)
            for given, reason in (
                ({"question": which, "answer": "green"}, "answer: 'green' is not one of red, blue"),
                ({"question": form, "answer": "much"}, f"answer: 'much' is no JSON object; fill in the form of {form}"),
                (
                    {"question": form, "answer": {"amount": "much"}, "key": "k-0"},
                    "answer: $.amount: 'much' is not of type 'number'",
                ),
                ("it is nicer", "question: name one of question-"),
                ({"question": "question-9", "answer": "5"}, "question: 'question-9' was not asked; open: question-"),
                ({"question": why}, "answer: 1 inputs are not understood; send a text"),
            ):
                assert reason in await refused(session, "answer", given)
            await session.signal("answer", {"question": which, "answer": "green"})
            await session.signal("answer", {"question": form, "answer": {"amount": "much"}})
            await noticed(session, 3)
        await ours.env.sleep(timedelta(hours=10))  # people's time is none of the agent's
        with ours.env.auto_time_skipping_disabled():
            await asked(session, 3)
            assert await taken(session, {"question": form, "answer": {"amount": 5}, "key": "k-0"}) == QuestionAnswered(
                question=form
            )
            once = {"answer": "BLUE", "key": "k-1"}
            await session.signal("answer", {"question": which, **once})
            await session.signal("answer", {"question": why, **once})  # sent again: it answers nothing else
            assert (await taken(session, {"question": why, **once})).repeated
            mistaken = {"question": why, "answer": "it is nicer", "key": "k-1"}
            assert "key: 'k-1' is that of the answer to a question" in await refused(session, "answer", mistaken)
            over = await refused(session, "answer", {"question": which, "answer": "red"})
            assert over == f"question: '{which}' is answered already, or over; open: {why}"
            again = await said(session, {"text": "BLUE", "key": "k-1"})
            assert (again.number, again.repeated) == (0, True)
            await session.signal("answer", {"question": why, "answer": "it is nicer"})
            view = await answered(session, 1)
            assert await refused(session, "answer", "hello?") == "question: nothing is asked"
            status: RunStatus = await session.query("status", result_type=RunStatus)
    assert [each.state for each in view.messages] == [MessageState.ANSWERED]
    results_of = results(llm.calls[1])
    assert [block["content"] for block in results_of[:3]] == ["blue", "it is nicer", '{"amount": 5}']
    assert [bool(block.get("is_error")) for block in results_of] == [False, False, False, True, True]
    assert "not a JSON schema" in results_of[3]["content"]
    assert "question: a text" in results_of[4]["content"]
    noted = [text.partition(": ")[2] for text in status.notices]
    assert ["is not of type" in noted[0], "'green' is not one of" in noted[1], "'much' is not" in noted[2]] == [
        True
    ] * 3
