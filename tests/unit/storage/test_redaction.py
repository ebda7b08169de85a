"""No secret of this process leaves it in an error: the settings refuse what cannot be sent, and every seam redacts the rest."""

import errno
import io
import json
import logging
import os
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from outlast.cli.leaving import verdict
from outlast.client import Settings, SettingsError, data_converter, load_settings
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.redaction import SECRETS, PresentableStream, Redactor, channel_secrets, environment_secrets
from outlast.settings import learn_secrets
from outlast.storage.payload_codec import new_key
from outlast.telemetry.logs import Brief, JsonLines
from outlast.telemetry.span_redaction import Redacting
from outlast.tools.mcp.config import HttpServer, StdioServer, read_config
from outlast.tools.mcp.servers import secrets_of

KEY = "sk-ant-api03-Zq8vLx72_Hn4TbWpRc91"
PASSWORD = "c0rrect/horse b@ttery"
NAMES = [name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [*(each.upper() for each in Settings.model_fields), "OTEL_EXPORTER_OTLP_HEADERS", "TEMPORAL_API_KEY"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    for source in ("settings", "environment", "MCP servers"):
        SECRETS.learn(source, ())


@pytest.fixture
def known() -> str:
    """A key that this process knows."""
    learn_secrets(Settings(anthropic_api_key=SecretStr(KEY), _env_file=None))
    return KEY


VALUES = {
    "PAYLOAD_KEYS": new_key("1"),
    "DATABASE_URL": "postgresql://agent:hunter22@db/x",
    "SMTP_URL": "smtp://agent:hunter22@mail",
    "NOTIFY_URLS": "json://agent:hunter22@127.0.0.1/x",
    "TEAMS_WEBHOOK_URL": "https://tenant.example/workflows/of-ours/invoke?sig=hunter22",
    "TRIGGER_SECRETS": f"orders:{KEY * 2}",
}
LISTS = ("PAYLOAD_KEYS", "NOTIFY_URLS", "TRIGGER_SECRETS")
"""They may stand on several lines."""


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_stripped_of_what_surrounds_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = VALUES.get(name, KEY * 2)
    monkeypatch.setenv(name, f" \t{value}\r\n")
    assert getattr(load_settings(), name.lower()).get_secret_value() == value


@pytest.mark.parametrize("hostile", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LISTS])
def test_a_secret_with_a_control_character_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, hostile: str
) -> None:
    value = VALUES.get(name, KEY * 2)
    monkeypatch.setenv(name, value[:30] + hostile + value[30:] + "tail-of-it")
    with pytest.raises(SettingsError, match=f"^{name}: .*control character") as caught:
        load_settings()
    assert value[:12] not in str(caught.value)
    assert "tail-of-it" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("value", [f"{KEY} {KEY}", f"“{KEY}”", f"{KEY}\u00a0x"])
def test_a_key_that_a_header_cannot_carry_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", value)
    with pytest.raises(SettingsError, match=r"^ANTHROPIC_API_KEY: .*not ASCII") as caught:
        load_settings()
    assert KEY[:12] not in str(caught.value)


def test_secrets_of_libraries_are_held_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", f"{KEY}\n")
    load_settings()
    assert os.environ["TEMPORAL_API_KEY"] == KEY
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={KEY}\nx")
    with pytest.raises(SettingsError, match=r"^OTEL_EXPORTER_OTLP_HEADERS: holds a line break"):
        load_settings()


def test_a_blank_approver_secret_is_no_secret_and_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVER_SECRET", "   ")
    with pytest.raises(SettingsError, match="APPROVER_SECRET"):
        load_settings()
    monkeypatch.delenv("APPROVER_SECRET")
    monkeypatch.setenv("ANTHROPIC_API_KEY", " \n")
    assert load_settings().local


def test_secrets_are_found_however_they_are_written() -> None:
    redactor = Redactor()
    url = f"postgresql://agent:{quote(PASSWORD, safe='')}@db.example.org/sales"
    settings = Settings(
        anthropic_api_key=SecretStr(KEY),
        database_url=SecretStr(url),
        notify_urls=SecretStr(
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ mailto://joe:s3cr3t-mail@gmail.com"
        ),
        searxng_url="https://me:l0ng-enough@search.example.org",
        _env_file=None,
    )
    redactor.learn("settings", settings.secrets())
    basic = b64encode(f"agent:{PASSWORD}".encode()).decode()
    for written in (
        *(
            KEY,
            repr(f"Bearer {KEY}".encode()),
            KEY[5:14],
            f"x{KEY[-9:]}",
            quote(KEY),
            b64encode(f"{KEY}:".encode()).decode(),
        ),
        *(PASSWORD, url, f"Basic {basic}", quote(PASSWORD, safe=""), json.dumps(PASSWORD), basic[:16]),
        *("TIiajkdnlazkcOXrIdevi7FQ", "T1JJ3T3L2", "s3cr3t-mail", "https://me:l0ng-enough@search.example.org/?q=x"),
    ):
        said = redactor(f"it failed: {written}!")
        assert "[redacted " in said, written
        for secret in (KEY, PASSWORD, "TIiajkdn", "s3cr3t-m", "l0ng-eno", quote(PASSWORD, safe="")):
            assert not any(secret[at : at + 8] in said for at in range(len(secret) - 7)), said
    innocent = "postgresql at db.example.org/sales, slack, gmail.com and search.example.org do not answer: 401 --------"
    assert redactor(innocent) == innocent


@pytest.mark.parametrize("user", ["", "me:"])
def test_a_header_of_the_url_safe_alphabet_holds_no_secret(user: str) -> None:
    secret = "ab>>>cd?~~ef>>>gh?~~ij>>>kl?~~"
    redactor = Redactor()
    redactor.learn("settings", [("KEY", secret)])
    written = urlsafe_b64encode(f"{user}{secret}".encode()).decode()
    said = redactor(written)
    assert not any(written[at : at + 8] in said for at in range(len(user) + 4, len(written) - 8)), said


@pytest.mark.parametrize("secret", ["12121212", "11112222", "aaaabbbbcccc"])
def test_a_poor_password_is_a_secret_too(secret: str) -> None:
    redactor = Redactor()
    redactor.learn("settings", [("KEY", secret)])
    assert redactor(f"password {secret}!") == "password [redacted KEY]!"
    assert redactor("-" * 20) == "-" * 20


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("GIT_URL", "https://ghp_0123456789abcdef@git.example.org/x", "ghp_0123456789abcdef"),
        ("GIT_URL", "https://ghp_0123456789abcdef:x-oauth-basic@git.example.org/x", "ghp_0123456789abcdef"),
        ("SENTRY_DSN", "https://0123456789abcdef@errors.example.org/2", "0123456789abcdef"),
        ("DATABASE_URL", "postgresql://agent:p#ss/w0rd!long@db.example.org/sales", "p#ss/w0rd!long"),
        ("PGPASSWORD", "correct-horse", "correct-horse"),
    ],
)
def test_an_environment_s_credentials_are_found(name: str, value: str, secret: str) -> None:
    assert secret in [found for _, found in environment_secrets({name: value})]
    for plain in ("https://h.example.org:8080/@scope/package", "postgresql://agent_user@db.example.org/sales"):
        assert environment_secrets({"PLAIN_URL": plain}) == []
    sentence = "see [ftp://nowhere cannot be opened]@group (call)"
    assert environment_secrets({"SAID": sentence}) == [], "a sentence holds an address, and no password"


def test_what_mcp_servers_are_given_is_secret_and_what_is_ordinary_is_not(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
    servers: dict[str, HttpServer | StdioServer] = {
        "web": HttpServer(url="https://x:pa55word-x@h.example/mcp", headers=headers),
        "own": StdioServer(command="npx", env={"API_TOKEN": "tok_9f8e7d6c", "NODE_ENV": "production", "KEY_FILE": "/etc/keys/a"}),
    }  # fmt: skip
    redactor = Redactor()
    redactor.learn("MCP servers", secrets_of(servers))
    assert redactor(f"{KEY} tok_9f8e7d6c pa55word-x") == (
        "[redacted mcpServers.web.headers.Authorization] [redacted mcpServers.own.env.API_TOKEN] [redacted mcpServers.web.url]"
    )
    assert redactor("application/json production /etc/keys/a") == "application/json production /etc/keys/a"
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"web": {"url": "https://h/", "headers": {"Authorization": "Bearer ${KEY}"}}}}')
    web = read_config(file, {"KEY": f"{KEY}\n"}).servers["web"]
    assert isinstance(web, HttpServer)
    assert web.headers["Authorization"] == f"Bearer {KEY}"
    wrong = read_config(file, {"KEY": f"{KEY[:9]}\n{KEY[9:]}"}).wrong["web"]
    assert "Authorization holds a line break" in wrong
    assert KEY[:9] not in wrong


@pytest.mark.parametrize("encrypts", [False, True])
async def test_a_failure_takes_no_secret_into_history(known: str, encrypts: bool) -> None:
    """Message, details, stack and all causes, also of exceptions of libraries that this process raised and nobody expected."""
    converter = data_converter(100_000, SecretStr(new_key("1")) if encrypts else None)
    try:
        try:
            raise ValueError(f"Illegal header value b'Bearer {known}'")
        except ValueError as cause:
            raise ApplicationError(f"call failed: {cause}", {"seen": [known, "ü"]}, type="X") from cause
    except ApplicationError as error:
        failure = Failure()
        await converter.encode_failure(error, failure)
    if encrypts:
        assert failure.message == "Encoded failure"
        await converter.decode_failure(failure)  # decrypts in place
    clear = await data_converter(100_000).decode_failure(failure) if not encrypts else None
    assert known not in str(failure)
    assert "Zq8vLx72" not in str(failure)
    if clear is not None:
        assert isinstance(clear, ApplicationError)
        assert clear.message.startswith("call failed: Illegal header value b'Bearer [redacted ANTHROPIC_API_KEY]")
        assert clear.details == ({"seen": ["[redacted ANTHROPIC_API_KEY]", "ü"]},)


def test_errors_are_made_and_told_without_it(known: str) -> None:
    error = non_retryable(ErrorKind.UNEXPECTED, "x" * 1990 + known)
    assert "sk-ant" not in error.message  # a cut through it leaves no part of it
    assert known not in text_of(ValueError(f"b'{known}'"))


@pytest.mark.parametrize("formatter", [Brief("%(message)s"), JsonLines()], ids=["text", "JSON"])
def test_logs_hold_neither_secrets_nor_escape_sequences(known: str, formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"\x1b[2J{known}\u202e")
    except ValueError:
        record = logging.LogRecord("x", 40, __file__, 1, "to %s \x9b31m", (known,), sys.exc_info())
    line = formatter.format(record)
    assert known not in line
    assert line.count("[redacted ANTHROPIC_API_KEY]") == 2
    assert not set(line) & set("\x1b\x9b\u202e")


def test_spans_hold_no_secret(known: str) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Redacting(kept)))
    tracer = provider.get_tracer("x")
    with (
        pytest.raises(ValueError, match="sk-"),
        tracer.start_as_current_span("call", attributes={"n": 1, "url": f"x?{known}"}),
    ):
        raise ValueError(known)
    with tracer.start_as_current_span("fine", attributes={"list": ("a", "b")}):
        pass
    told, fine = kept.get_finished_spans()
    assert known not in told.to_json()
    assert "[redacted ANTHROPIC_API_KEY]" in (told.status.description or "")
    assert dict(told.attributes or {})["n"] == 1
    assert dict(fine.attributes or {}) == {"list": ("a", "b")}


def test_the_screen_shows_none_whoever_prints(known: str) -> None:
    raw = io.StringIO()
    print(f"a\r\nb \x1b]52;c;x\x07 {known} ✓ é", file=PresentableStream(raw))
    assert raw.getvalue() == "a\nb �]52;c;x� [redacted ANTHROPIC_API_KEY] ✓ é\n"
    code, said = verdict(RuntimeError(known))
    print(said, file=PresentableStream(raw))
    assert known not in raw.getvalue()
    assert code == 1


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_is_lost_where_it_may_be_and_an_error_elsewhere() -> None:
    print("stopping", file=PresentableStream(Full(), may_lose=True), flush=True)
    with pytest.raises(OSError, match="No space"):
        print("a result", file=PresentableStream(Full()))


def test_the_sdk_s_own_word_for_a_bad_header_is_redacted() -> None:
    """Before it was refused at start, this is what stood in history: h11's error with the whole key."""
    import h11

    value = f"{KEY[:12]}\n{KEY[12:]}"
    SECRETS.learn("settings", [("ANTHROPIC_API_KEY", value)])
    with pytest.raises(h11.LocalProtocolError) as caught:
        h11.Request(method="GET", target="/", headers=[("host", "x"), ("authorization", f"Bearer {value}")])
    assert KEY[12:] in str(caught.value)
    said = text_of(caught.value)
    assert "[redacted ANTHROPIC_API_KEY]" in said
    assert not any(KEY[at : at + 8] in said for at in range(len(KEY) - 7))


def test_learning_anew_forgets_what_is_not_there_any_more() -> None:
    redactor = Redactor()
    redactor.learn("settings", [("A", "first-value-of-it")])
    redactor.learn("settings", [("A", "another-one-now")])
    assert redactor("first-value-of-it another-one-now") == "first-value-of-it [redacted A]"


def test_every_part_is_found_wherever_it_stands() -> None:
    redactor = Redactor()
    redactor.learn("settings", [("K", KEY)])
    for at in range(len(KEY) - 7):
        for before in range(6):
            part = KEY[at : at + 8]
            assert redactor(f"{'é' * before}{part}é") == f"{'é' * before}[redacted K]é"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "chat.example.org"])
def test_the_host_of_a_channel_is_no_secret_and_its_token_is(host: str) -> None:
    found = {value for _, value in channel_secrets("NOTIFY_URLS", f"json://{host}:8080/a-token-of-theirs")}
    assert host not in found
    assert "a-token-of-theirs" in found
