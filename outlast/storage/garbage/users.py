"""Which namespaces use a content store: workers leave a note there, so that `gc` does not take the texts of one for garbage."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
AGAIN = 5.0
"""Seconds after which a store that is away is tried again."""
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


@asynccontextmanager
async def noted_user(client: Client, objects: Objects) -> AsyncIterator[None]:
    """Leave the note of a worker's namespace, meanwhile or as soon as the store is back.

    Whoever cleans the store for another namespace would take this one's texts for garbage until then.
    """
    why = await note_user(client, objects)
    if why:
        _log.warning("the content store does not know yet that this namespace uses it: %s", why)
    later = asyncio.create_task(_note_later(client, objects)) if why else None
    try:
        yield
    finally:
        if later is not None:
            later.cancel()
            await asyncio.gather(later, return_exceptions=True)


async def note_user(client: Client, objects: Objects) -> str:
    """Leave the note of a namespace; returns why that was not possible, "" where it was."""
    try:
        async with asyncio.timeout(SECONDS):
            user = await User.of(client)
            await objects.write(user.key, json.dumps({"id": user.id, "namespace": user.namespace}).encode())
    except (ApplicationError, RPCError, TimeoutError) as error:
        return str(error) or "it does not answer"
    return ""


async def _note_later(client: Client, objects: Objects) -> None:
    while True:
        await asyncio.sleep(AGAIN)
        if not await note_user(client, objects):
            return


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
