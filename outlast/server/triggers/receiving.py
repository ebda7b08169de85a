"""`POST /triggers/{name}`: whoever sends it shows a token, or signs it; what it holds becomes the request of a run."""

import hashlib
import hmac
import logging
import time
from typing import Any
from urllib.parse import unquote

from pydantic import RootModel
from starlette.requests import Request

from outlast.client import Settings
from outlast.notices.webhook_activities import signed
from outlast.server.access import Caller, Scope
from outlast.server.operations import Answer, Call, HttpError, validated
from outlast.server.starting import in_name_of, start_as, startable
from outlast.server.triggers.templates import MissingFieldError, filled, key_in, read_triggers

FRESH = 300
"""Seconds by which the time of a signed delivery may differ from ours."""
STANDARD, HUB = "webhook-signature", "x-hub-signature-256"
"""Headers of a signature: of Standard Webhooks, which signs id and time too, and of GitHub, which signs the body."""

_log = logging.getLogger(__name__)


class TriggerBody(RootModel[dict[str, Any]]):
    """What was sent, a JSON object of any fields."""


class Triggers:
    """The triggers of the deployment; raises SettingsError naming TRIGGERS_FILE."""

    def __init__(self, settings: Settings) -> None:
        self._kinds = {kind.command: kind for kind in startable()}
        self._triggers = read_triggers(settings.file_of("triggers_file"), self._kinds)
        self._secrets = settings.secrets_of_triggers()
        for name in sorted(set(self._secrets) - set(self._triggers)):
            _log.warning("TRIGGER_SECRETS: there is no trigger %r in triggers.toml (TRIGGERS_FILE)", name)

    async def signed_by(self, request: Request) -> Caller | None:
        """Return who signed a request, None where a token is to say who sends it; raises HttpError for a wrong signature."""
        headers, name = request.headers, unquote(request.path_params["name"])
        secret, is_signed = self._secrets.get(name, ""), STANDARD in headers or HUB in headers
        if not is_signed and (not secret or "authorization" in headers):
            return None
        check = _standard if STANDARD in headers else _hub
        if not secret or not check(secret, request, await request.body()):
            raise HttpError(401, f"{STANDARD} or {HUB}: not signed by the secret of this trigger")
        return Caller(f"trigger {name}", frozenset({Scope.START}))

    async def fire(self, call: Call) -> Answer:
        """Start the run of a trigger, once for each delivery."""
        name, body = call.params["name"], call.body.root
        trigger = self._triggers.get(name)
        if trigger is None:
            raise HttpError(404, f"there is no trigger {name!r}")
        kind = self._kinds[trigger.workflow]
        try:
            request = validated(kind.load_request(), filled(trigger.request, body))
            key = key_in(trigger.key, body) if trigger.key else await _key(name, call.request)
        except MissingFieldError as error:
            raise HttpError(422, str(error)) from error
        if not key.strip():
            raise HttpError(422, f"the key of trigger {name!r} is empty for this body")
        return await start_as(call.reach, kind, in_name_of(call.caller, request), key)


async def _key(name: str, request: Request) -> str:
    """Name a delivery that is sent twice the same: by its id where that is signed, else by its body."""
    delivery = "" if HUB in request.headers else request.headers.get("webhook-id", "")
    return f"{name}-{delivery or hashlib.sha256(await request.body()).hexdigest()[:16]}"


def _standard(secret: str, request: Request, body: bytes) -> bool:
    stamp = request.headers.get("webhook-timestamp", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 15 or abs(time.time() - int(stamp)) > FRESH:
        return False
    wanted = signed(secret, request.headers.get("webhook-id", ""), body, int(stamp))[STANDARD]
    return any(_same(each, wanted) for each in request.headers[STANDARD].split())


def _hub(secret: str, request: Request, body: bytes) -> bool:
    return _same(request.headers.get(HUB, ""), f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
