"""Rows of a SQL database: insert, update and delete one row of a table that is allowed, and the undo of each.

A change of one row can change others (a cascading deletion), which no before-image of ours would restore. Such changes are
refused. What triggers of the database do besides is not undone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, Field
from sqlalchemy import Connection, Engine, MetaData, Table, and_, delete, insert, inspect, select, update
from sqlalchemy.exc import NoSuchTableError

from outlast.contracts import Effect
from outlast.tools.standard import row_values
from outlast.tools.standard.row_changes import LEDGER, Row, RowChange, RowChanges, same
from outlast.tools.tool import Tool, ToolError, Undo, tool

UNDO = "restore_row"
"""The tool that undoes a change of a row."""


class InsertRow(BaseModel):
    """Arguments of insert_row."""

    table: str = Field(min_length=1, description="the table")
    values: dict[str, Any] = Field(min_length=1, description="its columns and their values")


class UpdateRow(BaseModel):
    """Arguments of update_row."""

    table: str = Field(min_length=1, description="the table")
    key: dict[str, Any] = Field(min_length=1, description="the columns of its primary key and their values")
    values: dict[str, Any] = Field(min_length=1, description="the columns to change and their new values")


class DeleteRow(BaseModel):
    """Arguments of delete_row."""

    table: str = Field(min_length=1, description="the table")
    key: dict[str, Any] = Field(min_length=1, description="the columns of its primary key and their values")


class RestoreRow(BaseModel):
    """Arguments of restore_row; they come from the call that is undone."""

    key: str = Field(min_length=1, description="the key of the call")


def row_tools(url: str, tables: Sequence[str]) -> list[Tool]:
    """Make the tools that change rows of these tables (`name` or `schema.name`) of the database at a SQLAlchemy URL.

    Raises ValueError that names DATABASE_URL or DATABASE_WRITE_TABLES.
    """
    if LEDGER in tables:
        raise ValueError(f"DATABASE_WRITE_TABLES: {LEDGER} is where undos are kept; no agent may change it")
    changes = RowChanges(url)
    rows = Rows(changes.engine, tuple(tables))

    def prepare(_: BaseModel, key: str) -> Undo:
        return Undo({"key": key})

    @tool(effect=Effect.WRITE, undo=UNDO, prepare=prepare)
    def insert_row(arguments: InsertRow, key: str) -> str:
        """Insert one row into a table of the database."""
        return changes.make(key, arguments.table, lambda connection: rows.insert(connection, arguments))

    @tool(effect=Effect.WRITE, undo=UNDO, prepare=prepare)
    def update_row(arguments: UpdateRow, key: str) -> str:
        """Change one row of a table of the database, found by its primary key."""
        return changes.make(key, arguments.table, lambda connection: rows.update(connection, arguments))

    @tool(effect=Effect.WRITE, undo=UNDO, prepare=prepare)
    def delete_row(arguments: DeleteRow, key: str) -> str:
        """Delete one row of a table of the database, found by its primary key."""
        return changes.make(key, arguments.table, lambda connection: rows.delete(connection, arguments))

    @tool(effect=Effect.WRITE)
    def restore_row(arguments: RestoreRow) -> str:
        """Give a row of the database back what it was before a call."""
        return changes.undo(arguments.key, rows.restore)

    assert restore_row.name == UNDO
    return [insert_row, update_row, delete_row, restore_row]


class Rows:
    """Reads and changes single rows of the tables that are allowed."""

    def __init__(self, engine: Engine, allowed: tuple[str, ...]) -> None:
        self._engine = engine
        self._allowed = allowed

    def insert(self, connection: Connection, asked: InsertRow) -> RowChange:
        """Insert a row; gives it as the database completed it."""
        table = self._table(connection, asked.table)
        result = connection.execute(insert(table).values(_values(table, asked.values)))
        names = [column.name for column in table.primary_key]
        where = dict(zip(names, result.inserted_primary_key or (), strict=True))
        after = _row(connection, table, where)
        return RowChange(None, after, f"inserted into {asked.table}: {_shown(where)}")

    def update(self, connection: Connection, asked: UpdateRow) -> RowChange:
        """Change a row that exists."""
        table = self._table(connection, asked.table)
        where, values = _key(table, asked.key), _values(table, asked.values)
        touched = [name for name in values if name in where]
        if touched:
            raise ToolError(f"{touched[0]} is of the primary key, which stays as it is; insert another row instead")
        self._refuse_followers(connection, asked.table, "onupdate", values)
        before = _row(connection, table, where)
        connection.execute(update(table).where(_matches(table, where)).values(values))
        return RowChange(before, _row(connection, table, where), f"changed in {asked.table}: {_shown(where)}")

    def delete(self, connection: Connection, asked: DeleteRow) -> RowChange:
        """Delete a row that exists."""
        table = self._table(connection, asked.table)
        fixed = [column.name for column in table.columns if column.identity is not None and column.identity.always]
        if fixed:
            raise ToolError(f"{asked.table} gives {fixed[0]} itself, always, so that a deletion could not be undone")
        where = _key(table, asked.key)
        self._refuse_followers(connection, asked.table, "ondelete", None)
        before = _row(connection, table, where)
        connection.execute(delete(table).where(_matches(table, where)))
        return RowChange(before, None, f"deleted from {asked.table}: {_shown(where)}")

    def restore(self, connection: Connection, name: str, change: RowChange) -> str:
        """Undo a change; raises ToolError if the row is not what the change left there."""
        table = self._table(connection, name)
        image = change.after if change.after is not None else change.before
        assert image is not None
        where = {column.name: image[column.name] for column in table.primary_key}
        present = _find(connection, table, where)
        if not same(present, change.after):
            raise ToolError(
                f"the row {_shown(where)} of {name} was changed by somebody else since; it is left as it is"
            )
        if change.before is None:
            connection.execute(delete(table).where(_matches(table, where)))
            return f"the row {_shown(where)} of {name} is gone again"
        settable = {column.name for column in table.columns if column.computed is None}
        former = {column: value for column, value in change.before.items() if column in settable}
        if change.after is None:
            connection.execute(insert(table).values(former))
        else:
            changed = {column: value for column, value in former.items() if column not in where}
            connection.execute(update(table).where(_matches(table, where)).values(changed))
        return f"the row {_shown(where)} of {name} is as it was"

    def _table(self, connection: Connection, name: str) -> Table:
        if name not in self._allowed:
            raise ToolError(f"{name} is not among the tables that may be changed: {', '.join(self._allowed)}")
        schema, _, inner = name.rpartition(".")
        try:
            table = Table(inner, MetaData(), schema=schema or None, autoload_with=connection, resolve_fks=False)
        except NoSuchTableError:
            raise ToolError(f"there is no table {name}") from None
        if not table.primary_key.columns:
            raise ToolError(f"{name} has no primary key, so that a change of a row could not be undone")
        return table

    def _refuse_followers(
        self, connection: Connection, name: str, action: str, values: Mapping[str, Any] | None
    ) -> None:
        """Refuse what would change rows of other tables, too."""
        schema, _, inner = name.rpartition(".")
        for link in _links(connection, schema or None):
            touched = values is None or not link.columns or any(column in values for column in link.columns)
            if link.target == inner and link.actions.get(action, "").upper() in _FOLLOWS and touched:
                raise ToolError(f"rows of {link.table} would change with that row of {name}, which cannot be undone")


_FOLLOWS = ("CASCADE", "SET NULL", "SET DEFAULT")


class _Link(NamedTuple):
    """A foreign key: from which table to which columns (none named: its primary key), and what it does on changes there."""

    table: str
    target: str
    columns: tuple[str, ...]
    actions: Mapping[str, str]


def _links(connection: Connection, schema: str | None) -> Iterator[_Link]:
    looking = inspect(connection)
    for table in looking.get_table_names(schema):
        if connection.dialect.name == "sqlite":
            # SQLAlchemy reads the actions out of the table's text, and only where the key stands on a line of its own.
            quoted = connection.dialect.identifier_preparer.quote_identifier(table)
            for found in connection.exec_driver_sql(f"PRAGMA foreign_key_list({quoted})").mappings():
                actions = {"onupdate": found["on_update"], "ondelete": found["on_delete"]}
                yield _Link(table, found["table"], (found["to"],) if found["to"] else (), actions)
        else:
            for key in looking.get_foreign_keys(table, schema):
                yield _Link(table, key["referred_table"], tuple(key["referred_columns"]), key.get("options", {}))


def _values(table: Table, values: Mapping[str, Any]) -> Row:
    for name in values:
        if name not in table.columns:
            raise ToolError(f"{table.name} has no column {name}; it has {', '.join(table.columns.keys())}")
    return {name: row_values.given(table.columns[name], value) for name, value in values.items()}


def _key(table: Table, key: Mapping[str, Any]) -> Row:
    names = [column.name for column in table.primary_key]
    if sorted(key) != sorted(names):
        raise ToolError(f"name a row of {table.name} by its primary key: {', '.join(names)}")
    return _values(table, key)


def _matches(table: Table, where: Mapping[str, Any]) -> Any:
    return and_(*(table.columns[name] == value for name, value in where.items()))


def _find(connection: Connection, table: Table, where: Mapping[str, Any]) -> Row | None:
    found = connection.execute(select(table).where(_matches(table, where)).with_for_update()).mappings().one_or_none()
    return None if found is None else dict(found)


def _row(connection: Connection, table: Table, where: Mapping[str, Any]) -> Row:
    found = _find(connection, table, where)
    if found is None:
        raise ToolError(f"{table.name} has no row {_shown(where)}")
    return found


def _shown(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={str(value)[:60]}" for name, value in where.items())
