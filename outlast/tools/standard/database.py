"""Questions to a SQL database, read-only: one SELECT, WITH or EXPLAIN at a time, rows and cells capped.

Inspecting a statement does not make it safe. What forbids changes is the database itself: SQLite opens the file
read-only and refuses every other action, PostgreSQL gets a transaction of its own that is read-only from its first word.
"""

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field
from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from outlast.tools.tool import Tool, ToolError, tool

QUERY_SECONDS = 30.0
MOST_ROWS = 500
CELL_CHARACTERS = 1000
ANSWER_CHARACTERS = 100_000
VALUE_BYTES = 5_000_000
"""Largest value that SQLite may make, so that `zeroblob` and the like cannot eat the worker's memory."""

_BEGINS = re.compile(r"[\s(]*(select|with|explain)\b", re.IGNORECASE)
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_STEPS = 10_000


class QueryDatabase(BaseModel):
    """Arguments of query_database."""

    sql: str = Field(min_length=1, max_length=20_000, description="one SELECT, WITH or EXPLAIN statement")
    rows: int = Field(default=100, ge=1, le=MOST_ROWS, description="how many rows at most")


def database_tools(url: str) -> list[Tool]:
    """Make the tool that asks the database at a SQLAlchemy URL (SQLite or PostgreSQL).

    Raises ValueError that names DATABASE_URL, without its password.
    """
    engine = _engine(url)

    @tool(timeout=2 * QUERY_SECONDS)
    def query_database(arguments: QueryDatabase) -> str:
        """Ask the SQL database a read-only question; gives JSON with columns and rows.

        sqlite_master (SQLite) or information_schema.tables (PostgreSQL) lists the tables.
        """
        statement = _checked(arguments.sql)
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise ConnectionError(f"the database does not answer: {_brief(error)}") from None
        with connection:
            return _answer(connection, statement, arguments.rows)

    return [query_database]


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            return create_engine(parsed, poolclass=NullPool, execution_options={"postgresql_readonly": True})
    except ArgumentError:
        raise ValueError("DATABASE_URL is not a database URL; write for instance sqlite:///data.db") from None
    except (NoSuchModuleError, ImportError) as error:
        hint = ": pip install 'outlast[postgres]'" if parsed.get_backend_name() == "postgresql" else ""
        raise ValueError(f"DATABASE_URL needs a driver that is not installed ({error}){hint}") from None
    raise ValueError(
        f"DATABASE_URL: {parsed.get_backend_name()} cannot be opened read-only here; use SQLite or PostgreSQL"
    )


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("DATABASE_URL names no file; write for instance sqlite:///data.db")
    address = f"file:{quote(str(Path(url.database).resolve()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, timeout=5.0, check_same_thread=False)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # a missing or foreign file shows here
        deadline = time.monotonic() + QUERY_SECONDS
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _checked(sql: str) -> str:
    """Return one statement that reads; drivers that take several would otherwise run what follows a COMMIT."""
    statement = sql.strip().rstrip(";").rstrip()
    if ";" in statement:
        raise ToolError("one statement at a time, without a semicolon in it (a text may use char(59) or chr(59))")
    if not _BEGINS.match(statement):
        raise ToolError("the database is read-only: begin with SELECT, WITH or EXPLAIN")
    return statement


def _answer(connection: Connection, statement: str, most: int) -> str:
    try:
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            # Not sooner: SQLAlchemy itself begins with a PRAGMA.
            driver.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
        else:
            connection.execute(text(f"SET LOCAL statement_timeout = {int(QUERY_SECONDS * 1000)}"))
        # Parameters would make some drivers read % in the statement as their own; and a cursor on the server's side, which
        # spares this side's memory, is for queries alone.
        streams = not statement.lower().startswith("explain")
        # One row at a time: five hundred rows of large values would fill the memory before the first is cut.
        asking = connection.execution_options(no_parameters=True, stream_results=streams, max_row_buffer=1)
        result = asking.exec_driver_sql(statement)
        columns = list(result.keys())
        rows: list[list[Any]] = []
        size = 0
        while len(rows) <= most and size <= ANSWER_CHARACTERS and (row := result.fetchone()) is not None:
            rows.append([_cell(value) for value in row])
            size += sum(len(str(value)) for value in rows[-1])
    except DBAPIError as error:
        if error.connection_invalidated or "locked" in str(error.orig):
            raise ConnectionError(f"the database does not answer: {_brief(error)}") from None
        raise ToolError(f"the database says: {_brief(error)}") from None
    except SQLAlchemyError as error:
        raise ToolError(f"the database says: {_brief(error)}") from None
    return _written(columns, rows[:most], more=len(rows) > most or size > ANSWER_CHARACTERS)


def _written(columns: list[str], rows: list[list[Any]], *, more: bool) -> str:
    answer = {"columns": columns, "rows": rows, "more": more}
    while len(written := json.dumps(answer, ensure_ascii=False)) > ANSWER_CHARACTERS:
        if len(rows) <= 1:
            raise ToolError("one row is too long to show; ask for fewer columns")
        rows = rows[: len(rows) // 2]
        answer = {"columns": columns, "rows": rows, "more": True}
    return written


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(bytes(value))} bytes]"
    shown = str(value)
    return shown if len(shown) <= CELL_CHARACTERS else f"{shown[:CELL_CHARACTERS]}… [{len(shown)} characters]"


def _brief(error: SQLAlchemyError) -> str:
    # SQLAlchemy adds the statement and a link to its manual; the driver's own words are what helps.
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())[:500]
