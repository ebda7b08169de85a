"""People are told of a gate by every channel, once each, and no channel holds a gate up."""

import shlex

from pydantic import SecretStr

from outlast.contracts import PlanRequest, StepState
from tests.workflow.conftest import Runner
from tests.workflow.people.steering import at_a_checkpoint, decided, status_when
from tests.workflow.plans.test_plan_and_execute import RUN, plan_of, scripted, step
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
