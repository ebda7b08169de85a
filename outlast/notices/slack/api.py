"""Calls Slack's Web API, once each, and sorts what goes wrong into what waiting helps and what it does not."""

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:  # a worker or server without Slack does not need it
    from slack_sdk import WebClient

SECONDS = 15
"""How long Slack may take for one call."""
LONGEST_WAIT = 300.0
"""Most seconds that Slack may ask for before the next attempt."""
PASSING = frozenset({"fatal_error", "internal_error", "ratelimited", "request_timeout", "rate_limited", "service_unavailable",
                     "team_added_to_org"})  # fmt: skip
"""Errors of Slack's that another attempt may not meet."""
CODE = re.compile(r"[a-z0-9_]{2,60}")
FIXES = {
    "account_inactive": "SLACK_BOT_TOKEN: the app was removed; install it anew",
    "invalid_auth": "SLACK_BOT_TOKEN: Slack does not know it",
    "not_authed": "SLACK_BOT_TOKEN: Slack does not know it",
    "token_expired": "SLACK_BOT_TOKEN: it has expired",
    "token_revoked": "SLACK_BOT_TOKEN: it was revoked",
    "channel_not_found": "SLACK_CHANNEL: there is none of this id, or the app is no member of it",
    "is_archived": "SLACK_CHANNEL: it is archived",
    "not_in_channel": "SLACK_CHANNEL: invite the app into it",
}


class SlackError(Exception):
    """Slack does not do what it was asked; `code` is its word for why, "" where it gave no answer at all.

    `after` are the seconds after which another attempt may help; None: none will.
    """

    def __init__(self, message: str, code: str = "", after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.after = after


class SlackApi:
    """The API, by the token of one app.

    Args:
        token: The bot token.
        url: Address of the API, with a slash at its end.

    Raises:
        MissingExtraError: `slack-sdk` is not installed.
    """

    def __init__(self, token: str, url: str) -> None:
        from outlast.extras import require

        require("slack", "SLACK_BOT_TOKEN")
        self._token = token
        self._url = url
        self._client: WebClient | None = None

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method once; raises SlackError."""
        return await asyncio.to_thread(self._call, method, arguments)

    async def respond(self, url: str, body: Mapping[str, Any]) -> None:
        """Send a message to the `response_url` of a click; raises SlackError. Only Slack's own addresses are asked."""
        host = urlsplit(url).hostname or ""
        if host != urlsplit(self._url).hostname and not host.endswith((".slack.com", ".slack-gov.com")):
            raise SlackError("response_url: it is no address of Slack's", "invalid_url")
        await asyncio.to_thread(self._respond, url, dict(body))

    def _call(self, method: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError, SlackClientError

        if self._client is None:  # no attempts of its own: what calls this makes them
            self._client = WebClient(self._token, base_url=self._url, timeout=SECONDS, retry_handlers=[])
        try:
            if method.startswith("conversations."):  # what reads takes no JSON
                answer = self._client.api_call(method, params=arguments)
            else:
                answer = self._client.api_call(method, json=arguments)
        except SlackApiError as error:
            raise _refused(method, error.response) from None
        except (SlackClientError, OSError, ValueError) as error:
            raise SlackError(f"Slack's {method} gave no answer: {type(error).__name__}", after=0) from None
        read: Mapping[str, Any] = answer.data if isinstance(answer.data, dict) else {}
        return read

    def _respond(self, url: str, body: dict[str, Any]) -> None:
        from slack_sdk.webhook import WebhookClient

        try:
            answer = WebhookClient(url, timeout=SECONDS, retry_handlers=[]).send_dict(body)
        except (OSError, ValueError) as error:
            raise SlackError(f"response_url gave no answer: {type(error).__name__}", after=0) from None
        if answer.status_code != 200:
            raise SlackError(f"response_url answered {answer.status_code}", after=0)


def _refused(method: str, response: Any) -> SlackError:
    """Sort an answer that is no yes; a text where Slack, or what stands before it, gave no JSON."""
    data = getattr(response, "data", response)
    status = int(getattr(response, "status_code", 0) or (data.get("status", 0) if isinstance(data, dict) else 0))
    headers = getattr(response, "headers", None) or (data.get("headers") if isinstance(data, dict) else None) or {}
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    code = code if CODE.fullmatch(code) else ""  # in place of an answer that is no JSON stands a sentence
    said = f"Slack's {method} answered {code or f'status {status}'}"
    if status == 429 or code in PASSING or status >= 500 or not code:
        return SlackError(said, code, _wait(headers))
    more = FIXES.get(code, "")
    if code == "missing_scope":
        more = f"give the app the scope {data.get('needed', '')}, and install it anew"
    return SlackError(f"{said}; {more}" if more else said, code)


def _wait(headers: Mapping[str, Any]) -> float:
    found = next((value for name, value in headers.items() if str(name).lower() == "retry-after"), "0")
    text = str(found[0] if isinstance(found, list) and found else found)
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0
