"""Where Claude is reached, checked when a worker starts; and the model client, made while the worker already serves.

The SDK takes longer to import than all else that a worker is made of, and only model calls need it.
"""

import asyncio
import gc
import hashlib
import importlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx2

from outlast.extras import require
from outlast.llm.base import LLM, ModelCall, ModelReply, Progress, Provider

CLAUDE_URL = "https://api.anthropic.com"


class CredentialsError(Exception):
    """A request to a cloud cannot be signed: there are no credentials, or they cannot be renewed."""


@dataclass(frozen=True)
class Endpoint:
    """What a client of the Messages API is made of."""

    url: httpx2.URL
    """Without `/v1`, which the SDK adds; its query goes along with every request."""
    timeout: float
    """Seconds between two pieces of a stream."""
    api_key: str | None = field(default=None, repr=False)
    auth_token: str | None = field(default=None, repr=False)
    provider: Provider = "anthropic"
    own_url: bool = True
    """Whether `url` is where requests go; else the client of a cloud knows its own address."""
    region: str | None = None
    project: str | None = None

    @classmethod
    def of(cls, api_key: str | None, base_url: str | None, timeout: float, auth_token: str | None = None) -> "Endpoint":
        """Check what the settings say.

        Args:
            api_key: Sent as `X-Api-Key`. An endpoint of one's own needs neither this nor a token.
            base_url: The address, with or without `/v1`; None for Claude itself.
            timeout: Seconds between two pieces of a stream.
            auth_token: Sent as the bearer; the key beside it goes to whatever stands behind.

        Raises:
            ValueError: Claude itself is asked without key and token, or the address is none.
        """
        if not (api_key or auth_token or base_url):
            raise ValueError(
                "set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, or ANTHROPIC_BASE_URL for an endpoint of your own"
            )
        try:
            url = httpx2.URL((base_url or CLAUDE_URL).strip())
        except httpx2.InvalidURL as error:
            raise ValueError(f"ANTHROPIC_BASE_URL cannot be read: {error}") from error
        return cls(url.copy_with(path=_without_version(url.path), fragment=None), timeout, api_key, auth_token)

    @classmethod
    def in_cloud(
        cls,
        provider: Provider,
        base_url: str | None,
        timeout: float,
        *,
        region: str = "",
        project: str = "",
        token: str | None = None,
    ) -> "Endpoint":
        """Check what the settings say of Bedrock or Vertex AI.

        Args:
            provider: `bedrock` or `vertex`.
            base_url: An address of one's own; None for the cloud's.
            timeout: Seconds between two pieces of a stream.
            region: The cloud's region; Bedrock's may stand in the AWS profile.
            project: The project that Vertex AI bills.
            token: An API key of Bedrock, instead of credentials.

        Raises:
            MissingExtraError: The extra of that cloud is not installed.
            ValueError: Region or project is missing.
        """
        require(provider, f"MODEL_PROVIDER={provider}")
        if provider == "vertex" and not (region and project):
            raise ValueError("MODEL_PROVIDER=vertex needs CLOUD_ML_REGION and ANTHROPIC_VERTEX_PROJECT_ID")
        url = httpx2.URL(base_url.rstrip("/") if base_url else f"https://{provider}")
        return cls(
            url,
            timeout,
            auth_token=token,
            provider=provider,
            own_url=base_url is not None,
            region=region or None,
            project=project or None,
        )


@dataclass
class Known:
    """Whether the Messages API was ever answered at an address: a web page afterwards is an outage, and not a wrong address.

    `note` is where this machine keeps it in mind, so that a worker that starts in an outage knows it as well.
    """

    note: Path | None = None
    answered: bool = False

    @classmethod
    def of(cls, endpoint: Endpoint, directory: Path | None) -> "Known":
        """Look up what is known of an endpoint; the own addresses of Claude and of clouds are no wrong ones."""
        url = str(endpoint.url.copy_with(query=None))
        note = None if directory is None else directory / hashlib.sha256(url.encode()).hexdigest()[:16]
        right = not endpoint.own_url or url.rstrip("/") == CLAUDE_URL
        return cls(note, right or (note is not None and note.exists()))

    @property
    def is_right(self) -> bool:
        """Whether the address has answered, perhaps to another process of this machine since this one began."""
        return self.answered or (self.note is not None and self.note.exists())

    def note_answer(self) -> None:
        """Keep in mind that it has answered."""
        if not self.answered:
            self.answered = True
            with suppress(OSError):
                if self.note is not None:
                    self.note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self.note.touch()


class ClaudeWhenNeeded:
    """Claude at an endpoint; the SDK is imported in a thread, at `prepare` or for the first call."""

    def __init__(
        self,
        endpoint: Endpoint,
        retry_after_cap: float,
        names: Callable[[str], str] = str,
        known_in: Path | None = None,
    ) -> None:
        self._endpoint, self._retry_after_cap, self._names = endpoint, retry_after_cap, names
        self._known = Known.of(endpoint, known_in)
        self._making: asyncio.Task[LLM] | None = None

    def prepare(self) -> None:
        """Begin to import, so that the first call need not wait for it."""
        if self._making is None:
            self._making = asyncio.create_task(asyncio.to_thread(self._make))

    async def answer(self, call: ModelCall, progress: Progress) -> ModelReply:
        """Make the call; raises the errors of `outlast.llm.posture`."""
        self.prepare()
        assert self._making is not None
        return await (await asyncio.shield(self._making)).answer(call, progress)

    async def aclose(self) -> None:
        """Close the connections, if there are any."""
        if self._making is not None:
            await (await self._making).aclose()  # type: ignore[attr-defined]

    def _make(self) -> LLM:
        claude = importlib.import_module("outlast.llm.claude")
        gc.freeze()  # the SDK is never garbage, and looking through all of it takes longer than most calls
        client = claude.client_of(self._endpoint)
        return cast("LLM", claude.ClaudeLLM(client, self._retry_after_cap, self._names, self._known))


def _without_version(path: str) -> str:
    """Return the path of a base URL without what the SDK adds to it: people copy the whole address of the endpoint."""
    path = path.rstrip("/").removesuffix("/messages") if path.rstrip("/").endswith("/v1/messages") else path
    while (path := path.rstrip("/")).endswith("/v1"):
        path = path.removesuffix("/v1")
    return path or "/"
