"""Sends a webhook to one address, once, signed as the Standard Webhooks specification says; the policy sends it again.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`. The path of an address
may be a secret, so no error of ours shows more of it than its host.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx2
from temporalio import activity

from outlast.contracts import WebhookRequest, WebhookSent
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.tools.standard.http_call import request_once
from outlast.tools.standard.web import Fetching
from outlast.tools.tool import ToolError

SECONDS = 20.0
"""How long a receiver may take."""
MOST_ANSWERED = 2_000


class WebhookActivities:
    """Knows the addresses of the deployment, and the secret that signs."""

    def __init__(self, urls: Sequence[str] = (), secret: str = "", *, private: bool = False) -> None:
        self._urls = tuple(urls)
        self._secret = secret
        self._private = private

    @activity.defn
    async def deliver_webhook(self, request: WebhookRequest) -> WebhookSent:
        """Send a webhook once; raises ChannelUnavailable where waiting may help, ChannelUnknown where it does not."""
        if not self._secret:
            raise non_retryable(
                ErrorKind.CHANNEL_UNKNOWN,
                "WEBHOOK_SECRET is not set: webhooks are signed with it; set it for all workers",
            )
        if request.number > len(self._urls):
            raise non_retryable(
                ErrorKind.CHANNEL_UNKNOWN,
                f"this worker's WEBHOOK_URLS has {len(self._urls)} addresses, none with number {request.number}; set the "
                "same for all workers",
            )
        url = self._urls[request.number - 1] if request.number else request.url
        shown = f"webhook {request.number} ({_host(url)})" if request.number else f"webhook to {_host(url)}"
        # The operator's own addresses may have any port, those of a request only the web's.
        allow = f"*:{urlsplit(url).port}" if request.number and urlsplit(url).port else "*"
        hosts = Fetching((allow,), self._private, SECONDS, MOST_ANSWERED, "WEBHOOK_URLS")
        body = json.dumps(request.body.model_dump(mode="json", exclude_defaults=False)).encode()
        headers = {"Content-Type": "application/json"} | signed(self._secret, request.body.delivery, body, time.time())
        try:
            async with asyncio.timeout(SECONDS):
                status, _ = await request_once(hosts, "POST", url, headers=headers, content=body, reads=False)
        except ToolError as error:
            raise non_retryable(
                ErrorKind.CHANNEL_UNKNOWN, f"{shown}: {error}; WEBHOOK_PRIVATE opens private ones"
            ) from None
        except (TimeoutError, ConnectionError, httpx2.HTTPError) as error:
            raise retryable(ErrorKind.CHANNEL_UNAVAILABLE, f"{shown} gave no answer: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise retryable(ErrorKind.CHANNEL_UNAVAILABLE, f"{shown} answered {status}")
        return WebhookSent(status=status)


def signed(secret: str, delivery: str, body: bytes, now: float) -> dict[str, str]:
    """Return the headers by which a receiver knows that a webhook is ours, and when it was sent."""
    stamp = str(int(now))
    made = hmac.new(_key(secret), f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(made).decode()}",
    }


def _key(secret: str) -> bytes:
    """Return the key of a secret: of one in the form of the specification (`whsec_…`) its base64."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
