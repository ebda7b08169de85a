"""The standard set of tools, bound to one workspace; what is not configured is not there."""

from collections.abc import Sequence
from pathlib import Path

from outlast.extras import require
from outlast.storage.activities import ContentStore
from outlast.tools.standard.documents import document_tools
from outlast.tools.standard.files import file_tools
from outlast.tools.standard.people import people_tools
from outlast.tools.standard.restoring import restoring_tools
from outlast.tools.standard.workspace import Workspace
from outlast.tools.tool import Tool

MAX_DOCUMENT_BYTES = 50 * 1024 * 1024


def standard_tools(
    store: ContentStore,
    workspace: Path,
    *,
    fetch_allow: Sequence[str] = (),
    fetch_private: bool = False,
    database_url: str = "",
    database_write_tables: Sequence[str] = (),
    http_call_allow: Sequence[str] = (),
    http_call_private: bool = False,
    http_call_undo: str = "",
    smtp_url: str = "",
    mail_from: str = "",
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
) -> list[Tool]:
    """Make all tools: files, documents and asking people always, the others where what they need is given.

    The workspace's folder is made where it is not there. Raises ValueError that names the setting that is wrong.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    folder = Workspace(workspace)
    tools = [*file_tools(folder), *restoring_tools(folder, store), *document_tools(folder, max_document_bytes)]
    tools += people_tools()
    # Workflows import the activities for their signatures; they shall not wait for what only a worker needs.
    if fetch_allow:
        from outlast.tools.standard.web import web_tools

        tools += web_tools(fetch_allow, private=fetch_private)
    if database_url or database_write_tables:
        require("sql", "DATABASE_URL")
    if database_url:
        from outlast.tools.standard.database import database_tools
        from outlast.tools.standard.database_rights import warn_of_rights

        tools += database_tools(database_url)
        warn_of_rights(database_url, writes=bool(database_write_tables))
    if database_write_tables:
        from outlast.tools.standard.rows import row_tools

        tools += row_tools(database_url, database_write_tables)
    if http_call_allow:
        from outlast.tools.standard.http_call import http_tools, read_pairs

        tools += http_tools(http_call_allow, private=http_call_private, undoable=read_pairs(http_call_undo))
    if smtp_url:
        from outlast.tools.standard.mail import mail_tools

        tools += mail_tools(smtp_url, mail_from)
    return tools
