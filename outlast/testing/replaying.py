"""`assert_replays`: recorded runs still replay with the code of today, so a deploy stops none that is under way."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import WorkflowRunner

from outlast.client import data_converter as our_converter
from outlast.storage.payload_guard import SERVER_LIMIT
from outlast.worker.arguments import check_workflows
from outlast.worker.registry import OWN_WORKFLOWS
from outlast.worker.replay import WAYS_OUT, read_history, replay_failure
from outlast.worker.sandbox import TolerantReplayer
from outlast.worker.serving import sandbox

Histories: TypeAlias = str | PathLike[str] | WorkflowHistory
"""A history, a file of one (`temporal workflow show -o json`, `WorkflowHistory.to_json`), or a folder of such files."""

_BROKEN = """{broken} of {tried} histories do not replay; runs like them would stand still under this code:
{each}
{ways_out}"""


async def assert_replays(
    histories: Histories | Iterable[Histories],
    *,
    workflows: Sequence[type],
    data_converter: DataConverter | None = None,
    workflow_runner: WorkflowRunner | None = None,
) -> int:
    """Replay histories with the code of today; returns how many there were.

    Args:
        histories: A history, a file, a folder of `*.json` files, or several of them.
        workflows: Workflow classes; ours that other runs need are added.
        data_converter: The converter of the runs. Default: ours, without encryption.
        workflow_runner: A sandbox of one's own.

    Raises:
        AssertionError: Some do not replay, or there are none; the message says which, how many were tried, and what to do.
        ValueError: A file holds no history.

    Example:
        ```python
        async def test_runs_of_before_go_on() -> None:
            await assert_replays("tests/histories", workflows=[Triage])
        ```
    """
    check_workflows(workflows)
    replayer = TolerantReplayer(
        workflows=[*workflows, *OWN_WORKFLOWS],
        data_converter=data_converter or our_converter(SERVER_LIMIT),
        workflow_runner=workflow_runner or sandbox(),
    )
    several = [histories] if isinstance(histories, str | PathLike | WorkflowHistory) else histories
    found = [each for given in several for each in _found(given)]
    if not found:
        raise AssertionError(
            f"no history was tried, because {histories!r} holds none; record one: "
            "path.write_text((await handle.fetch_history()).to_json())"
        )
    failures = [(history.workflow_id, await replay_failure(replayer, history)) for history in found]
    broken = [f"  {name}: {failure}" for name, failure in failures if failure]
    if broken:
        raise AssertionError(
            _BROKEN.format(broken=len(broken), tried=len(found), each="\n".join(broken), ways_out=WAYS_OUT)
        )
    return len(found)


def _found(given: Histories) -> list[WorkflowHistory]:
    if isinstance(given, WorkflowHistory):
        return [given]
    path = Path(given)
    if path.is_dir():
        return [read_history(each) for each in sorted(path.glob("*.json"))]
    if not path.is_file():
        raise ValueError(f"histories: there is neither a file nor a folder {path}")
    return [read_history(path)]
