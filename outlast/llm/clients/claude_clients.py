"""The SDK's clients as a worker uses them: of Claude or another endpoint, of Amazon Bedrock, of Google Vertex AI."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import anthropic
import httpx2
from anthropic._models import FinalRequestOptions

from outlast.extras import installed
from outlast.llm.body import LARGE, StreamedJson, characters
from outlast.llm.endpoint import CredentialsError, Endpoint

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection to open; a server that is there answers within a few round trips."""

SdkClient: TypeAlias = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex


class Client(anthropic.AsyncAnthropic):
    """The SDK's client, except that a large body is written while it is sent: the SDK has it in memory four times."""

    async def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        options = await super()._prepare_options(options)
        body = options.json_data
        if not isinstance(body, Mapping) or options.extra_json is not None or characters(body) < LARGE:
            return options
        content = StreamedJson(body)
        headers = options.headers if isinstance(options.headers, Mapping) else {}
        options.headers = {**headers, "Content-Length": str(content.size)}
        options.json_data, options.content = None, content
        return options


def make_client(api_key: str | None, base_url: str | None, timeout: float, auth_token: str | None = None) -> SdkClient:
    """Build a client from what the settings say; the arguments and errors are those of `Endpoint.of`."""
    return client_of(Endpoint.of(api_key, base_url, timeout, auth_token))


def client_of(endpoint: Endpoint) -> SdkClient:
    """Build the one client of a worker."""
    timeout = httpx2.Timeout(endpoint.timeout, connect=min(endpoint.timeout, CONNECT_TIMEOUT))
    # Over aiohttp, which the extra of that name brings, streams cost less CPU; both transports behave alike.
    http = _AioHttp() if installed("aiohttp") else _Http()
    if endpoint.provider != "anthropic":
        return _cloud_client(endpoint, timeout, http)
    key, token = endpoint.api_key, endpoint.auth_token
    # An endpoint of one's own needs no key, but the SDK insists on one.
    credential: dict[str, Any] = {"auth_token": token} if token else {"api_key": key or "no-key-needed"}
    return Client(
        **credential,
        # Left out, the URL would be read from the environment, where an empty ANTHROPIC_BASE_URL breaks every call.
        base_url=endpoint.url.copy_with(query=None),
        default_query=dict(endpoint.url.params) or None,
        default_headers={"X-Api-Key": key} if token and key else None,
        max_retries=0,
        timeout=timeout,
        http_client=http,
    )


class _KeyStays:
    """Takes the key out of a request that is redirected to another server; HTTPX does so with `Authorization` alone."""

    def _redirect_headers(self, request: httpx2.Request, url: httpx2.URL, method: str) -> httpx2.Headers:
        headers: httpx2.Headers = super()._redirect_headers(request, url, method)  # type: ignore[misc]
        before = request.url
        secured = (before.scheme, url.scheme) == ("http", "https") and before.host == url.host
        if not secured and (before.scheme, before.host, before.port) != (url.scheme, url.host, url.port):
            headers.pop("X-Api-Key", None)
        return headers


class _Http(_KeyStays, anthropic.DefaultAsyncHttpxClient):
    pass


class _AioHttp(_KeyStays, anthropic.DefaultAioHttpClient):
    pass


class _Bedrock(anthropic.AsyncAnthropicBedrock):
    """Signs with AWS_BEARER_TOKEN_BEDROCK, else with the credentials that the AWS SDK finds (environment, profile, role)."""

    async def _prepare_request(self, request: httpx2.Request) -> None:
        try:
            await super()._prepare_request(request)
        except (
            Exception
        ) as error:  # of botocore, or a RuntimeError of the SDK: whatever it is, the request has no signature
            raise CredentialsError(f"the request to Bedrock cannot be signed: {error}") from error


class _Vertex(anthropic.AsyncAnthropicVertex):
    """Sends the token of the application default credentials of Google's tools."""

    async def _prepare_request(self, request: httpx2.Request) -> None:
        try:
            await super()._prepare_request(request)
        except Exception as error:  # of google.auth, or a RuntimeError of the SDK
            raise CredentialsError(f"the request to Vertex AI has no token: {error}") from error


def credentials_of(client: SdkClient) -> str:
    """Return what to check where a client's credentials are refused, by the names of settings."""
    if isinstance(client, anthropic.AsyncAnthropicBedrock):
        return "the AWS credentials (or AWS_BEARER_TOKEN_BEDROCK), AWS_REGION, and that the account may use the model"
    if isinstance(client, anthropic.AsyncAnthropicVertex):
        return (
            "the application default credentials, ANTHROPIC_VERTEX_PROJECT_ID, CLOUD_ML_REGION, "
            "and that the project may use the model"
        )
    return "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"


def _cloud_client(endpoint: Endpoint, timeout: httpx2.Timeout, http: httpx2.AsyncClient) -> _Bedrock | _Vertex:
    """Build the client for the cloud that an endpoint names."""
    url = endpoint.url if endpoint.own_url else None
    if endpoint.provider == "vertex":
        return _Vertex(
            region=str(endpoint.region),
            project_id=str(endpoint.project),
            base_url=url,
            max_retries=0,
            timeout=timeout,
            http_client=http,
        )
    return _Bedrock(
        aws_region=endpoint.region,
        api_key=endpoint.auth_token,
        base_url=url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
    )
