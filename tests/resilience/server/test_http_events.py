"""Server-sent events on real processes: a client that drops and resumes sees each event once, whatever is killed meanwhile."""

import random
from collections import Counter
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


def test_texts_are_seen_while_they_are_written_and_whole_at_the_end(served: Served) -> None:
    """What is live has no id; a client that comes late gets what was written so far, and everybody the whole text at the end."""
    served.stack.api.script(rules=[{"user": "a long story", "size": 600, "piece": 20, "pace": 0.1}])
    served.start("agent", {"agent": "researcher", "task": "Tell a long story."}, "story")
    written = ""
    for event in served.events("story"):
        if event["event"] == "text":
            assert "id" not in event
            written = written[: event["data"]["start"]] + event["data"]["text"]
        if event["event"] == "call_ended":
            whole = event["data"]["text"]
            break
    assert len(whole) >= 600
    assert 0 < len(written) < len(whole), "it was not seen before its end"
    assert whole.startswith(written[:20]) or whole.find(written[:20]) > 0
    status = [event["data"] for event in served.events("story") if event["event"] == "status"]
    assert (status[-1]["status"], status[-1]["steps"][0]["state"]) == ("completed", "done")


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
