"""Which namespaces use a content store: workers leave a note there, so that `gc` does not take the texts of one for garbage."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from outlast.storage.objects import Objects, brief

if TYPE_CHECKING:
    from obstore import ObjectMeta

FOLDER = "users/"
SECONDS = 5.0
"""How long the start of a worker waits for that."""
_log = logging.getLogger(__name__)


class UnlistedError(Exception):
    """What lies in a store cannot be listed as a whole; the message says why."""


@dataclass(frozen=True)
class User:
    """One namespace that uses a store; its id, which is that of no other namespace anywhere, and its name."""

    id: str
    namespace: str

    @classmethod
    async def of(cls, client: Client) -> "User":
        """Ask the server; where it tells no id, the namespace's name stands for it. Raises RPCError for one that is not there."""
        try:
            asked = DescribeNamespaceRequest(namespace=client.namespace)
            described = await client.workflow_service.describe_namespace(asked)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise
            return cls(client.namespace, client.namespace)
        return cls(described.namespace_info.id or client.namespace, client.namespace)

    @property
    def key(self) -> str:
        """Where its note lies."""
        return FOLDER + quote(self.id, safe="")


async def note_user(client: Client, objects: Objects) -> None:
    """Leave the note of a worker's namespace; a store that is away gets it from the next worker that starts."""
    try:
        async with asyncio.timeout(SECONDS):
            user = await User.of(client)
            await objects.write(user.key, json.dumps({"id": user.id, "namespace": user.namespace}).encode())
    except (ApplicationError, RPCError, TimeoutError) as error:
        _log.warning("the content store does not know yet that this namespace uses it: %s", error)


async def users(objects: Objects) -> list[User]:
    """Return all namespaces that left a note; raises ValueError where one cannot be read, and UnlistedError."""
    found = []
    async for page in listed(objects, FOLDER.rstrip("/")):
        for each in page:
            note = await objects.fetch(each["path"])
            if note is not None:
                found.append(_read(each["path"], await objects.opened(each["path"], note)))
    return found


async def listed(objects: Objects, folder: str | None = None) -> AsyncIterator[Sequence["ObjectMeta"]]:
    """List what lies in a store, whoever put it there; raises UnlistedError where that cannot be listed as a whole."""
    try:
        async for page in obstore.list(objects.store(), folder):
            yield page
    except BaseError as error:
        raise UnlistedError(f"the content store at {objects.url} cannot be listed: {brief(error)}") from error


def _read(path: str, note: bytes) -> User:
    try:
        read = json.loads(note)
        return User(id=read["id"], namespace=read["namespace"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no note of ours") from error
