"""Triage with a scripted model: what it writes and who confirmed it, and that the recorded run replays."""

import shutil
from pathlib import Path

import pytest
from triage import REPORT, Triage, TriageRequest, Verdict

from outlast.testing import agent_environment, assert_replays, call_tool, scripted

FOLDER = Path(__file__).parent
VERDICT = Verdict(severity="SEV2", cause="The pool was halved at 14:02.", first_step="Roll release 318 back.")
pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_report_is_written_once_a_person_confirms(tmp_path: Path, confirmed: bool) -> None:
    workspace = shutil.copytree(FOLDER / "incident", tmp_path / "incident")
    llm = scripted(
        detective=[call_tool("read_file", path="api.log"), "14:03 to 14:09: no free connection, 3 times."],
        historian=[call_tool("read_file", path="changes.md"), "14:02, release 318: pool from 40 to 20."],
        advocate="Everybody who pays: some checkouts fail.",
        commander=VERDICT,
        scribe=[call_tool("write_file", path=REPORT, content="# SEV2: the pool was halved"), "Written."],
    )
    async with agent_environment(
        workflows=[Triage], llm=llm, agents_dir=FOLDER / "agents", workspace_dir=workspace
    ) as env:
        run = await env.start(Triage.run, TriageRequest(alert="5xx of the checkout at 11 %"))
        assert "SEV2" in (await env.gate(run)).description
        await run.signal("approve" if confirmed else "deny", {"by": "ada"})
        result = await run.result()
        await assert_replays(await run.fetch_history(), workflows=[Triage])
    assert result.verdict == VERDICT
    assert result.confirmed_by == (("ada",) if confirmed else ())
    assert (workspace / REPORT).exists() is confirmed
