"""Sessions over HTTP on real processes: messages at any time, answers to questions, and what was said."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.processes import wait_for
from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]


def messages(served: Served, session: str) -> list[dict[str, Any]]:
    return list(served.ask("GET", f"/runs/{session}/messages", who="read").json()["messages"])


def answered(served: Served, session: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many messages have ended, one way or another."""

    def ended() -> list[dict[str, Any]]:
        found = messages(served, session)
        return found if len(found) == count and not {each["state"] for each in found} & {"waiting", "working"} else []

    return wait_for(ended, f"{count} messages of {session} are answered")


def test_a_session_takes_messages_while_its_agent_works(served: Served) -> None:
    """One that is sent again by its key counts once; none is refused, and all are read back, with what came of them."""
    say = partial(served.ask, "POST", "/runs/talk/messages")
    unknown = served.ask("POST", "/runs/misnamed/messages", {"agent": "reseacher", "text": "Hello."})
    assert (unknown.status_code, unknown.json()["error"][:31]) == (422, "agent: no agent named reseacher")
    known = served.ask("POST", "/runs/misnamed/messages", {"agent": "researcher", "text": "Hello."})
    assert (known.status_code, known.json()["id"]) == (202, "misnamed~2")
    wait_for(lambda: messages(served, "misnamed")[-1]["state"] == "answered", "it is answered")
    served.stack.api.reset()
    first = say({"agent": "researcher", "text": "My name is Ada."}).json()
    assert (first["id"], first["session"], first["number"]) == ("talk", "talk", 1)
    (one,) = answered(served, "talk", 1)
    assert (one["by"], one["text"], one["state"]) == ("ada", "My name is Ada.", "answered")
    assert one["answer"].startswith("Answer to: ")
    served.stack.api.script(hold=True)
    assert say({"text": "What is my name?"}, Idempotency_Key="m2").json()["number"] == 2
    wait_for(lambda: len(served.stack.api.hits()) == 2, "the agent works")
    again = say({"text": "What is my name?"}, Idempotency_Key="m2").json()
    queued = say({"text": "and now?"}, "start").json()
    assert (again["number"], queued["number"], queued["waits"]) == (2, 3, False)
    mistaken = say({"text": "What is yours?"}, Idempotency_Key="m2")
    assert (mistaken.status_code, "key: 'm2' is that of message 2" in mistaken.json()["error"]) == (409, True)
    served.stack.api.script(hold=False)
    found = answered(served, "talk", 3)
    assert [each["by"] for each in found] == ["ada", "ada", "start"]
    assert served.stack.api.hits()[-1]["turn"] >= 1, "the conversation before was not sent along"
    served.stack.api.script(hold=True)
    say({"text": "a long job"})
    wait_for(lambda: messages(served, "talk")[-1]["state"] == "working", "the agent works on it")
    assert say({"text": "stop, do this", "interrupt": True}).json()["number"] == 5
    served.stack.api.script(hold=False)
    states = [each["state"] for each in answered(served, "talk", 5)]
    assert states == ["answered", "answered", "answered", "interrupted", "answered"]
    assert served.ask("POST", "/runs/talk/messages", {}).status_code == 422
    assert served.ask("POST", "/runs/talk/messages", {"text": "x", "by": "bob"}).status_code == 403
    ends = served.ask("POST", "/runs/talk/end")
    assert (ends.status_code, ends.json()["asked"]) == (202, True)
    assert served.result("talk")["status"] == "completed"
    told = [event for event in served.events("talk") if event["event"] in ("message", "answer")]
    assert [number for event in told for number in event["data"].get("numbers", ())] == [1, 2, 3, 4, 5]
    assert told[-1]["data"]["text"] == messages(served, "talk")[-1]["answer"]
    rest = [event for event in served.events("talk", after=told[-2]["id"]) if "id" in event]
    assert [event["id"] for event in rest if event["event"] == "answer"] == [told[-1]["id"]], "missed or repeated"
    onward = say({"text": "one more thing"}).json()
    assert (onward["id"], onward["number"]) == ("talk~2", 1)
    assert answered(served, "talk", 6)[-1]["run"] == "talk~2"
    assert served.ask("GET", "/runs/talk/messages").json()["run"] == "talk~2"
    pages = list(_pages(served, "talk", limit=2))
    assert [[(each["run"], each["number"]) for each in page] for page in pages] == [
        [("talk", 5), ("talk~2", 1)],
        [("talk", 3), ("talk", 4)],
        [("talk", 1), ("talk", 2)],
    ]
    assert list(_pages(served, "talk", limit=3)) == [pages[1][1:] + pages[0], pages[2] + pages[1][:1]]
    for query, field in (("before=talk/5", "before"), ("limit=0", "limit"), ("limit=1001", "limit")):
        refused = served.ask("GET", f"/runs/talk/messages?{query}")
        assert (refused.status_code, field in refused.json()["error"]) == (422, True)


def _pages(served: Served, session: str, limit: int) -> Iterator[list[dict[str, Any]]]:
    """Read what was said from its end, in answers of so many messages."""
    before = ""
    while True:
        answer = served.ask("GET", f"/runs/{session}/messages?limit={limit}&before={before}").json()
        yield answer["messages"]
        before = answer["earlier"]
        if not before:
            return


def test_a_text_that_is_no_answer_to_a_choice_is_refused_and_one_that_interrupts_is_a_message(served: Served) -> None:
    question = {"question": "Which?", "options": ["red", "blue"]}
    asks = {"tool": "ask_person", "input": question}
    served.stack.api.script(
        rules=[{"user": "lamp do I want", **asks, "before_turn": 1}, {"user": "lamp, then", **asks, "times": 1}]
    )
    say = partial(served.ask, "POST", "/runs/choice/messages")
    say({"agent": "mailer", "text": "Which lamp do I want?"})
    wait_for(lambda: served.ask("GET", "/runs/choice").json()["progress"]["questions"], "it asks")
    refused = say({"text": "green"})
    assert refused.status_code == 422
    assert "no answer to question-1: 'green' is not one of red, blue; with interrupt" in refused.json()["error"]
    assert say({"text": "Never mind.", "interrupt": True}).json()["number"] == 2
    assert [each["state"] for each in answered(served, "choice", 2)] == ["interrupted", "answered"]
    # To answer is to decide: by any route it takes the scope, and whoever may only start is heard as well.
    say({"text": "Which lamp, then?"}, Idempotency_Key="m-3")
    wait_for(lambda: served.ask("GET", "/runs/choice").json()["progress"]["questions"], "it asks again")
    assert say({"text": "blue"}, "read").status_code == say({"text": "blue"}, "decide").status_code == 403
    assert served.ask("POST", "/runs/choice/answers", {"answer": "blue"}, "start").status_code == 403
    beside = say({"text": "blue"}, "start").json()
    assert (beside["number"], beside["answers"], beside["asks"]) == (4, "", "question-2")
    assert say({"text": "Which lamp, then?"}, Idempotency_Key="m-3").json()["number"] == 3, (
        "sent again, it answers nothing"
    )
    unfit = served.ask("POST", "/runs/choice/answers", {"answer": "green"}, "decide")
    assert (unfit.status_code, "'green' is not one of red, blue" in unfit.json()["error"]) == (409, True)
    assert say({"text": "BLUE"}, Idempotency_Key="a-1").json()["answers"] == "question-2"
    over = served.ask("POST", "/runs/choice/answers", {"answer": "red", "question": "question-2"}, "decide")
    assert (over.status_code, "'question-2' is answered already" in over.json()["error"]) == (409, True)
    assert [each["state"] for each in answered(served, "choice", 4)[2:]] == ["answered"] * 2
    served.stack.api.script(hold=True)
    say({"text": "a long job"})
    wait_for(lambda: messages(served, "choice")[-1]["state"] == "working", "the agent works on it")
    say({"text": "and this"})
    long = "\U0001f389" * 150_000  # more bytes than one payload may have
    assert say({"text": long}).status_code == 202
    assert say({"text": long, "interrupt": True}).json()["number"] == 8
    served.stack.temporal("workflow", "terminate", "--workflow-id", "choice")
    left = answered(served, "choice", 8)[4:]
    assert left[2]["text"].startswith(long[:1000])
    served.stack.api.script(hold=False)
    assert {(each["state"], each["reason"]) for each in left} == {
        ("failed", "the session was terminated before it was answered")
    }


def test_a_session_of_one_message_a_run_is_gone_on_from(served: Served) -> None:
    """As sessions were before: what was said there is read, and the next message goes on from it, in a run that stays open."""
    served.start("agent", {"agent": "researcher", "task": "My name is Ada."}, "old")
    served.result("old")
    said = served.ask("POST", "/runs/old/messages", {"text": "What is my name?"}).json()
    assert (said["id"], said["number"]) == ("old~2", 1)
    found = answered(served, "old~2", 2)
    assert [each["text"] for each in found] == ["My name is Ada.", "What is my name?"]
    assert served.stack.api.hits()[-1]["turn"] == 1, "the conversation before was not sent along"
    served.stack.api.script(hold=True)
    served.start("agent", {"agent": "researcher", "task": "Do one thing."}, "one-task")
    busy = served.ask("POST", "/runs/one-task/messages", {"text": "hurry"})
    assert busy.status_code == 409
    assert "takes one task and no messages" in busy.json()["error"]
    served.stack.api.script(hold=False)
