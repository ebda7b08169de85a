"""Settings come from the environment and `.env`, and whatever is wrong is named by its variable."""

import asyncio
import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import open_store
from outlast.client import (
    LOCAL_MODEL,
    ServerUnavailableError,
    Settings,
    SettingsError,
    address_of,
    connect,
    load_settings,
    running_stack,
)
from outlast.command_line import CommandLine
from outlast.llm.base import ModelSpec, ModelTable
from outlast.storage.activities import ContentStore
from outlast.testing import scripted
from outlast.tools.standard.workspace import check_apart
from outlast.worker.registry import Registry, protected, tools_of
from tests.real_process import PROJECT

VARIABLES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*VARIABLES, *(name for name in os.environ if name.startswith("TEMPORAL_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "no-profile.toml"))
    monkeypatch.chdir(tmp_path)


def test_nothing_set_means_the_embedded_default(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.local
    assert settings.store_url == (tmp_path / ".agentic" / "content").as_uri()
    table = settings.model_table()
    assert {table.resolve(name) for name in ("opus", "sonnet", "haiku", "inherit", "anything")} == {LOCAL_MODEL}


def test_no_group_hides_a_check_of_another() -> None:
    """Of two validators of one name pydantic keeps one, and says nothing of the other."""
    groups = [group for group in Settings.__mro__ if group.__module__.startswith("outlast.settings.")]
    checks = [name for group in groups for name in vars(group)["__pydantic_decorators__"].field_validators]
    own = [name for group in groups for name, value in vars(group).items() if name in checks and callable(value)]
    assert len(own) == len(set(own))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CONTENT_INLINE_BYTES", "-1", "greater than or equal to 0"),
        ("PAYLOAD_LIMIT_BYTES", "9000000", "less than or equal to 2097152"),
        ("MAX_DOCUMENT_BYTES", "many", "valid integer"),
        ("RETRY_AFTER_CAP", "0", "greater than 0"),
        ("HEARTBEAT_TIMEOUT", "0.1", "greater than or equal to 0.5"),
        ("MODEL_READ_TIMEOUT", "soon", "valid number"),
        ("SHUTDOWN_GRACE", "-1", "greater than or equal to 0"),
        ("TEMPORAL_DEPLOYMENT_NAME", "my.agents", "holds no '.', ':' or blank"),
        ("TEMPORAL_WORKER_BUILD_ID", "1.0", "needs the deployment's name beside it"),
        ("MODEL_ALIASES", "opus=my-model", 'must be JSON such as {"opus": "my-model"}'),
        ("MODEL_ALIASES", '["opus"]', "valid dictionary"),
        ("MODEL_ALIASES", '{"opus": 5}', "valid string"),
        ("MODEL_CLASSES", "opus", 'must be JSON such as {"opus": {"models"'),
        ("MODEL_CLASSES", '{"opus": 5}', "opus: Input should be a valid dictionary"),
        ("CONTENT_STORE_URL", "texts/here", "s3://bucket/prefix or file:///directory"),
        ("CONTENT_STORE_URL", "/texts/here", "s3://bucket/prefix or file:///directory"),
        ("CONTENT_STORE_URL", "file://texts/here", "three slashes"),
        ("ANTHROPIC_BASE_URL", "localhost:8080", "must begin with http:// or https://"),
        ("WEB_UI_URL", "localhost:8233", "must begin with http:// or https://"),
        ("SEARXNG_URL", "localhost:8080", "must begin with http:// or https://"),
        ("SERVE_TOKENS", "web:everything:123", "token 1 must be NAME:SCOPES:SHA256"),
        ("SERVE_ORIGINS", "app.example.org", "must begin with http:// or https://"),
        ("WEBHOOK_URLS", "https://hooks.example.org,example.org", "must begin with http:// or https://"),
        ("WEBHOOK_URLS", "https://ada:pass@example.org/", "address 1 must not hold a name or password"),
        ("WEBHOOK_URLS", "https://", "address 1 must be an address such as"),
        ("WEBHOOK_URLS", "https://example.org:99999/", "address 1 Port out of range"),
        ("SERVE_ORIGINS", "https://example.org/app", "has a path; a browser says only such as"),
        ("GATE_APPROVERS", " , ", "names nobody; leave it out for anybody"),
        ("WEBHOOK_SECRET", "short", "is too short; write at least 32 characters"),
        ("SLACK_SIGNING_SECRET", "short", "is too short; write at least 16 characters"),
        ("GATE_DEADLINE", "366d", "366d is too long; write at most 365d"),
        ("TRIGGER_SECRETS", "ticket:a secret of sixteen,issue:short", "secret 2 must be NAME:SECRET"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{variable}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            '{"a": {"models": ["opus"]}, "b": {"models": ["claude-opus-5-5"]}}',
            "claude-opus-5-5 is in two classes, a and b",
        ),
        ('{"a b": {}}', "classes.a b.[key] String should match pattern"),
        ('{"opus": {"models": ["opus"], "per_second": 0}}', "classes.opus.per_second Input should be greater than 0"),
        ('{"opus": {"model": "opus"}}', "classes.opus.model Extra inputs are not permitted"),
        ('{"none": {}}', "a class cannot be named none"),
    ],
)
def test_classes_that_do_not_fit_the_model_table_are_refused(
    monkeypatch: pytest.MonkeyPatch, classes: str, said: str
) -> None:
    monkeypatch.setenv("MODEL_CLASSES", classes)
    with pytest.raises(SettingsError, match=r"MODEL_CLASSES and MODEL_ALIASES, with .*models\.toml: ") as caught:
        load_settings().model_table()
    assert said in str(caught.value)


def test_a_wrong_token_is_told_the_command_of_this_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.command_line._current", CommandLine("python starter.py"))
    monkeypatch.setenv("SERVE_TOKENS", "garbage")
    with pytest.raises(SettingsError, match=r"as 'python starter.py serve-token NAME' prints it"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"content_store_url": "ftp://x"},
            "CONTENT_STORE_URL=ftp://x cannot be opened: there is no such kind of store; write",
        ),
        ({"content_store_url": "file:///proc/x"}, "CONTENT_STORE_URL=file:///proc/x cannot be opened"),
        ({"state_dir": Path("/proc/x")}, "STATE_DIR=/proc/x cannot be opened"),
    ],
)
def test_a_store_that_cannot_be_opened_names_the_setting_that_says_where_it_is(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(LeavingError, match=re.escape(said)):
        open_store(Settings(**given, _env_file=None))
    with pytest.raises(SettingsError, match=re.escape(said)):
        Registry(Settings(**given, _env_file=None), scripted("x"))


async def _answers_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(("variable", "value"), [("TEMPORAL_API_KEY", "wrong"), ("TEMPORAL_TLS", "true")])
async def test_what_switches_tls_on_is_named_where_the_server_speaks_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str
) -> None:
    server = await asyncio.start_server(_answers_in_clear, "127.0.0.1", 0)
    async with server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        monkeypatch.setenv(variable, value)
        with pytest.raises(SettingsError, match=f"{variable}: it switches TLS on, and the server at .* speaks none"):
            await connect(Settings(state_dir=tmp_path))


async def test_a_host_that_is_not_known_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = r"answers at nonsense\.invalid \(its host is not known, and no port is named: write host:port\)"
    monkeypatch.setenv("TEMPORAL_ADDRESS", "nonsense.invalid")
    with pytest.raises(ServerUnavailableError, match=said):
        await connect(Settings(state_dir=tmp_path))


def test_every_wrong_variable_is_named_and_no_secret_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    monkeypatch.setenv("RETRY_AFTER_CAP", "x")
    monkeypatch.setenv("SHUTDOWN_GRACE", "y")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "RETRY_AFTER_CAP" in str(caught.value)
    assert "SHUTDOWN_GRACE" in str(caught.value)
    monkeypatch.delenv("RETRY_AFTER_CAP")
    monkeypatch.delenv("SHUTDOWN_GRACE")
    assert "sk-secret" not in f"{caught.value!r} {load_settings()!r}"


@pytest.mark.parametrize("variable", VARIABLES)
def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    default = load_settings()
    monkeypatch.setenv(variable, "")
    assert load_settings() == default


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "az://box/x", "file:///var/a%20b", "memory:///"])
def test_store_addresses_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONTENT_STORE_URL", url)
    assert load_settings().store_url == url


def test_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://localhost:8080")
    assert not load_settings().local
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    assert not load_settings().local
    assert load_settings().model_table().only is None


def test_an_alias_is_overridden_and_may_name_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    plain = load_settings().model_table()
    monkeypatch.setenv("MODEL_ALIASES", '{"opus": "sonnet", "haiku": "mine", "a": "b", "b": "a"}')
    table = load_settings().model_table()
    assert table.resolve("opus") == plain.resolve("sonnet") != plain.resolve("opus")
    assert (table.resolve("haiku"), table.resolve("claude-x")) == ("mine", "claude-x")
    assert table.resolve("a") in ("a", "b")  # a circle ends


def test_the_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# comment\nTASK_QUEUE=from-file\nRETRY_AFTER_CAP=5\nSHUTDOWN_GRACE=\nSOMETHING_ELSE=1\n"
        'MODEL_ALIASES={"opus": "mine"}\n'
    )
    monkeypatch.setenv("RETRY_AFTER_CAP", "7")
    settings = load_settings()
    assert (settings.task_queue, settings.retry_after_cap, settings.shutdown_grace) == ("from-file", 7, 120)
    assert settings.model_aliases == {"opus": "mine"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("[models.m]\nprice = 5", "price"),
        ("[models.m]\ninput = 'much'", "valid number"),
        ("models = [", "Invalid"),
        ("\xff", "utf-8"),
    ],
)
def test_a_wrong_table_of_models_names_the_setting(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "models.toml"
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=f"^MODELS_FILE={file} cannot be read: ") as caught:
        Settings(models_file=file).model_table()
    assert said in str(caught.value)


def test_our_own_table_is_whole() -> None:
    table = Settings(anthropic_api_key=None, anthropic_base_url="http://x").model_table()
    for name in ("opus", "sonnet", "haiku", "inherit"):
        spec = table.models[table.resolve(name)]
        assert spec.input < spec.output
        assert spec.cache_read < spec.input < spec.cache_write
        assert spec.thinking < spec.max_output <= spec.window
    local = table.models[LOCAL_MODEL]
    assert (local.window, local.input, local.output) == (4096, 0, 0)
    assert local.temperature
    assert local.forced_tools
    assert local.max_output < local.window
    assert not local.continuations, "a small model that meets its limit rambles on"
    assert ModelTable().spec("unknown") == ModelSpec()


def test_a_stack_runs_only_while_its_lock_is_held(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert running_stack(settings) is None
    (tmp_path / "up.json").write_text(json.dumps({"address": "127.0.0.1:7999", "model_url": "http://127.0.0.1:8"}))
    assert running_stack(settings) is None
    assert address_of(settings)[0] == "localhost:7233"
    with (tmp_path / "up.lock").open("w") as lock:
        assert running_stack(settings) is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert running_stack(settings) == {"address": "127.0.0.1:7999", "model_url": "http://127.0.0.1:8"}
        assert address_of(settings)[0] == "127.0.0.1:7999"
    assert running_stack(settings) is None


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cluster.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "prod")
    address, config = address_of(Settings(state_dir=tmp_path))
    assert (address, config["namespace"]) == ("cluster.example:7233", "prod")


@pytest.mark.parametrize(
    ("workspace", "what"),
    [
        (PROJECT, "holds the project's own "),
        (PROJECT / "workflows", f"is the project's own {PROJECT / 'workflows'}"),
        (PROJECT / "activities" / "toolbox", f"lies within the project's own {PROJECT / 'activities'}"),
        (PROJECT.parent, "holds the project's own "),
        (PROJECT / ".git", f"the project's own {PROJECT / '.git'}"),
        ("state", "is the state directory (STATE_DIR)"),
        ("state/tour", "lies within the state directory (STATE_DIR)"),
        ("state/workspace/../content", "lies within the state directory (STATE_DIR)"),
        ("mine", "is the agents (AGENTS_DIR)"),
        ("mine/more", "lies within the agents (AGENTS_DIR)"),
        (".", "holds the agents (AGENTS_DIR)"),
        ("cwd", "holds the settings"),
        ("servers", "holds the MCP servers"),
        ("link-to-code", f"lies within the project's own {PROJECT / 'workflows'}"),
        ("link-to-folder/state", "is the state directory (STATE_DIR)"),
    ],
)
def test_no_workspace_is_served_that_agents_could_change_the_worker_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Path | str, what: str
) -> None:
    for folder in ("state", "mine", "cwd", "servers"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    (tmp_path / "link-to-code").symlink_to(PROJECT / "workflows" / "patterns")
    (tmp_path / "link-to-folder").symlink_to(tmp_path)
    settings = Settings(
        state_dir=tmp_path / "state",
        agents_dir=tmp_path / "mine",
        mcp_config=tmp_path / "servers" / "all.json",
        workspace_dir=tmp_path / workspace,
        _env_file=None,
    )
    with pytest.raises(
        ValueError, match=r"WORKSPACE_DIR=.*; name a folder of its own, for instance .*state/workspace"
    ) as caught:
        tools_of(settings, ContentStore.open(settings.store_url))
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "workspace", [None, "state/workspace", "state/workspace/inner", "own", PROJECT / ".agentic" / "workspace"]
)
def test_a_workspace_apart_from_all_that_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Path | str | None
) -> None:
    """Also the demo's own, although its state directory lies in the project."""
    monkeypatch.chdir(tmp_path)
    state = PROJECT / ".agentic" if isinstance(workspace, Path) else tmp_path / "state"
    chosen = tmp_path / workspace if workspace else None
    settings = Settings(state_dir=state, workspace_dir=chosen, _env_file=None)
    check_apart(settings.workspace, protected(settings), state)
