"""Claude on Amazon Bedrock and Google Vertex AI: what goes over the wire, against local doubles of both."""

import json
import struct
from base64 import b64encode
from binascii import crc32
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from temporalio.testing import ActivityEnvironment

from outlast.client import Settings, SettingsError
from outlast.contracts import ModelRequest, Usage
from outlast.llm.activities import AgentActivities
from outlast.storage.activities import ContentStore
from outlast.worker.registry import model_client
from tests.activity.conftest import ENOUGH, Caller, asking
from tests.doubles.wire import Reply, Wire, ending, message_start, text_block

OPUS = "claude-opus-5-5"
REGION = "eu-west-1"
ANSWER = [message_start(OPUS), *text_block("High at ", "noon."), *ending()]


def frame(payload: bytes, **headers: str) -> bytes:
    """Write a frame of Amazon's event stream."""
    head = b"".join(
        struct.pack(">B", len(name) + 1)
        + f":{name.replace('_', '-')}".encode()
        + struct.pack(">BH", 7, len(value))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    prelude += struct.pack(">I", crc32(prelude))
    body = prelude + head + payload
    return body + struct.pack(">I", crc32(body))


def framed(events: Sequence[str]) -> bytes:
    """Write server-sent events as Bedrock sends them."""
    frames = []
    for each in events:
        data = next(line.removeprefix("data:").strip() for line in each.splitlines() if line.startswith("data:"))
        payload = json.dumps({"bytes": b64encode(data.encode()).decode(), "p": "abc"}).encode()
        frames.append(frame(payload, event_type="chunk", content_type="application/json", message_type="event"))
    return b"".join(frames)


def streamed(data: bytes, size: int) -> Reply:
    """Answer with frames that are cut anywhere."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    headers = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "aws-1"}
    return Reply(events=pieces, headers=headers)


def settings_of(**fields: object) -> Settings:
    return Settings.model_validate({"model_read_timeout": 10, **fields})


@asynccontextmanager
async def calling_cloud(settings: Settings, store: ContentStore) -> AsyncIterator[Caller]:
    """Call as a worker with these settings does."""
    llm, env = model_client(settings), ActivityEnvironment()
    env.info = replace(env.info, start_to_close_timeout=ENOUGH)
    llm.prepare()
    try:
        yield Caller(llm, AgentActivities(llm, store, settings.model_table()), env)
    finally:
        await llm.aclose()


@pytest.fixture
async def bedrock(wire: Wire, store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    settings = settings_of(model_provider="bedrock", aws_region=REGION, anthropic_bedrock_base_url=wire.url)
    async with calling_cloud(settings, store) as caller:
        yield caller


def opus() -> ModelRequest:
    return asking(model=OPUS)


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_bedrock_answers_in_frames_cut_anywhere(bedrock: Caller, wire: Wire, size: int) -> None:
    wire.replies = [streamed(framed(ANSWER), size)]

    turn = await bedrock.call(opus())

    assert turn.content.text == "High at noon."
    assert turn.usage.output_tokens == 20
    assert turn.usd == pytest.approx(100 * 4e-6 + 20 * 20e-6)
    (hit,) = wire.hits
    assert unquote(hit.path) == f"/model/global.anthropic.{OPUS}/invoke-with-response-stream"
    assert "anthropic_version" in hit.body
    assert "model" not in hit.body
    assert "stream" not in hit.body


async def test_bedrock_gets_a_request_signed_for_its_region(bedrock: Caller, wire: Wire) -> None:
    wire.replies = [streamed(framed(ANSWER), 512)]

    await bedrock.call(opus())

    hit = wire.hits[0]
    kind, _, rest = hit.headers["authorization"].partition(" ")
    assert kind == "AWS4-HMAC-SHA256"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert parts["Credential"].split("/")[0::2] == ["AKIDEXAMPLE", REGION, "aws4_request"]
    signed = {name: hit.headers[name] for name in parts["SignedHeaders"].split(";")}
    request = AWSRequest("POST", wire.url + hit.path, headers=signed, data=hit.raw)
    request.context["timestamp"] = hit.headers["x-amz-date"]
    checker = SigV4Auth(Credentials("AKIDEXAMPLE", "a-secret"), "bedrock", REGION)
    expected = checker.signature(checker.string_to_sign(request, checker.canonical_request(request)), request)
    assert parts["Signature"] == expected


async def test_bedrock_by_its_api_key(wire: Wire, store: ContentStore) -> None:
    settings = settings_of(
        model_provider="bedrock",
        aws_region=REGION,
        anthropic_bedrock_base_url=wire.url,
        aws_bearer_token_bedrock=SecretStr("bedrock-key"),
    )
    wire.replies = [streamed(framed(ANSWER), 512)]

    async with calling_cloud(settings, store) as caller:
        await caller.call(opus())

    assert wire.hits[0].headers["authorization"] == "Bearer bedrock-key"
    assert ("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key") in settings.secrets()


@pytest.mark.parametrize(
    ("code", "kind", "again"),
    [
        ("throttlingException", "RateLimited", True),
        ("serviceUnavailableException", "ModelUnavailable", True),
        ("internalServerException", "ModelUnavailable", True),
        ("somethingNewException", "ModelUnavailable", True),
        ("validationException", "ModelRejected", False),
    ],
)
async def test_what_bedrock_reports_within_a_stream(
    bedrock: Caller, wire: Wire, code: str, kind: str, again: bool
) -> None:
    broken = frame(b'{"message": "no luck"}', message_type="exception", exception_type=code)
    wire.replies = [streamed(framed(ANSWER[:3]) + broken, 50)]

    error, details = await bedrock.fail(opus())

    assert (error.type, not error.non_retryable) == (kind, again)
    assert f"{code}: no luck" in str(error)
    assert details.request_id == "req_1"


async def test_damaged_frames_are_asked_for_again(bedrock: Caller, wire: Wire) -> None:
    data = bytearray(framed(ANSWER))
    data[len(data) // 2] ^= 0xFF
    wire.replies = [streamed(bytes(data), 64)]

    error, _ = await bedrock.fail(opus())

    assert (error.type, error.non_retryable) == ("ModelUnavailable", False)


async def test_refused_credentials_name_those_of_the_cloud(bedrock: Caller, wire: Wire) -> None:
    wire.replies = [Reply(403, body='{"message": "The security token included in the request is invalid"}')]

    error, _ = await bedrock.fail(opus())

    assert error.type == "ModelNotAllowed"
    assert "check the AWS credentials (or AWS_BEARER_TOKEN_BEDROCK)" in str(error)


async def test_without_aws_credentials_nothing_is_sent(
    wire: Wire, store: ContentStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    settings = settings_of(model_provider="bedrock", aws_region="eu-north-1", anthropic_bedrock_base_url=wire.url)

    async with calling_cloud(settings, store) as caller:
        error, _ = await caller.fail(opus())

    assert (error.type, error.non_retryable) == ("ModelNotAllowed", True)
    assert "the request to Bedrock cannot be signed" in str(error)
    assert not wire.hits


@pytest.fixture
def google(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HTTPServer:
    """A service account whose tokens the double of Google's token endpoint gives out."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "agents@acme.example",
        "token_uri": httpserver.url_for("/token"),
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return httpserver


async def test_vertex_gets_the_token_of_a_service_account(google: HTTPServer, wire: Wire, store: ContentStore) -> None:
    token = {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
    google.expect_request("/token", method="POST").respond_with_json(token)
    wire.replies = [Reply(events=ANSWER)]
    settings = settings_of(
        model_provider="vertex",
        cloud_ml_region="global",
        anthropic_vertex_project_id="acme",
        anthropic_vertex_base_url=f"{wire.url}/v1",
    )
    async with calling_cloud(settings, store) as caller:
        for _ in range(2):
            turn = await caller.call(opus())
            assert turn.content.text == "High at noon."

    hit = wire.hits[0]
    path = f"/v1/projects/acme/locations/global/publishers/anthropic/models/{OPUS}:streamRawPredict"
    assert (hit.path, hit.headers["authorization"]) == (path, "Bearer ya29.token")
    assert "anthropic_version" in hit.body
    assert "model" not in hit.body
    assert len(google.log) == 1, "a token is used until it ends"


async def test_vertex_without_a_token_sends_nothing(google: HTTPServer, wire: Wire, store: ContentStore) -> None:
    refused = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    google.expect_request("/token").respond_with_json(refused, status=400)
    settings = settings_of(
        model_provider="vertex",
        cloud_ml_region="global",
        anthropic_vertex_project_id="acme",
        anthropic_vertex_base_url=f"{wire.url}/v1",
    )

    async with calling_cloud(settings, store) as caller:
        error, _ = await caller.fail(opus())

    assert error.type == "ModelNotAllowed"
    assert "the request to Vertex AI has no token: " in str(error)
    assert not wire.hits


def test_wrong_settings_are_named() -> None:
    with pytest.raises(SettingsError, match="CLOUD_ML_REGION and ANTHROPIC_VERTEX_PROJECT_ID"):
        model_client(settings_of(model_provider="vertex", cloud_ml_region="global"))


def test_the_table_knows_what_each_cloud_calls_a_model() -> None:
    bedrock = settings_of(model_provider="bedrock").model_table()
    assert bedrock.name_sent(bedrock.resolve("sonnet")) == "global.anthropic.claude-sonnet-5-5"
    assert not bedrock.spec("claude-sonnet-5-5").web_search, "Bedrock has no tools of Anthropic's servers"
    vertex = settings_of(model_provider="vertex").model_table()
    assert vertex.name_sent("claude-sonnet-5-5") == "claude-sonnet-5-5"
    assert vertex.name_sent("my-own@20260101") == "my-own@20260101"
    assert bedrock.usd("claude-sonnet-5-5", Usage(input_tokens=1_000_000)) == 2.0
