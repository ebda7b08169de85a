"""What a run records of its agents: complete, resolved, and unchanged by later edits of the files."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.agents import catalog_activities
from outlast.agents.catalog_activities import CatalogActivities
from outlast.agents.files import read_agents
from outlast.client import LOCAL_MODEL, Settings
from outlast.contracts import Catalog, CatalogRequest
from outlast.errors import ErrorKind
from outlast.llm.base import ModelTable
from outlast.storage.activities import ContentStore

TABLE = ModelTable.model_validate(
    {
        "aliases": {"sonnet": "big", "inherit": "big", "haiku": "small"},
        "models": {
            "big": {"window": 1000, "max_output": 900, "thinking": 300, "continuations": 5},
            "small": {"window": 500, "max_output": 50},
        },
    }
)


def write(directory: Path, name: str, *fields: str) -> None:
    directory.mkdir(exist_ok=True)
    text = "\n".join(["---", f"name: {name}", f"description: Helps as {name}.", *fields, "---", f"You are {name}.", ""])
    (directory / f"{name}.md").write_text(text)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    agents = tmp_path / "agents"
    write(agents, "writer", "model: sonnet", "fallback: helper", "max_tokens: 100", "timeout: 7.5", "tools: Read, Grep")
    write(agents, "helper", "model: haiku", "fallback: last", "temperature: 0.5")
    write(agents, "last", "model: own-model")
    write(agents, "other")
    return agents


async def read(directory: Path, store: ContentStore, *names: str, table: ModelTable = TABLE) -> Catalog:
    activities = CatalogActivities(directory, store, table, heartbeat=2.5)
    catalog: Catalog = await ActivityEnvironment().run(activities.read_catalog, CatalogRequest(agents=names))
    return catalog


async def test_a_card_says_all_a_run_needs(directory: Path, store: ContentStore) -> None:
    catalog = await read(directory, store)
    assert [card.name for card in catalog.agents] == ["helper", "last", "other", "writer"]
    assert catalog.heartbeat == 2.5
    writer = catalog.get("writer")
    assert writer is not None
    assert (writer.description, writer.model, writer.window) == ("Helps as writer.", "big", 1000)
    assert (writer.max_tokens, writer.timeout, writer.continuations) == (400, 7.5, 5)  # with room to think
    assert (writer.fallbacks, writer.tools, writer.attempts) == (("helper",), ("Read", "Grep"), 3)
    assert await store.text(writer.system) == "You are writer."
    cards = {card.name: card for card in catalog.agents}
    helper, other, last = cards["helper"], cards["other"], cards["last"]
    assert (helper.model, helper.temperature, last.model, last.window) == ("small", 0.5, "own-model", 200_000)
    assert (helper.max_tokens, other.max_tokens) == (50, 900)  # never more than the model gives


async def test_a_card_names_the_class_of_its_model_by_alias_or_name(directory: Path, store: ContentStore) -> None:
    classes = {"dear": {"models": ["sonnet"]}, "own": {"models": ["own-model"], "per_second": 2}}
    table = ModelTable.model_validate({**TABLE.model_dump(), "classes": classes})
    cards = (await read(directory, store, table=table)).agents
    # `other` means the same model by another alias.
    assert {card.name: card.model_class for card in cards} == {
        "helper": "",
        "last": "own",
        "other": "dear",
        "writer": "dear",
    }
    local = table.model_copy(update={"only": "local"})
    assert [card.model_class for card in (await read(directory, store, "writer", table=local)).agents][-1] == "dear"


async def test_a_run_that_needs_few_agents_records_them_and_their_fallbacks(
    directory: Path, store: ContentStore
) -> None:
    assert [card.name for card in (await read(directory, store, "writer")).agents] == ["helper", "last", "writer"]
    assert [card.name for card in (await read(directory, store, "last", "other")).agents] == ["last", "other"]


async def test_an_edit_changes_no_run_that_has_its_catalog(directory: Path, store: ContentStore) -> None:
    recorded = (await read(directory, store, "last")).agents[0]
    (directory / "last.md").write_text("---\nname: last\ndescription: d\n---\nYou are another.\n")
    assert await store.text(recorded.system) == "You are last."
    assert await store.text((await read(directory, store, "last")).agents[0].system) == "You are another."


async def test_an_override_in_the_environment_moves_every_agent(
    directory: Path, store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_ALIASES", '{"sonnet": "my-model", "inherit": "haiku"}')
    table = Settings(anthropic_base_url="http://localhost:1", _env_file=None).model_table()
    models = {card.name: card.model for card in (await read(directory, store, table=table)).agents}
    haiku = table.aliases["haiku"]
    assert models == {"writer": "my-model", "helper": haiku, "other": haiku, "last": "own-model"}


async def test_without_a_key_one_local_model_answers_all(
    directory: Path, store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    cards = (await read(directory, store, table=Settings(_env_file=None).model_table())).agents
    assert {(card.model, card.window, card.continuations) for card in cards} == {(LOCAL_MODEL, 4096, 0)}
    assert {card.max_tokens for card in cards} == {100, 128}


async def test_a_bad_file_stops_only_the_runs_that_name_its_agent(directory: Path, store: ContentStore) -> None:
    write(directory, "bad", "max_tokens: x", "temperature: 7")
    write(directory, "lost", "fallback: nobody")
    write(directory, "leaning", "fallback: [bad, last]")
    (directory / "README.md").write_text("# The team\n")
    catalog = await read(directory, store)
    assert [card.name for card in catalog.agents] == ["helper", "last", "leaning", "other", "writer"]
    assert {name: said.split(":")[0] for name, said in catalog.unread.items()} == {
        "bad": str(directory / "bad.md"),
        "lost": str(directory / "lost.md"),
    }
    assert [card.name for card in (await read(directory, store, "last")).agents] == ["last"]
    leaning = (await read(directory, store, "leaning")).get("leaning")
    assert leaning is not None
    assert leaning.fallbacks == ("last",)  # the one whose file cannot be read is left out
    for name, said in (("bad", r"bad\.md:4: max_tokens: "), ("lost", r"lost\.md:4: fallback 'nobody' is not an agent")):
        with pytest.raises(ApplicationError, match=said) as caught:
            await read(directory, store, "last", name)
        assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.CATALOG_INVALID, True)
    assert len(caught.value.message.splitlines()) == 1
    with pytest.raises(ApplicationError) as caught:
        await read(directory, store, "Bad")
    assert len(caught.value.message.splitlines()) == 2  # all that is wrong with the file


async def test_a_bad_file_whose_name_is_not_utf_8_is_told_in_text(directory: Path, store: ContentStore) -> None:
    (directory / "b\udcfcro.md").write_text("---\nname: office\nmodel: 5\n---\nYou.\n")
    catalog = await read(directory, store)
    assert "b\\xfcro.md:" in catalog.unread["office"]
    assert catalog.model_dump_json().encode()


async def test_where_no_agent_is_left_every_problem_is_told(directory: Path, store: ContentStore) -> None:
    for name in ("writer", "helper", "last", "other"):
        (directory / f"{name}.md").write_text("# Notes\n")
    with pytest.raises(ApplicationError) as caught:
        await read(directory, store)
    assert caught.value.type == ErrorKind.CATALOG_INVALID
    assert len(caught.value.message.splitlines()) == 4


async def test_files_of_an_editor_are_no_agents_and_a_lost_file_is_told(directory: Path, store: ContentStore) -> None:
    (directory / ".#writer.md").symlink_to(directory / "somebody@somewhere")
    (directory / "._writer.md").write_bytes(b"\x00\x05\xff")
    assert len((await read(directory, store)).agents) == 4
    (directory / "gone.md").symlink_to(directory / "nowhere")
    assert len((await read(directory, store)).agents) == 4
    with pytest.raises(ApplicationError, match=r"gone\.md:1: cannot be read") as caught:
        await read(directory, store, "gone")
    assert caught.value.type == ErrorKind.CATALOG_INVALID


async def test_an_agent_is_found_by_its_name_as_people_write_it(directory: Path, store: ContentStore) -> None:
    (directory / "team").mkdir()
    text = (
        "---\nname: Frontend Developer\ndescription: d\ntools: *\ndisallowedTools: Write\nfallback: Last\n---\nYou.\n"
    )
    (directory / "team" / "x.md").write_text(text)
    card = (await read(directory, store, "Frontend Developer")).get("frontend-developer")
    assert card is not None
    assert (card.tools, card.without, card.fallbacks) == (("*",), ("Write",), ("last",))


async def test_hundreds_of_agents_fit_into_a_history(tmp_path: Path, store: ContentStore) -> None:
    for number in range(400):
        write(tmp_path / "many", f"agent-{number:03}", f"color: {'x' * 50}")
        path = tmp_path / "many" / f"agent-{number:03}.md"
        path.write_text(path.read_text().replace("Helps as", "Helps, for example, " + "with one thing, " * 200 + "as"))
    catalog = await read(tmp_path / "many", store)
    assert len(catalog.agents) == 400
    assert len(catalog.model_dump_json()) < 256 * 1024
    assert all(card.description.startswith("Helps, for example") for card in catalog.agents)
    one = (await read(tmp_path / "many", store, "agent-007")).agents[0]
    assert len(one.description) == 1000


async def test_names_that_nobody_has_can_be_left_out(directory: Path, store: ContentStore) -> None:
    activities = CatalogActivities(directory, store, TABLE, heartbeat=2.5)
    request = CatalogRequest(agents=("last", "nobody"), known_only=True)
    catalog: Catalog = await ActivityEnvironment().run(activities.read_catalog, request)
    assert ([card.name for card in catalog.agents], catalog.partial) == (["last"], True)


async def test_one_reader_sees_every_change_at_once(directory: Path, store: ContentStore) -> None:
    activities = CatalogActivities(directory, store, TABLE, heartbeat=2.5)

    async def descriptions() -> list[str]:
        catalog: Catalog = await ActivityEnvironment().run(activities.read_catalog, CatalogRequest(agents=("last",)))
        return [card.description for card in catalog.agents]

    assert await descriptions() == await descriptions() == ["Helps as last."]
    (directory / "last.md").write_text("---\nname: last\ndescription: Helps no more.\n---\nYou are last.\n")
    assert await descriptions() == ["Helps no more."]
    (directory / "last.md").rename(directory / "first.md")
    assert await descriptions() == ["Helps no more."]
    (directory / "first.md").unlink()
    with pytest.raises(ApplicationError, match="no agent named last; there are other, writer"):
        await descriptions()


async def test_files_are_read_and_prompts_written_once_however_many_runs_ask(
    directory: Path, store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_files, kept = [], []
    put = store.put

    def reading(where: Path, defaults: Path | None) -> Any:
        read_files.append(where)
        return read_agents(where, defaults)

    async def counted(data: bytes) -> str:
        kept.append(data)
        return await put(data)

    monkeypatch.setattr(store, "put", counted)
    monkeypatch.setattr(catalog_activities, "read_agents", reading)
    activities, env = CatalogActivities(directory, store, TABLE, heartbeat=2.5), ActivityEnvironment()
    for agents in [(), (), ("writer",), ("last", "other"), ()]:
        await env.run(activities.read_catalog, CatalogRequest(agents=agents))
    assert (len(read_files), len(kept)) == (1, 4)
    monkeypatch.setattr(catalog_activities, "CACHED_SECONDS", 0.0)
    write(directory, "fifth")
    await env.run(activities.read_catalog, CatalogRequest())
    assert (len(read_files), len(kept)) == (2, 4 + 5)
    await env.run(activities.read_catalog, CatalogRequest())
    assert (len(read_files), len(kept)) == (2, 4 + 5 + 5)  # a store may have expired them


async def test_an_agent_that_is_not_there_is_told_with_those_that_are(directory: Path, store: ContentStore) -> None:
    with pytest.raises(ApplicationError) as caught:
        await read(directory, store, "writer", "painter")
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.UNKNOWN_AGENT, True)
    assert caught.value.message == "no agent named painter; there are helper, last, other, writer"
