"""People are told of a gate by every channel, and programs by webhooks; nobody who does not answer holds a run up."""

import base64
import hashlib
import hmac
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowFailureError, WorkflowHandle

from outlast.cli.decisions.listing import questions_of
from outlast.contracts import Plan, PlanRequest, PlanStep, RunStatus, StepState, WebhookDelivered
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.people.steering import at_a_checkpoint, decided, status_when
from tests.workflow.plans.test_plan_and_execute import RUN, plan_of, scripted, step
from tests.workflow.talking.test_agent_session import failing
from tests.workflow.telling.telling import hooks, mailbox

FOR_EVER = 1_000


def planned() -> PlanRequest:
    return PlanRequest.model_validate({"plan": plan_of(step(1), step(2, depends_on=[1])), "checkpoint": "after-plan"})


def told_by(runner: Runner, *urls: str) -> Runner:
    told = {"notify_urls": SecretStr(" ".join(urls)), "web_ui_url": "http://ui.example"}
    return Runner(runner.env, runner.settings.model_copy(update=told), runner.store)


async def test_each_channel_is_told_once_and_the_dead_one_holds_nothing_up(runner: Runner) -> None:
    with mailbox() as (box, mail), hooks({"/slow": 2, "/dead": FOR_EVER}) as (web, hook):
        ours = told_by(runner, mail, f"{hook}/slow", f"{hook}/dead")
        async with ours.worker(scripted()):
            handle = await ours.start(RUN, planned())
            gate = (await at_a_checkpoint(handle)).gates[0]
            await runner.env.sleep(240)
            status = await status_when(handle, lambda status: status.notices)
            assert [web.asked["/slow"], web.asked["/dead"]] == [3, 6]
            assert [len(box.texts), len(web.took["/slow"])] == [1, 1]
            assert status.gates, "the gate waits on"
            assert [each for each in status.notices if "channel 3 (json) did not take" in each]
            await decided(handle, "approve")
            await handle.result()
            assert [len(box.texts), len(web.took["/slow"])] == [2, 2]
            ended = await handle.query("status", result_type=type(status))
            assert [row.state for row in ended.steps] == [StepState.DONE, StepState.DONE]
            assert "the run ended while notices were still being sent: 1 left" in ended.notices
    first, last = box.texts[0], web.took["/slow"][-1]
    assert gate.digest[:12] in first
    assert shlex.join(["python", "starter.py", "approve", handle.id, gate.name]) in first
    assert f"temporal workflow signal --workflow-id {handle.id} --name deny" in first
    assert f"http://ui.example/namespaces/default/workflows/{handle.id}" in first
    assert last["title"].startswith(f"Gate {gate.name} approved")
    assert "starter.py" not in last["message"], "nothing is left to decide"


SECRET = "a secret of thirty-two characters"


def reporting_to(runner: Runner, *urls: str, private: bool = True) -> Runner:
    settings = {"webhook_urls": urls, "webhook_secret": SecretStr(SECRET), "webhook_private": private}
    return Runner(runner.env, runner.settings.model_copy(update=settings), runner.store)


def verified(headers: dict[str, str], body: bytes) -> str:
    """Check a webhook as its receiver does (docs/http.md); returns the id of the delivery."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert hmac.compare_digest(headers["webhook-signature"], f"v1,{expected}")
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return headers["webhook-id"]


async def delivered(runner: Runner, handle: WorkflowHandle[Any, Any]) -> list[WebhookDelivered]:
    """Wait for the deliveries that a run has begun."""
    begun = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        async for event in handle.fetch_history_events()
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
    runs = [runner.env.client.get_workflow_handle(run, result_type=WebhookDelivered) for run in begun]
    return [await run.result() for run in runs]


async def test_webhooks_are_signed_and_delivered_though_the_run_has_ended(runner: Runner) -> None:
    """A receiver that is away holds nothing up, and gets it once it is back; what it was sent before has the same id."""
    with hooks({"/away": 3}) as (web, hook):
        url = hook.replace("json://", "http://")
        ours = reporting_to(runner, f"{url}/away".replace("127.0.0.1", "LocalHost"))
        request = planned().model_copy(update={"webhooks": (f"{url}/own",)})
        async with ours.worker(scripted()):
            handle = await ours.start(RUN, request)
            gate = (await at_a_checkpoint(handle)).gates[0]
            await decided(handle, "approve")
            await handle.result()
            assert (await handle.query("status", result_type=RunStatus)).notices == ()
            assert len(web.took.get("/away", ())) < 2, "the run waited for it"
            assert [each.taken for each in await delivered(runner, handle)] == [2, 2]
    opened, over = web.took["/own"]
    assert (opened["event"], opened["gate"], opened["digest"]) == ("gate_opened", gate.name, gate.digest)
    assert (over["event"], over["state"], over["workflow_id"]) == ("run_ended", "completed", handle.id)
    assert {body["event"] for body in web.took["/away"]} == {"gate_opened", "run_ended"}
    for path, sent in web.raw.items():
        ids = [verified(headers, body) for headers, body in sent]
        assert set(ids) == {body["delivery"] for body in web.took[path]}, "a repeated delivery has the same id"
        assert len(ids) == (5 if path == "/away" else 2)


async def test_people_are_told_of_a_question_and_reminded_until_it_is_answered(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text('[questions]\ndeadline = "3h"\nremind_every = "1h"\n')
    with hooks({}) as (web, hook):
        url = hook.replace("json://", "http://")
        ours = told_by(with_agents(runner, tmp_path / "agents", {"a": "fallback: person"}), f"{hook}/told")
        more = {"gates_file": tmp_path / "gates.toml", "inbox_url": "http://inbox.example/"}
        ours = reporting_to(Runner(ours.env, ours.settings.model_copy(update=more), ours.store), f"{url}/web")
        plan = PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="a", input="Who is it?"),)))
        async with ours.worker(failing("a")):
            handle = await ours.start(RUN, plan)
            (question,) = (await status_when(handle, lambda status: status.questions)).questions
            assert question.text == "1: Who is it?"
            assert await questions_of(await handle.describe()) == (question,)
            await ours.env.sleep(2 * 3600 - 30)
            await handle.signal("answer", "It is me.")
            result = await handle.result()
            (waited,) = [one for one in await delivered(ours, handle) if one.taken][:1]
            assert await questions_of(await handle.describe()) == ()
    assert result.answers[0].content.text == "It is me."
    titles = [told["title"] for told in web.took["/told"]]
    assert titles == ["question-1 asked: 1: Who is it?", "question-1 reminded: 1: Who is it?"]
    message = web.took["/told"][0]["message"]
    assert f"python starter.py answer {handle.id} TEXT --question question-1" in message
    assert f"http://inbox.example/run?id={handle.id}" in message
    assert f"http://inbox.example/report?run={handle.id}" in message
    asked = next(body for body in web.took["/web"] if body["event"] == "question_asked")
    assert (asked["question"], asked["description"]) == ("question-1", "1: Who is it?")
    assert waited.failed == ()


async def test_a_failed_run_reports_and_private_addresses_must_be_allowed(runner: Runner) -> None:
    with hooks({}) as (web, hook):
        url = hook.replace("json://", "http://")
        request = PlanRequest(task="", webhooks=(f"{url}/failed",))
        async with reporting_to(runner, f"{url}/all", private=False).worker(scripted()):
            refused = await runner.start(RUN, request)
            with pytest.raises(WorkflowFailureError):
                await refused.result()
            (told,) = await delivered(runner, refused)
            assert (told.taken, len(told.failed)) == (0, 2)
            assert all("not a public address" in why for why in told.failed)
            assert web.asked == {}, "an address of this machine was asked"
        async with reporting_to(runner, f"{url}/all").worker(scripted()):
            handle = await runner.start(RUN, request)
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            await delivered(runner, handle)
    assert [(body["event"], body["state"]) for body in web.took["/failed"]] == [("run_ended", "failed")]
    assert web.took["/failed"][0]["error"]
