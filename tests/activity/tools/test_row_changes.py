"""Rows of a real SQLite file and a real PostgreSQL server: each change is made once, undone once, refused where it must be."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore
from outlast.tools.standard.database_rights import excess_of
from outlast.tools.standard.rows import row_tools
from tests.activity.tools.calling_tools import Calls
from tests.postgres import PostgreSql, postgresql

pytestmark = pytest.mark.xdist_group("postgresql")

TABLES = ("tides", "ports", "logs", "nothing")
SCHEMA = {
    "sqlite": """
        CREATE TABLE ports (name TEXT PRIMARY KEY, depth NUMERIC(6, 2));
        CREATE TABLE tides (id INTEGER PRIMARY KEY, port TEXT REFERENCES ports ON DELETE CASCADE, metres NUMERIC(6, 2),
            photo BLOB, seen TIMESTAMP, note TEXT DEFAULT 'new');
        CREATE TABLE logs (line TEXT);
        CREATE TABLE secrets (id INTEGER PRIMARY KEY);
    """,
    "postgresql": """
        DROP TABLE IF EXISTS tides, ports, logs, secrets, agent_changes;
        CREATE TABLE ports (name TEXT PRIMARY KEY, depth NUMERIC(6, 2));
        CREATE TABLE tides (id SERIAL PRIMARY KEY, port TEXT REFERENCES ports ON DELETE CASCADE, metres NUMERIC(6, 2),
            photo BYTEA, seen TIMESTAMP WITH TIME ZONE, note TEXT DEFAULT 'new');
        CREATE TABLE logs (line TEXT);
        CREATE TABLE secrets (id INTEGER PRIMARY KEY);
    """,
}
ROWS = {
    "sqlite": """
        INSERT INTO ports VALUES ('Brest', 12.5), ('Calais', 8);
        INSERT INTO tides VALUES (1, 'Brest', 7.10, x'00ff', '2026-01-02 03:04:05.000006', NULL);
    """,
    "postgresql": """
        INSERT INTO ports VALUES ('Brest', 12.5), ('Calais', 8);
        INSERT INTO tides VALUES (1, 'Brest', 7.10, '\\x00ff', '2026-01-02 03:04:05.000006+02', NULL);
        SELECT setval('tides_id_seq', 1);
    """,
}


class Database:
    """One database with some rows, and the tools that change them."""

    def __init__(self, url: str, ask: Callable[[str], list[Any]], store: ContentStore) -> None:
        self.ask = ask
        self.calls = Calls(store, row_tools(url, TABLES))
        self.done, self.undo, self.refused = self.calls.done, self.calls.undo, self.calls.refused

    def everything(self) -> Sequence[Any]:
        return [self.ask(f"SELECT * FROM {table} ORDER BY 1") for table in ("ports", "tides", "logs")]

    def ledger(self) -> list[Any]:
        return self.ask("SELECT key, state FROM agent_changes ORDER BY key")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, store: ContentStore) -> Iterator[Database]:
    if request.param == "sqlite":
        file = tmp_path / "data.db"
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.executescript(SCHEMA["sqlite"] + ROWS["sqlite"])

        def look(sql: str) -> list[Any]:
            with closing(sqlite3.connect(file)) as connection, connection:
                return connection.execute(sql).fetchall()

        yield Database(f"sqlite:///{file}", look, store)
        return
    server: PostgreSql = request.getfixturevalue("server")
    with server.connect() as asked:
        for statement in (SCHEMA["postgresql"] + ROWS["postgresql"]).split(";"):
            asked.execute(statement.strip() or "SELECT 1")

        def ask(sql: str) -> list[Any]:
            found = asked.execute(sql)
            return list(found.fetchall()) if found.description else []

        yield Database(server.url, ask, store)


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("insert_row", {"table": "tides", "values": {"port": "Calais", "metres": "6.50", "seen": "2026-05-06T07:08:09"}}),
    ("update_row", {"table": "tides", "key": {"id": 1}, "values": {"metres": 9.99, "photo": None, "note": "high"}}),
    ("delete_row", {"table": "tides", "key": {"id": 1}}),
]


@pytest.mark.parametrize(("tool", "arguments"), CHANGES, ids=[tool for tool, _ in CHANGES])
async def test_a_change_is_made_once_and_undone_once(database: Database, tool: str, arguments: dict[str, Any]) -> None:
    before = database.everything()
    said = await database.done(tool, "run/s/1", **arguments)
    changed = database.everything()
    assert changed != before
    assert await database.done(tool, "run/s/1", **arguments) == said
    assert database.everything() == changed
    assert (await database.undo(tool, "run/s/1")).happened
    assert database.everything() == before
    again = await database.undo(tool, "run/s/1")
    assert "undone already" in again.said
    assert database.everything() == before
    assert database.ledger() == [("run/s/1", "undone")]


@pytest.mark.parametrize(("tool", "arguments"), CHANGES, ids=[tool for tool, _ in CHANGES])
async def test_a_crash_between_commit_and_report_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, tool: str, arguments: dict[str, Any]
) -> None:
    before = database.everything()
    await database.calls.crash_before_report(monkeypatch, tool, "run/s/1", **arguments)
    changed = database.everything()
    assert changed != before
    await database.done(tool, "run/s/1", attempt=2, **arguments)
    assert database.everything() == changed
    assert (await database.undo(tool, "run/s/1", attempt=2)).happened
    assert database.everything() == before


async def test_what_crashed_and_was_never_reported_is_undone_by_its_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = database.everything()
    await database.calls.crash_before_report(monkeypatch, "delete_row", "run/s/1", **CHANGES[2][1])
    assert (await database.undo("delete_row", "run/s/1")).happened
    assert database.everything() == before


async def test_an_undo_of_what_never_happened_shuts_the_door(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = database.everything()
    assert not (await database.undo("delete_row", "run/s/1")).happened
    assert "rolled back" in await database.refused("delete_row", "run/s/1", **CHANGES[2][1])
    # The record was kept, and then the worker hung: the database itself must refuse what comes after the undo.
    stalled = Calls(database.calls.store, database.calls.tools)
    monkeypatch.setattr("outlast.undo.records.UndoRecords.closed", _not_closed)
    await stalled.refused("delete_row", "run/s/2", table="tides", key={"id": 77})
    assert not (await database.undo("delete_row", "run/s/2")).happened
    assert "rolled back" in await stalled.refused("delete_row", "run/s/2", table="tides", key={"id": 77})
    assert database.everything() == before
    assert database.ledger() == [("run/s/2", "void")]


async def _not_closed(*_: object) -> bool:
    return False


async def test_what_somebody_else_changed_since_is_left_as_it_is(database: Database) -> None:
    await database.done("update_row", "run/s/1", **CHANGES[1][1])
    database.ask("UPDATE tides SET note = 'by hand' WHERE id = 1")
    mine = database.everything()
    error = await database.calls.undo_fails("update_row", "run/s/1")
    assert (error.type, error.non_retryable) == (ErrorKind.UNDO_REFUSED, True)
    assert "id=1 of tides was changed by somebody else" in error.message
    assert database.everything() == mine


async def test_undone_last_in_first_out_a_row_is_what_it_was(database: Database) -> None:
    before = database.everything()
    for number, note in enumerate(("one", "two", "three")):
        await database.done("update_row", f"run/s/{number}", table="tides", key={"id": 1}, values={"note": note})
    await database.done("delete_row", "run/s/9", table="tides", key={"id": 1})
    assert "changed by somebody else" in (await database.calls.undo_fails("update_row", "run/s/0")).message
    for number in (9, 2, 1, 0):
        await database.undo("update_row", f"run/s/{number}")
    assert database.everything() == before


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("insert_row", {"table": "secrets", "values": {"id": 1}}, "secrets is not among the tables"),
        ("insert_row", {"table": "agent_changes", "values": {"key": "x"}}, "not among the tables"),
        ("insert_row", {"table": "nothing", "values": {"id": 1}}, "there is no table nothing"),
        ("insert_row", {"table": "logs", "values": {"line": "x"}}, "no primary key"),
        ("insert_row", {"table": "tides", "values": {"height": 1}}, "tides has no column height; it has id, port"),
        ("insert_row", {"table": "tides", "values": {"metres": "much"}}, "column metres: 'much' is not a decimal"),
        ("insert_row", {"table": "ports", "values": {"name": "Brest"}}, "the database says"),
        ("update_row", {"table": "tides", "key": {"port": "Brest"}, "values": {"note": "x"}}, "its primary key: id"),
        ("update_row", {"table": "tides", "key": {"id": 1}, "values": {"id": 2}}, "id is of the primary key"),
        ("update_row", {"table": "tides", "key": {"id": 5}, "values": {"note": "x"}}, "tides has no row id=5"),
        ("delete_row", {"table": "ports", "key": {"name": "Brest"}}, "rows of tides would change with that row"),
    ],
)
async def test_what_cannot_be_done_or_undone_is_refused_and_changes_nothing(
    database: Database, tool: str, arguments: dict[str, Any], said: str
) -> None:
    before = database.everything()
    assert said in await database.refused(tool, "run/s/1", **arguments)
    assert database.everything() == before
    assert not (await database.undo(tool, "run/s/1")).happened


async def test_a_database_that_is_away_is_worth_another_try(store: ContentStore) -> None:
    calls = Calls(store, row_tools("postgresql+psycopg://nobody@/none?host=/nowhere", TABLES))
    with pytest.raises(ApplicationError) as caught:
        await calls.call("insert_row", "run/s/1", **CHANGES[0][1])
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TOOL_UNAVAILABLE, False)


@pytest.mark.parametrize(
    ("url", "tables", "said"),
    [
        ("", ["t"], "DATABASE_URL is not a database URL"),
        ("sqlite://", ["t"], "DATABASE_URL names no file"),
        ("mysql://u:secret@h/d", ["t"], "SQLite and PostgreSQL alone"),
        ("sqlite:///x.db", ["agent_changes"], "DATABASE_WRITE_TABLES: agent_changes"),
    ],
)
def test_a_wrong_setting_is_named(url: str, tables: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        row_tools(url, tables)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("rights", "writes", "said"),
    [
        ("SUPERUSER", False, "is a superuser, who may read files and run programs"),
        ("SUPERUSER", True, "may only read and change those tables"),
        ("IN ROLE pg_read_server_files", True, "has the role pg_read_server_files"),
        ("NOSUPERUSER", False, ""),
        ("INSERT ON rights_tested", False, "may change 1 tables, though the tools only read"),
        ("INSERT ON rights_tested", True, ""),
    ],
)
def test_a_user_who_may_do_too_much_is_told_of(server: PostgreSql, rights: str, writes: bool, said: str) -> None:
    with server.connect() as asked:
        asked.execute("DROP TABLE IF EXISTS rights_tested")
        asked.execute("DROP ROLE IF EXISTS limited")
        asked.execute("CREATE TABLE rights_tested (a int)")
        asked.execute("CREATE ROLE limited LOGIN " + ("" if " ON " in rights else rights))
        if " ON " in rights:
            asked.execute(f"GRANT {rights} TO limited")
    try:
        found = excess_of(server.url.replace(f"{server.user}@", "limited@"), writes=writes)
        assert said in found
        assert bool(found) == bool(said)
    finally:
        with server.connect() as asked:
            asked.execute("DROP TABLE rights_tested")
            asked.execute("DROP ROLE limited")
