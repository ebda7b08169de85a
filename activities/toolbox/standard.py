"""The standard set of tools, bound to one workspace; what is not configured is not there."""

from collections.abc import Sequence
from pathlib import Path

from activities.content import ContentStore
from activities.toolbox.documents import document_tools
from activities.toolbox.files import file_tools
from activities.toolbox.restoring import restoring_tools
from activities.toolbox.tool import Tool
from activities.toolbox.workspace import Workspace

MAX_DOCUMENT_BYTES = 50 * 1024 * 1024


def standard_tools(
    store: ContentStore,
    workspace: Path,
    *,
    fetch_allow: Sequence[str] = (),
    fetch_private: bool = False,
    database_url: str = "",
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
) -> list[Tool]:
    """Make all tools: files and documents always, fetch_url with hosts to allow, query_database with a URL.

    The workspace's folder is made where it is not there. Raises ValueError that names FETCH_ALLOW or DATABASE_URL.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    folder = Workspace(workspace)
    tools = [*file_tools(folder), *restoring_tools(folder, store), *document_tools(folder, max_document_bytes)]
    # Workflows import the activities for their signatures; they shall not wait for what only a worker needs.
    if fetch_allow:
        from activities.toolbox.web import web_tools

        tools += web_tools(fetch_allow, private=fetch_private)
    if database_url:
        from activities.toolbox.database import database_tools

        tools += database_tools(database_url)
    return tools
