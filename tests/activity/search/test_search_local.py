"""Local documents: found by their words in every format, indexed once, kept up to date, safe from query syntax."""

import asyncio
import resource
import shutil
import sqlite3
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.search.sources.local import LocalSource
from outlast.errors import ErrorKind, kind_of
from tests.document_files import pdf
from tests.real_process import PROJECT

LIBRARY = PROJECT / "samples" / "library"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "library of ünits"
    made.mkdir()
    return made


@pytest.fixture
def local(folder: Path, tmp_path: Path) -> LocalSource:
    return LocalSource(folder, tmp_path / "state", 100_000)


async def found(source: LocalSource, query: str) -> list[str]:
    return [hit.url for hit in (await source.search(query, 5)).hits]


async def test_the_samples_answer_questions_in_plain_words(tmp_path: Path) -> None:
    samples = LocalSource(LIBRARY, tmp_path, 1_000_000)
    assert 6 <= len(list(LIBRARY.iterdir())) <= 8
    for question, first in {
        "How efficient are heat pumps in winter?": "heat-pumps.md",
        "What is event sourcing good for?": "event-sourcing.md",
        "Does sleeping help memory?": "sleep-and-memory.md",
        "home batteries for solar power": "battery-storage.html",
        "Are messages delivered exactly once?": "message-queues.txt",
        "Why are there spring tides?": "tides.md",
    }.items():
        assert (await found(samples, question))[0] == first, question
    hit = (await samples.search("heat pump", 1)).hits[0]
    assert hit.title == "Heat pumps: how efficient are they?"
    assert "coefficient of performance" in hit.text


async def test_every_format_is_found_and_other_files_are_not(folder: Path, local: LocalSource) -> None:
    (folder / "a.md").write_text("# Notes\n\nThe ferry waits.")
    (folder / "b.html").write_text("<html><body><p>A ferry of the night.</p></body></html>")
    (folder / "deep").mkdir()
    (folder / "deep" / "c.pdf").write_bytes(pdf("The ferry sails at dawn, and the harbour is quiet."))
    shutil.copy(PROJECT / "samples" / "documents" / "legal-studio-lease.docx", folder / "d.docx")
    (folder / "e.py").write_text("ferry = 1")
    (folder / ".hidden.md").write_text("ferry")
    assert sorted(await found(local, "ferry")) == ["a.md", "b.html", "deep/c.pdf"]
    assert await found(local, "landlord") == ["d.docx"]


async def test_changed_new_and_deleted_files_are_noticed_and_others_are_not_read_again(
    folder: Path, local: LocalSource, tmp_path: Path
) -> None:
    for name in ("kept", "changed", "deleted"):
        (folder / f"{name}.md").write_text("old ferry")
    assert len(await found(local, "ferry")) == 3
    before = rows(tmp_path)
    (folder / "changed.md").write_text("a new lighthouse")
    (folder / "deleted.md").unlink()
    (folder / "new.md").write_text("another ferry")
    assert sorted(await found(local, "ferry")) == ["kept.md", "new.md"]
    assert await found(local, "lighthouse") == ["changed.md"]
    after = rows(tmp_path)
    assert after["kept.md"] == before["kept.md"]
    assert set(after) == {"kept.md", "changed.md", "new.md"}


def rows(state: Path) -> dict[str, int]:
    """Return the row of each document in the index; one that is read again gets another."""
    (file,) = (state / "state").glob("*.sqlite")
    database = sqlite3.connect(file)
    try:
        return dict(database.execute("SELECT path, rowid FROM passages"))
    finally:
        database.close()


@pytest.mark.parametrize(
    "query", ['ferry" OR "', "ferry AND", "NEAR(ferry", "body: ferry*", "-ferry ^ {x}", "ferry\0\n'"]
)
async def test_no_query_is_syntax(folder: Path, local: LocalSource, query: str) -> None:
    (folder / "a.md").write_text("The ferry waits.")
    assert await found(local, query) == ["a.md"]


async def test_a_query_without_words_finds_nothing(folder: Path, local: LocalSource) -> None:
    (folder / "a.md").write_text("The ferry waits.")
    assert await found(local, '"?*"') == []


async def test_files_that_cannot_be_read_are_notes(folder: Path, local: LocalSource) -> None:
    (folder / "a.md").write_text("The ferry waits.")
    (folder / "broken.docx").write_bytes(b"PK\x03\x04 broken")
    (folder / "huge.txt").write_text("ferry " * 20_000)
    for number in range(3):
        (folder / f"empty{number}.txt").write_text(" ")
    answered = await local.search("ferry", 5)
    assert [hit.url for hit in answered.hits] == ["a.md"]
    assert answered.notes[0].startswith("not searched: broken.docx: broken.docx is damaged")
    assert answered.notes[-1] == "not searched: 2 more files"
    assert (await local.search("ferry", 5)).notes == answered.notes


async def test_links_out_of_the_folder_are_left_alone(folder: Path, local: LocalSource, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("The ferry of secrets.")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "lost.md").symlink_to(tmp_path / "nowhere.md")
    assert await found(local, "ferry") == []


async def test_a_folder_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError, match="LIBRARY_DIR") as caught:
        await LocalSource(tmp_path / "nowhere", tmp_path, 1).search("ferry", 5)
    assert kind_of(caught.value) is ErrorKind.SOURCE_NOT_CONFIGURED


async def test_a_damaged_index_is_made_anew(folder: Path, local: LocalSource, tmp_path: Path) -> None:
    (folder / "a.md").write_text("The ferry waits.")
    assert await found(local, "ferry") == ["a.md"]
    (file,) = (tmp_path / "state").glob("*.sqlite")
    file.write_bytes(b"no database at all " * 500)
    assert await found(local, "ferry") == ["a.md"]


async def test_two_workers_share_one_index(folder: Path, tmp_path: Path) -> None:
    for number in range(20):
        (folder / f"{number}.md").write_text(f"Ferry number {number}.")
    workers = [LocalSource(folder, tmp_path / "state", 100_000) for _ in range(2)]
    both = await asyncio.gather(*(found(worker, "ferry") for worker in workers))
    assert [len(each) for each in both] == [5, 5]
    assert len(rows(tmp_path)) == 20


async def test_several_passages_of_a_document_are_one_finding(folder: Path, local: LocalSource) -> None:
    (folder / "long.md").write_text("\n\n".join(f"Ferry {n}. " + "It waits for the tide. " * 50 for n in range(10)))
    answered = await local.search("ferry", 5)
    assert [hit.url for hit in answered.hits] == ["long.md"]
    assert " … " in answered.hits[0].text


async def test_a_file_whose_name_is_not_utf_8_is_found(folder: Path, local: LocalSource) -> None:
    (folder / "b\udcfcro.md").write_text("# The office\n\nThe ferry waits.")
    assert await found(local, "ferry") == ["b\\xfcro.md"]
    assert await found(local, "office") == ["b\\xfcro.md"]  # from the index


async def test_an_index_that_is_up_to_date_answers_although_no_file_can_grow(folder: Path, local: LocalSource) -> None:
    (folder / "tides.md").write_text("# Tides\n\nThe moon makes them.")
    assert await found(local, "moon") == ["tides.md"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        assert await found(local, "moon") == ["tides.md"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
