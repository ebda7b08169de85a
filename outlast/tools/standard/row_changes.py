"""Changes of database rows, each made once and undone once, whatever crashes in between.

The key of a call goes into `agent_changes`, a table of ours, in the same transaction as the change itself: a later attempt
finds it, and so does the undo. A call that comes after its own undo must be refused, so the undo of a call that
never happened leaves its key there, too.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from outlast.tools.standard import row_values
from outlast.tools.tool import NeverHappenedError, ToolError

LEDGER = "agent_changes"
LOCK_SECONDS = 10
DONE, UNDONE, VOID = "done", "undone", "void"

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class RowChange:
    """One row before and after a change, each None where there was none; `message` is what the model reads."""

    before: Row | None
    after: Row | None
    message: str


Make = Callable[[Connection], RowChange]
Restore = Callable[[Connection, str, RowChange], str]


class RowChanges:
    """Makes and undoes changes in one database, each once by its key."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._table = Table(
            LEDGER,
            MetaData(),
            Column("key", String(512), primary_key=True),
            Column("state", String(16), nullable=False),
            Column("target", String(256), nullable=False, default=""),
            Column("said", Text, nullable=False, default=""),
            Column("before", Text),
            Column("after", Text),
        )

    def make(self, key: str, target: str, change: Make) -> str:
        """Make a change of a row of `target` unless it was made; returns its message.

        Raises ToolError (nothing was changed), and ConnectionError where waiting may help.
        """

        def work(connection: Connection) -> str:
            if not self._claim(connection, key, DONE, target):
                found = self._find(connection, key)
                if found.state != DONE:
                    raise ToolError("this call was rolled back; it is not made any more")
                return str(found.said)
            made = change(connection)
            images = {"before": _image(made.before), "after": _image(made.after)}
            values = {"said": made.message, **images}
            connection.execute(update(self._table).where(self._table.c.key == key).values(values))
            return made.message

        return self._transaction(work)

    def undo(self, key: str, restore: Restore) -> str:
        """Undo what was made under a key; raises NeverHappenedError, and ToolError where somebody changed the row since."""

        def work(connection: Connection) -> str | None:
            if self._claim(connection, key, VOID, ""):
                return None
            found = self._find(connection, key)
            if found.state == VOID:
                return None
            if found.state == UNDONE:
                return f"{found.target}: undone already"
            change = RowChange(_read(found.before), _read(found.after), found.said)
            message = restore(connection, found.target, change)
            connection.execute(update(self._table).where(self._table.c.key == key).values(state=UNDONE))
            return message

        message = self._transaction(work)
        if message is None:
            raise NeverHappenedError("the row was never changed")
        return message

    def _claim(self, connection: Connection, key: str, state: str, target: str) -> bool:
        """Put a key into the ledger; False if it stands there. Two at once wait for each other here."""
        values = {"key": key, "state": state, "target": target, "said": ""}
        claim: Any
        if connection.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as postgresql_insert

            claim = postgresql_insert(self._table).values(values).on_conflict_do_nothing()
        else:
            claim = insert(self._table).values(values).prefix_with("OR IGNORE")
        return connection.execute(claim.returning(self._table.c.key)).first() is not None

    def _find(self, connection: Connection, key: str) -> Any:
        return connection.execute(select(self._table).where(self._table.c.key == key)).one()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        try:
            self._create()
            with self.engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
                    connection.execute(text(f"SET LOCAL statement_timeout = '{3 * LOCK_SECONDS}s'"))
                return work(connection)
        except DBAPIError as error:
            if isinstance(error, OperationalError) or error.connection_invalidated:
                raise ConnectionError(f"the database does not answer: {_brief(error)}") from None
            raise ToolError(f"the database says: {_brief(error)}") from None
        except SQLAlchemyError as error:
            raise ToolError(f"the database says: {_brief(error)}") from None

    def _create(self) -> None:
        with self.engine.connect() as connection:
            if connection.dialect.has_table(connection, LEDGER):
                return
        try:
            self._table.create(self.engine)
        except DBAPIError:
            # Two workers at once: the other one has made it, or it cannot be made, which shows in its use.
            with self.engine.connect() as connection:
                if not connection.dialect.has_table(connection, LEDGER):
                    raise


def _image(row: Row | None) -> str | None:
    return None if row is None else row_values.written(row)


def _read(image: str | None) -> Row | None:
    return None if image is None else row_values.read(image)


def same(row: Mapping[str, Any] | None, image: Row | None) -> bool:
    """Whether a row is what an image of it says."""
    return _image(None if row is None else dict(row)) == _image(image)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            return create_engine(parsed, poolclass=NullPool)
    except ArgumentError:
        raise ValueError("DATABASE_URL is not a database URL; write for instance sqlite:///data.db") from None
    except (NoSuchModuleError, ImportError) as error:
        hint = ": pip install 'outlast[postgres]'" if parsed.get_backend_name() == "postgresql" else ""
        raise ValueError(f"DATABASE_URL needs a driver that is not installed ({error}){hint}") from None
    raise ValueError("DATABASE_URL: rows are changed in SQLite and PostgreSQL alone; unset DATABASE_WRITE_TABLES")


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("DATABASE_URL names no file; write for instance sqlite:///data.db")
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCK_SECONDS})

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _: Any) -> None:
        # The driver would begin its own transactions, and only at the first change: too late to read before it.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _brief(error: SQLAlchemyError) -> str:
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())[:500]
