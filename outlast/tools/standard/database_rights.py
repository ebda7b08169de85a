"""Warns at a worker's start where the user of DATABASE_URL may do more than the tools need.

The tools ask in read-only transactions, but what a superuser may do goes beyond the database: read files and run programs of
its server. SQLite has no users; its file is opened read-only, which no statement can change.
"""

import logging
import threading

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

logger = logging.getLogger(__name__)

_POWERS = text(
    "SELECT rolname, rolsuper, "
    "(SELECT string_agg(g.rolname, ', ') FROM pg_roles g WHERE g.rolname IN "
    "('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_write_all_data') "
    "AND pg_has_role(current_user, g.oid, 'member')) AS roles, "
    "(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
    "AND n.nspname NOT LIKE 'pg_toast%' AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writable "
    "FROM pg_roles WHERE rolname = current_user"
)


def warn_of_rights(url: str, *, writes: bool) -> None:
    """Log a warning, soon, if the user of a PostgreSQL URL may do too much; `writes` says that tools change rows there."""
    if make_url(url).get_backend_name() == "postgresql":
        threading.Thread(target=_warn, args=(url, writes), daemon=True, name="database rights").start()


def excess_of(url: str, *, writes: bool) -> str:
    """Return what the user of a PostgreSQL URL may do beyond need, or ""; raises SQLAlchemyError where nobody answers."""
    engine = create_engine(url, poolclass=NullPool, execution_options={"postgresql_readonly": True})
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 10000"))
        user, superuser, roles, writable = connection.execute(_POWERS).one()
    advice = f"give the tools a user that may only {'read and change those tables' if writes else 'SELECT'}"
    if superuser:
        return f"DATABASE_URL: {user} is a superuser, who may read files and run programs on the database's machine; {advice}"
    if roles:
        return f"DATABASE_URL: {user} has the role {roles}; {advice}"
    if writable and not writes:
        return f"DATABASE_URL: {user} may change {writable} tables, though the tools only read; {advice}"
    return ""


def _warn(url: str, writes: bool) -> None:
    try:
        excess = excess_of(url, writes=writes)
    except SQLAlchemyError:
        return  # the first question says what is wrong
    if excess:
        logger.warning("%s", excess)
