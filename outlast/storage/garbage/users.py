"""Which namespaces use a content store: workers leave a note there, so that `gc` does not take the texts of one for garbage."""

import asyncio
import json
import logging
from dataclasses import dataclass
from urllib.parse import quote

import obstore
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from outlast.storage.objects import Objects

FOLDER = "users/"
SECONDS = 5.0
"""How long the start of a worker waits for that."""
_log = logging.getLogger(__name__)


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
    """Return all namespaces that left a note; raises KeyMissingError where one cannot be read."""
    found = []
    async for page in obstore.list(objects.store(), FOLDER.rstrip("/")):
        for each in page:
            note = await objects.fetch(each["path"])
            if note is not None:
                found.append(User(**json.loads(await objects.opened(each["path"], note))))
    return found
