"""How workflow code keeps a text: in the content store, so that history holds its reference alone."""

from typing import Any

from temporalio import workflow

from outlast.contracts import Content, StoreRequest
from outlast.storage.activities import ContentActivities
from outlast.workflow import policies


async def keep_text(text: str, why: str, **form: Any) -> Content:
    """Keep a text of a run.

    Args:
        text: The text; it enters history only where it is short and `by_reference` is not set.
        why: What people see of this in the Web UI, such as "keep the report".
        **form: The other fields of `StoreRequest`: `media_type`, `summary`, `by_reference`.

    Returns:
        The text, or the reference under which the content store keeps it.
    """
    return await workflow.execute_local_activity_method(
        ContentActivities.keep_text, StoreRequest(text=text, **form), **policies.local_call(why[:200])
    )


async def keep_json(text: str, why: str, summary: str) -> Content:
    """Keep JSON out of history, however short it is."""
    return await keep_text(text, why, media_type="application/json", summary=summary, by_reference=True)
