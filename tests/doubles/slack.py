"""A double of Slack: its Web API with the limits that its documentation gives, and the clicks that it sends, signed.

The payloads have the fields of the documented examples (docs.slack.dev: block_actions, view_submission), the ones that nothing
here reads as well.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

from slack_sdk.signature import SignatureVerifier

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
CHANNEL = "C0GATES00"
TOKEN = "xoxb-0000-0000-double"
Json = dict[str, Any]


@dataclass
class Failure:
    """How one call fails."""

    body: Json | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    takes: bool = False
    """Whether the message was taken all the same, and only the answer is lost."""


class Slack(ThreadingHTTPServer):
    """Keeps what was posted; `failing` lists how the next calls of a method fail, the first one first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: dict[str, Json] = {}
        self.calls: list[tuple[str, Json]] = []
        self.failing: dict[str, list[Failure]] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api/"

    def asked(self, method: str) -> list[Json]:
        return [arguments for name, arguments in self.calls if name == method]

    def fails(self, method: str, *failures: Failure) -> None:
        self.failing[method] = list(failures)

    def message(self, contains: str) -> tuple[str, Json]:
        """Return the newest message that shows a text, with its ts."""
        with self.lock:
            found = [
                (ts, each) for ts, each in self.messages.items() if contains in json.dumps(each, ensure_ascii=False)
            ]
        return found[-1] if found else ("", {})

    def buttons(self, contains: str) -> dict[str, Json]:
        """Return the buttons of such a message, by their text."""
        blocks = self.message(contains)[1].get("blocks", ())
        elements = [one for block in blocks if block["type"] == "actions" for one in block["elements"]]
        return {one["text"]["text"]: one for one in elements}

    def clicked(self, member: str, contains: str, button: str) -> Json:
        """Return the payload of a click."""
        ts, message = self.message(contains)
        chosen = self.buttons(contains)[button]
        shown = {"type": "message", "user": "U0BOT0000", "ts": ts, "bot_id": "B0BOT0000"} | message
        return {
            "type": "block_actions",
            "user": {"id": member, "username": member.lower(), "name": member.lower(), "team_id": "T0TEAM000"},
            "api_app_id": "A0APP0000",
            "token": "Shh_its_a_seekrit",
            "container": {"type": "message", "message_ts": ts, "channel_id": CHANNEL, "is_ephemeral": False},
            "trigger_id": f"12466734323.1395872398.{time.time_ns()}",
            "team": {"id": "T0TEAM000", "domain": "double"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": CHANNEL, "name": "gates"},
            "message": shown,
            "state": {"values": {}},
            "response_url": f"http://127.0.0.1:{self.server_port}/response",
            "actions": [{**chosen, "block_id": "b1", "action_ts": f"{time.time():.6f}"}],
        }

    def submitted(self, member: str, values: Json) -> Json:
        """Return the payload of the dialog that was opened last, filled in; what is not in `values` is as it was opened."""
        view = self.asked("views.open")[-1]["view"]
        values = {
            each["block_id"]: _untouched(each["element"]) for each in view["blocks"] if each["type"] == "input"
        } | values
        return {
            "type": "view_submission",
            "team": {"id": "T0TEAM000", "domain": "double"},
            "user": {"id": member, "username": member.lower(), "name": member.lower(), "team_id": "T0TEAM000"},
            "api_app_id": "A0APP0000",
            "token": "Shh_its_a_seekrit",
            "trigger_id": f"12466734323.1395872398.{time.time_ns()}",
            "view": {**view, "id": "V0VIEW000", "hash": "156772938.1827394", "state": {"values": values}},
            "response_urls": [],
        }


def form(payload: Json) -> bytes:
    """Write a payload as Slack sends it."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """Sign a body."""
    stamp = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": str(signature),
    }


@contextmanager
def slack_double() -> Iterator[Slack]:
    """Run the double."""
    server = Slack()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Slack

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        method = self.path.removeprefix("/api/")
        is_json = "json" in self.headers.get("Content-Type", "")
        arguments: Json = json.loads(raw) if is_json else {k: v[0] for k, v in parse_qs(raw.decode()).items()}
        with self.server.lock:
            self.server.calls.append((method, arguments))
            failures = self.server.failing.get(method, [])
            failure = failures.pop(0) if failures else None
            answer = _answer(self.server, method, arguments, self.headers) if not failure or failure.takes else {}
        if failure is None:
            self._send(200, answer)
        else:
            self._send(failure.status, failure.body or {}, failure.headers)

    def _send(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        written = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(written))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_args: Any) -> None:
        """Keep the test's output clean."""


def _answer(slack: Slack, method: str, given: Json, headers: Any) -> Json:
    if method == "/response":
        return {"ok": True}
    if headers.get("Authorization") != f"Bearer {TOKEN}":
        return {"ok": False, "error": "invalid_auth"}
    if given.get("channel") not in (CHANNEL, None):
        return {"ok": False, "error": "channel_not_found"}
    view = given.get("view")
    if wrong := wrong_view(view) if view is not None else wrong_blocks(given.get("blocks") or []):
        return {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [wrong]}}
    return _done(slack, method, given)


def _done(slack: Slack, method: str, given: Json) -> Json:
    match method:
        case "chat.postMessage":
            ts = f"{time.time():.6f}"
            while ts in slack.messages:
                ts = f"{float(ts) + 0.000001:.6f}"
            slack.messages[ts] = given
            return {"ok": True, "channel": CHANNEL, "ts": ts, "message": given}
        case "chat.update":
            if given["ts"] not in slack.messages:
                return {"ok": False, "error": "message_not_found"}
            slack.messages[given["ts"]] |= given
            return {"ok": True, "channel": CHANNEL, "ts": given["ts"]}
        case "chat.postEphemeral":
            return {"ok": True, "message_ts": f"{time.time():.6f}"}
        case "views.open":
            is_new = [each["trigger_id"] for each in slack.asked(method)].count(given["trigger_id"]) == 1
            return (
                {"ok": True, "view": {"id": "V0VIEW000"}} if is_new else {"ok": False, "error": "exchanged_trigger_id"}
            )
        case "conversations.history" | "conversations.replies":
            found = [{"ts": ts, **each} for ts, each in slack.messages.items()]
            thread = given.get("ts")
            return {"ok": True, "messages": [one for one in found if not thread or one.get("thread_ts") == thread]}
    return {"ok": False, "error": "unknown_method"}


def _untouched(element: Json) -> Json:
    if element["type"] == "static_select":
        given: Json = {"selected_option": element.get("initial_option")}
    else:
        given = {"value": None}
    return {element["action_id"]: {"type": element["type"], **given}}


def wrong_view(view: Json) -> str:
    """Return which documented limit a dialog breaks."""
    texts = [view[name]["text"] for name in ("title", "submit", "close")]
    fields = [block for block in view["blocks"] if block["type"] == "input"]
    ids = [block["block_id"] for block in fields]
    for wrong, what in (
        (view["type"] != "modal", "the type of a view"),
        (not all(0 < len(text) <= 24 for text in texts), "a title or a button of a view"),
        (len(view["private_metadata"]) > 3000, "private_metadata"),
        (len(view["callback_id"]) > 255, "callback_id"),
        (len(ids) != len(set(ids)) or not all(0 < len(name) <= 255 for name in ids), "a block_id"),
        (any(len(block["label"]["text"]) > 2000 for block in fields), "a label"),
        (not all(_is_element(block["element"]) for block in fields), "an element"),
    ):
        if wrong:
            return what
    return wrong_blocks(view["blocks"], most=100)


def _is_element(element: Json) -> bool:
    options = element.get("options", ())
    chosen = element.get("initial_option")
    return (
        0 < len(element["action_id"]) <= 255
        and ("options" not in element or 0 < len(options) <= 100)
        and all(0 < len(one["text"]["text"]) <= 75 and 0 < len(one["value"]) <= 150 for one in options)
        and (chosen is None or chosen in options)
        and 0 < element.get("max_length", 1) <= 3000
    )


def wrong_blocks(blocks: list[Json], most: int = 50) -> str:
    """Return which documented limit blocks break."""
    if len(blocks) > most:
        return f"more than {most} blocks"
    for block in blocks:
        for one in block.get("elements", ()) if block["type"] == "actions" else ():
            if one["type"] == "button" and not 0 < len(one["text"]["text"]) <= 75:
                return "a button's text"
            if len(one.get("value", "")) > 2000 or len(one.get("url", "")) > 3000 or len(one["action_id"]) > 255:
                return "a button"
        if block["type"] == "actions" and not 0 < len(block["elements"]) <= 25:
            return "elements of actions"
        ids = [one["action_id"] for one in block.get("elements", ()) if block["type"] == "actions"]
        if len(ids) != len(set(ids)):
            return "an action_id twice"
        if block["type"] not in ("actions", "context", "input", "rich_text"):
            return f"a block {block['type']}, which reads markup"
        if block["type"] == "context" and any(one["type"] != "plain_text" for one in block["elements"]):
            return "markup in a context"
        if block["type"] == "rich_text" and any(len(text) > 3000 for text in _texts(block)):
            return "a text of more than 3,000 characters"
    return ""


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for name, value in data.items():
            if name == "text" and isinstance(value, str):
                yield value
            yield from _texts(value)
    elif isinstance(data, list):
        for each in data:
            yield from _texts(each)
