"""query_database on a real SQLite file: what it answers, and that nothing can be changed with it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from outlast.tools.standard import database
from outlast.tools.standard.database import MOST_ROWS, database_tools
from outlast.tools.tool import Tool, ToolError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "da ta?#.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE tides (place TEXT, metres REAL, photo BLOB, note TEXT)")
        connection.execute("INSERT INTO tides VALUES ('Brest', 7.1, x'00ff', NULL), ('Calais', 6.5, NULL, '50%')")
    return path


@pytest.fixture
def tool(file: Path) -> Tool:
    [made] = database_tools(f"sqlite:///{str(file).replace('?', '%3F').replace('#', '%23')}")
    return made


async def ask(tool: Tool, sql: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await tool.run(tool.arguments.model_validate({"sql": sql, **more})))
    return answer


async def refused(tool: Tool, sql: str) -> str:
    with pytest.raises(ToolError) as caught:
        await ask(tool, sql)
    return str(caught.value)


async def test_questions_are_answered_with_columns_and_rows(tool: Tool) -> None:
    assert await ask(tool, "SELECT * FROM tides ORDER BY place;") == {
        "columns": ["place", "metres", "photo", "note"],
        "rows": [["Brest", 7.1, "[2 bytes]", None], ["Calais", 6.5, None, "50%"]],
        "more": False,
    }
    assert (await ask(tool, "WITH high AS (SELECT 1 AS n) SELECT n FROM high"))["rows"] == [[1]]
    assert (await ask(tool, " (select place from tides where note like '%\\%' escape '\\')".strip(" ()")))["rows"]
    assert (await ask(tool, "EXPLAIN QUERY PLAN SELECT * FROM tides"))["rows"]
    assert (await ask(tool, "SELECT name FROM sqlite_master"))["rows"] == [["tides"]]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM tides",
        "INSERT INTO tides (place) VALUES ('x')",
        "WITH x AS (SELECT 1) DELETE FROM tides",
        "WITH x AS (SELECT 1) INSERT INTO tides (place) SELECT 'x'",
        "DROP TABLE tides",
        "PRAGMA writable_schema = 1",
        "ATTACH DATABASE '/tmp/other.db' AS other",
        "VACUUM INTO '/tmp/copy.db'",
        "SELECT 1; DELETE FROM tides",
        "/* SELECT */ DELETE FROM tides",
        "-- SELECT\nDELETE FROM tides",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "SELECT zeroblob(100000000)",
        "SELECT nothing FROM nowhere",
        "explain",
    ],
)
async def test_nothing_can_be_changed(tool: Tool, file: Path, sql: str) -> None:
    before = file.read_bytes()  # noqa: ASYNC240 - nothing else runs meanwhile
    assert await refused(tool, sql)
    assert file.read_bytes() == before  # noqa: ASYNC240 - nothing else runs meanwhile


async def test_the_database_itself_refuses_what_looks_harmless(
    tool: Tool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_checked", lambda sql: sql)
    for sql in ("DELETE FROM tides", f"ATTACH DATABASE '{file}.other' AS other", "PRAGMA user_version = 7"):
        assert "not authorized" in await refused(tool, sql)
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    monkeypatch.setattr(database, "_ALLOWED", range(100))
    assert "readonly" in await refused(tool, "DELETE FROM tides")


async def test_rows_and_cells_are_capped(tool: Tool) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) SELECT i FROM n"
    answer = await ask(tool, many, rows=7)
    assert (answer["rows"], answer["more"]) == ([[n] for n in range(1, 8)], True)
    assert len((await ask(tool, many, rows=MOST_ROWS))["rows"]) == MOST_ROWS
    [[long]] = (await ask(tool, "SELECT printf('%.5000c', 'x')"))["rows"]
    assert long.endswith("… [5000 characters]")
    wide = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400) SELECT printf('%.900c', 'x') FROM n"
    )
    answer = await ask(tool, wide, rows=400)
    assert answer["more"]
    assert 0 < len(answer["rows"]) < 400


async def test_a_question_without_end_is_given_up(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "QUERY_SECONDS", 0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert "interrupted" in await refused(tool, endless)


async def test_a_database_that_is_away_is_worth_another_try(tool: Tool, file: Path) -> None:
    file.rename(file.with_suffix(".away"))  # noqa: ASYNC240 - nothing else runs meanwhile
    with pytest.raises(ConnectionError, match="unable to open"):
        await ask(tool, "SELECT 1")
    assert not file.exists()  # noqa: ASYNC240 - nothing else runs meanwhile


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://u:secret@h/d", "cannot be opened read-only"),
        ("postgresql+pg8000://u:secret@h/d", "driver that is not installed"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        database_tools(url)
    assert "DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_rows_are_fetched_one_by_one_and_no_further_than_the_answer(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large rows were fetched all at once, before any of them was cut."""
    taken: list[int] = []

    class Counting(sqlite3.Cursor):
        def fetchone(self) -> Any:
            taken.append(1)
            return super().fetchone()

        def fetchmany(self, size: int | None = 1) -> Any:
            raise AssertionError(f"{size} rows at once")

        fetchall = fetchmany

    real = sqlite3.connect

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Counting) -> Any:
            return super().cursor(factory)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: real(*args, **named, factory=Connection))
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    answer = await ask(tool, f"{many} SELECT i, printf('%.*c', 900, 'x') FROM n", rows=MOST_ROWS)
    assert answer["more"]
    assert 0 < len(answer["rows"]) < 150
    assert sum(taken) < 150
    taken.clear()
    assert len((await ask(tool, f"{many} SELECT i FROM n", rows=7))["rows"]) == 7
    assert sum(taken) <= 9
