"""All operations of the HTTP API: the routes, the OpenAPI document and the test of scopes are made of this list."""

from outlast.contracts import Content, GatesShown, Trace
from outlast.server import agui, conversations, gates, runs, starting
from outlast.server.access import Scope
from outlast.server.events.feed import Feeds
from outlast.server.events.said import Conversation, SaidQuery, messages_of
from outlast.server.events.stream import LAST_ID, EventsQuery, events_of
from outlast.server.operations import FORM, Operation, Problem
from outlast.server.slack.receiving import SlackActions, SlackBody
from outlast.server.triggers.receiving import TriggerBody, Triggers

HTML, SSE = "text/html", "text/event-stream"
DECIDES = {gates.APPROVER: "The approver token of whoever decides; needed where decisions are signed."}
KEYED = {starting.KEY: "The id of the run. The same key with the same body gives the same run, with another body 409."}
SAID_ONCE = {starting.KEY: "A key of the message: the same key sent again to the same session sends nothing twice."}
SIGNED = {
    "X-Slack-Signature": "Slack's signature of the request, by SLACK_SIGNING_SECRET.",
    "X-Slack-Request-Timestamp": "When Slack signed it.",
}
START, READ, DECIDE = Scope


def operations(feeds: Feeds, triggers: Triggers, slack: SlackActions) -> list[Operation]:
    """List them, with one operation for each workflow that can be started."""
    return [*_starting(triggers), *_looking(feeds), *_steering(feeds), *_deciding(slack)]


def _starting(triggers: Triggers) -> list[Operation]:
    return [
        Operation(
            "list_workflows", "GET", "/workflows", READ, "The workflows that can be started", starting.list_workflows,
            gives={200: starting.WorkflowsListed},
        ),
        *(
            Operation(
                f"start_{kind.command}", "POST", f"/workflows/{kind.command}", START, f"Start {kind.workflow}",
                starting.starting(kind), body=starting.request_of(kind), headers=KEYED,
                gives={201: starting.Started, 200: starting.Started}, fails=(409,),
            )
            for kind in starting.startable()
        ),
        Operation(
            "keep_content", "PUT", "/contents", START, "Keep a text or a file, for requests that refer to one",
            starting.keep, gives={201: Content},
        ),
        Operation(
            "trigger", "POST", "/triggers/{name}", START, "Start what triggers.toml says, with what the body has",
            triggers.fire, body=TriggerBody, signed_by=triggers.signed_by,
            gives={201: starting.Started, 200: starting.Started}, fails=(404, 409),
        ),
    ]  # fmt: skip


def _looking(feeds: Feeds) -> list[Operation]:
    return [
        Operation(
            "list_runs", "GET", "/runs", READ, "Runs, the newest first", runs.list_runs,
            query=runs.ListQuery, gives={200: runs.RunsListed},
        ),
        Operation(
            "status", "GET", "/runs/{id}", READ, "A run, its steps, and what waits for people", runs.status,
            gives={200: runs.RunShown}, fails=(404,),
        ),
        Operation(
            "result", "GET", "/runs/{id}/result", READ, "What a run came to; 202 where it has not ended", runs.result,
            query=runs.WaitQuery, gives={200: runs.RunEnded, 202: runs.RunEnded}, fails=(404, 409),
        ),
        Operation(
            "trace", "GET", "/runs/{id}/trace", READ, "The model and tool calls of a run", runs.trace,
            gives={200: Trace}, fails=(404,),
        ),
        Operation(
            "report", "GET", "/runs/{id}/report", READ, "The report of a run, as a page", runs.report,
            gives={200: HTML}, fails=(404,),
        ),
        Operation(
            "messages", "GET", "/runs/{id}/messages", READ, "What was said in an agent's session",
            messages_of(feeds), query=SaidQuery, gives={200: Conversation}, fails=(404, 409),
        ),
        Operation(
            "events", "GET", "/runs/{id}/events", READ, "What happens in a run, as server-sent events",
            events_of(feeds), query=EventsQuery, gives={200: SSE}, fails=(404,),
            headers={LAST_ID: "The id of the last event that was seen; events after it follow."},
        ),
    ]  # fmt: skip


def _steering(feeds: Feeds) -> list[Operation]:
    return [
        Operation(
            "message", "POST", "/runs/{id}/messages", START, "Send a message to an agent's session, at any time",
            conversations.say_it, body=conversations.SayBody, headers=SAID_ONCE,
            gives={202: conversations.MessageAccepted}, fails=(404, 409),
        ),
        Operation(
            "end", "POST", "/runs/{id}/end", START, "End an agent's session, once what was said is answered",
            conversations.end, gives={202: conversations.SessionEnds, 200: conversations.SessionEnds}, fails=(404, 409),
        ),
        Operation(
            "cancel", "POST", "/runs/{id}/cancel", START, "Ask a run to stop", runs.cancel,
            gives={202: runs.Cancelled, 200: runs.Cancelled}, fails=(404,),
        ),
        Operation(
            "agui", "POST", "/agui/{agent}", START, "Talk to an agent by the AG-UI protocol", agui.run_agent(feeds),
            body=agui.RunAgentInput, gives={200: SSE}, fails=(409,),
        ),
    ]  # fmt: skip


def _deciding(slack: SlackActions) -> list[Operation]:
    return [
        Operation(
            "list_gates", "GET", "/gates", READ, "What waits for people, of all runs", gates.inbox,
            gives={200: gates.GatesListed},
        ),
        Operation(
            "gates_of_run", "GET", "/runs/{id}/gates", READ, "What waits for people, of one run", gates.gates,
            gives={200: GatesShown}, fails=(404,),
        ),
        Operation(
            "decide", "POST", "/runs/{id}/gates/{gate}", DECIDE, "Approve or deny at a gate", gates.decide,
            body=gates.DecideBody, headers=DECIDES, gives={200: gates.DecisionTaken, 202: gates.DecisionTaken},
            fails=(404, 409),
        ),
        Operation(
            "answer", "POST", "/runs/{id}/answers", DECIDE, "Answer a question of a run", gates.answer,
            body=gates.AnswerBody, gives={202: gates.AnswerTaken}, fails=(404, 409),
        ),
        Operation(
            "slack_actions", "POST", "/slack/actions", None, "Take what people click in Slack, signed by Slack",
            slack.act, body=SlackBody, takes=FORM, signed_by=slack.signed_by,
            headers=SIGNED, gives={200: "application/json"},
        ),
    ]  # fmt: skip


__all__ = ["Problem", "operations"]
