"""Server-sent events on real processes: a client that drops and resumes sees each event once, whatever is killed meanwhile."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from outlast.contracts import Plan, PlanRequest, PlanStep
from tests.processes import wait_for
from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]

DROPS = 100
STEPS = 70


def long_plan() -> dict[str, Any]:
    """A plan of many steps, whose last one waits for a person."""
    steps = [PlanStep(step=str(n), agent="researcher", input=f"Do job {n:03}.") for n in range(STEPS)]
    last = PlanStep(step="send", agent="writer", input="Send it.", depends_on=("1",), confirm=True)
    return dict(PlanRequest(plan=Plan(steps=(*steps, last)), max_parallel=4).model_dump(mode="json"))


def test_a_client_that_drops_a_hundred_times_misses_nothing(served: Served) -> None:
    served.stack.api.script(latency=0.05)
    served.start("plan", long_plan(), "dropped")
    chance = random.Random(7)
    seen: list[dict[str, Any]] = []
    drops, gate = 0, None
    while not (seen and seen[-1]["event"] == "run_ended"):
        after = seen[-1]["id"] if seen else ""
        try:
            for event in served.events("dropped", after, chance.choice((1, 1, 2))):
                if "id" in event:
                    seen.append(event)
                    gate = event["data"] if event["event"] == "gate" else gate
        except httpx2.TransportError:
            pass  # the server was killed
        drops += 1
        if drops in (20, 60):
            served.restart()
        if drops == 40:
            served.stack.worker.kill()
            served.stack.worker.start()
        if gate and gate["kind"] == "opened":
            decision = {"verdict": "approve", "digest": gate["digest"]}
            served.ask("POST", f"/runs/dropped/gates/{gate['gate']}", decision, who="decide")
            gate = None
    whole = [event for event in served.events("dropped") if "id" in event]
    assert drops >= DROPS
    assert [event["id"] for event in seen] == [event["id"] for event in whole], "missed or repeated"
    assert seen == whole
    assert max(Counter(event["id"] for event in seen).values()) == 1
    ended = [event["data"] for event in seen if event["event"] == "call_ended"]
    steps = {data["step"]: data["text"] for data in ended if data["state"] == "done"}
    assert steps["12"] == "Answer to: Do job 012."
    assert len(steps) == STEPS + 1
    assert [event["data"]["kind"] for event in seen if event["event"] == "gate"] == ["opened", "approved"]
    total = seen[-1]["data"]["total"]
    assert total["calls"] == sum(data["spend"]["calls"] for data in ended)
    again = served.client.get(
        f"{served.url}/runs/dropped/events",
        headers={"Authorization": f"Bearer {served.tokens['read']}", "Last-Event-ID": seen[-1]["id"]},
    )
    assert again.status_code == 204, "a browser would ask for ever"


MAIL = {"to": ["shop@example.org"], "subject": "Lamps {turn}", "body": "Ten, please."}
SAID = ("Tell a long story", "And then", "Order lamps", "Which lamp") * 2
"""What is said one after the other; "And then" in the middle of the turn before."""


@dataclass
class Listener:
    """A client of a conversation that drops all the time: all it has seen, and what it does about it as soon as it sees it."""

    served: Served
    run: str
    seen: list[dict[str, Any]] = field(default_factory=list)
    written: dict[str, tuple[int, str]] = field(default_factory=dict)
    """What was written of each answer by its last attempt."""
    said: int = 1
    answered: Counter[int] = field(default_factory=Counter)
    live: int = 0
    """How many answers were seen while they were written."""

    def listen(self, most: int) -> None:
        """Read so many events, and drop."""
        for event in self.served.events(self.run, self.seen[-1]["id"] if self.seen else "", most=most, counted=""):
            if "id" in event:
                self.seen.append(event)
            getattr(self, f"on_{event['event']}", lambda _: None)(event["data"])

    def on_text(self, data: dict[str, Any]) -> None:
        attempt, text = self.written.get(data["call"], (data["attempt"], ""))
        text = text if attempt == data["attempt"] else ""
        assert data["start"] <= len(text), "a part of it is missing"
        self.served.stack.api.script(release=["seen"])
        self.written[data["call"]] = data["attempt"], text[: data["start"]] + data["text"]

    def on_call_ended(self, data: dict[str, Any]) -> None:
        _, text = self.written.pop(data["call"], (0, ""))
        if data["state"] == "done":
            assert (data.get("text") or "").startswith(text)
            self.live += bool(text)

    def on_answer(self, data: dict[str, Any]) -> None:
        self.answered.update(data["numbers"])
        if len(self.answered) < self.said:
            return
        if len(SAID) < self.said:
            self.served.ask("POST", f"/runs/{self.run}/end")
        while self.said <= len(SAID):
            self.say(self.said + 1)
            if self.said > len(SAID) or SAID[self.said - 1] != "And then":
                return

    def say(self, number: int) -> None:
        """Say a message, or say it again."""
        body, key = {"text": f"{SAID[number - 2]} {number}."}, f"key {number}"
        answer = self.served.ask("POST", f"/runs/{self.run}/messages", body, Idempotency_Key=key)
        assert answer.json()["number"] in (number, 0), answer.text
        self.said = max(self.said, number)

    def on_gate(self, data: dict[str, Any]) -> None:
        if data["kind"] == "opened":
            decision = {"verdict": "deny", "digest": data["digest"]}
            self.served.ask("POST", f"/runs/{self.run}/gates/{data['gate']}", decision, who="decide")

    def on_status(self, data: dict[str, Any]) -> None:
        for question in data["questions"]:
            self.say(self.said)  # what is said again is no answer
            body = {"text": "red"}
            self.served.ask("POST", f"/runs/{self.run}/messages", body, Idempotency_Key=f"key {question['id']}")


def test_a_client_that_drops_all_the_time_in_a_conversation_misses_nothing(served: Served) -> None:
    """Messages, gates, questions, and texts while they are written; server and worker are killed meanwhile."""
    served.stack.api.script(rules=[
        {"user": "a long story", "size": 600, "piece": 20, "pace": 0.02, "keeps": "seen"},
        {"user": "Order lamps", "tool": "send_mail", "input": MAIL},
        {"user": "Which lamp", "tool": "ask_person", "input": {"question": "Which?", "options": ["red", "blue"]}},
    ])  # fmt: skip
    served.start("agent", {"agent": "mailer", "task": "Hello.", "conversation": True, "stream": True}, "talked")
    client, chance, drops = Listener(served, "talked"), random.Random(7), 0
    while not (client.seen and client.seen[-1]["event"] == "run_ended"):
        with suppress(httpx2.TransportError):  # the server was killed
            client.listen(chance.choice((1, 2, 3)))
        drops += 1
        if drops == 12:
            served.restart()
        if drops == 30:
            served.stack.worker.kill()
            served.stack.worker.start()
    whole = list(served.events("talked"))
    assert client.seen == [event for event in whole if "id" in event], "missed or repeated"
    assert max(Counter(event["id"] for event in client.seen).values()) == 1
    assert client.answered == dict.fromkeys(range(1, len(SAID) + 2), 1)
    gates = [event["data"]["kind"] for event in client.seen if event["event"] == "gate"]
    # A decision that the killed worker was about to answer is sent once more, and is known.
    gates = [kind for kind in gates if kind != "duplicate"]
    assert gates == ["opened", "denied"] * 2
    said = served.ask("GET", "/runs/talked/messages").json()["messages"]
    wanted = [f"{text} {number}." for number, text in enumerate(SAID, 2)]
    assert [(each["text"], each["state"]) for each in said] == [(text, "answered") for text in ("Hello.", *wanted)], (
        said
    )
    assert client.live, "no answer was seen while it was written"
    assert drops >= 40
    status = [event for event in whole if event["event"] == "status"][-1]
    assert "id" not in status
    assert (status["data"]["status"], status["data"]["steps"][0]["state"]) == ("completed", "done")


def test_an_id_of_another_history_begins_anew(served: Served) -> None:
    served.start("agent", {"agent": "researcher", "task": "Say hello."}, "reset")
    served.result("reset")
    events = list(served.events("reset", after="00000000-gone:5"))
    assert events[0]["event"] == "restarted"
    assert [event["event"] for event in events if "id" in event] == [
        "run_started", "call_started", "call_ended", "run_ended",
    ]  # fmt: skip
    assert served.ask("GET", "/runs/nobody/events").status_code == 404


def test_a_quiet_stream_is_kept_alive_and_outlives_a_worker(served: Served) -> None:
    served.stack.api.script(hold=True)
    served.start("agent", {"agent": "researcher", "task": "Wait."}, "quiet")
    url = f"{served.url}/runs/quiet/events"
    headers = {"Authorization": f"Bearer {served.tokens['read']}"}
    with served.client.stream("GET", url, headers=headers, timeout=40) as answer:
        assert answer.headers["cache-control"].startswith("no-")
        for line in answer.iter_lines():
            if line.startswith(": ping"):
                break
    served.stack.api.script(hold=False)
    ended = wait_for(lambda: [one for one in served.events("quiet") if one["event"] == "run_ended"], "it ends")
    assert ended[0]["data"]["status"] == "completed"
