"""The wheel, installed where nothing of this repository is: beside packages that have the names of ours, run against a server."""

import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tests import installed
from tests.processes import PROJECT, clean_environment
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

BUILD = """
import sys
from setuptools import build_meta
print(build_meta.build_wheel(sys.argv[1]))
"""

HOLDS = """
import importlib.metadata, pathlib, outlast
print(len({one.name for one in importlib.metadata.distributions()}))
print(outlast.__file__)
print(*sorted({file.parts[0] for file in importlib.metadata.files("outlast")}))
data = ("py.typed", "llm/models.toml", "agents/defaults/planner.md", "cli/report/report.html")
print([name for name in data if (pathlib.Path(outlast.__file__).parent / name).is_file()])
"""

FILES = {
    "workflows/__init__.py": "",
    "workflows/triage.py": """
from outlast import AgentWorkflow, RunRequest, RunResult
from temporalio import workflow


class TriageRequest(RunRequest):
    alert: str


class TriageResult(RunResult):
    paged: str
    analysis: str


@workflow.defn
class Triage(AgentWorkflow[TriageRequest, TriageResult]):
    @workflow.run
    async def run(self, request: TriageRequest) -> TriageResult:
        paged = await self.agents.ask("pager", f"Page somebody about {request.alert}")
        analysis = await self.agents.ask("analyst", "What follows?")
        return TriageResult(paged=paged.content.text or "", analysis=analysis.content.text or "")
""",
    "activities/__init__.py": "",
    "activities/paging.py": '''
from outlast import Effect, tool
from pydantic import BaseModel


class Page(BaseModel):
    team: str


@tool(effect=Effect.READ)
def page_team(page: Page) -> str:
    """Page the team on call."""
    return f"paged {page.team}"
''',
    "cli/__init__.py": 'NAME = "a program of our own"\n',
    "agents/pager.md": "---\nname: pager\ndescription: Pages people.\nmodel: haiku\ntools: page_team\n---\nYou page people.\n",
    "main.py": """
import asyncio
import sys

from activities.paging import page_team
from cli import NAME
from outlast import connect, load_settings, running_worker
from outlast.testing import call_tool, scripted
from workflows.triage import Triage, TriageRequest


async def main(run: str) -> None:
    settings = load_settings()
    client = await connect(settings)
    model = scripted(pager=[call_tool("page_team", team="disks"), "The team is paged."], analyst="Wait for it.")
    async with running_worker(client, workflows=[Triage], tools=[page_team], settings=settings, llm=model):
        request = TriageRequest(alert="disk full")
        result = await client.execute_workflow(Triage.run, request, id=run, task_queue=settings.task_queue)
        print(f"{NAME}: {result.paged} {result.analysis}", flush=True)
        sys.stdin.readline()


asyncio.run(main(sys.argv[1]))
""",
}


@dataclass
class Place:
    """A virtual environment that has the library and what it depends on, and a project's folder beside it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "venv" / "bin" / "python")

    def link(self, distributions: Mapping[str, Distribution]) -> None:
        """Put distributions of this environment there, file by file: as an installation would, without the network."""
        site = self.folder / "venv" / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
        for one in distributions.values():
            for file in one.files or ():
                target = site / file
                if ".." in file.parts or target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(file.locate())

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.folder / "project",
            env=dict(env or clean_environment()) | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def outlast(self, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return self.run(str(self.folder / "venv" / "bin" / "outlast"), *arguments, env=env)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path
    source, place = folder / "source", Place(folder)
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "outlast"):
        (source / name).symlink_to(PROJECT / name)
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=source, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    wheel = folder / built.stdout.split()[-1]
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(venv, check=True)
    place.link(installed.core())
    pip = [sys.executable, "-m", "pip", "--python", place.python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", str(wheel)], check=True, capture_output=True)
    for name, text in FILES.items():
        file = folder / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return place


def test_the_wheel_serves_a_project_that_has_packages_named_like_ours(place: Place, stack: Stack) -> None:
    """The core alone runs the program; the command line says which extra it needs, and with that shows the run."""
    packages, file, parts, data = place.run(place.python, "-c", HOLDS).stdout.splitlines()
    assert int(packages) == len(installed.core()) + 1
    assert file.startswith(str(place.folder)), "the checkout must not be what is imported"
    assert parts == f".. outlast outlast-{installed.METADATA['version']}.dist-info", (
        "the command, the package, its metadata"
    )
    assert data == "['py.typed', 'llm/models.toml', 'agents/defaults/planner.md', 'cli/report/report.html']"
    bare = place.outlast("--help")
    assert bare.returncode == 2
    assert "pip install 'outlast[cli]'" in bare.stderr

    env = clean_environment(
        TEMPORAL_ADDRESS=stack.server.address,
        ANTHROPIC_BASE_URL="http://127.0.0.1:9",
        TASK_QUEUE="elsewhere",
        QUERY_WAIT="2",
    )
    program = subprocess.Popen(
        [place.python, "main.py", "installed"],
        cwd=place.folder / "project",
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        line = program.stdout.readline()
        assert line == "a program of our own: The team is paged. Wait for it.\n", program.communicate(timeout=30)
        place.link(installed.extra("cli"))
        help_ = place.outlast("--help", env=env)
        assert help_.returncode == 0, help_.stderr
        assert "Start, watch and operate" in help_.stdout
        status = place.outlast("status", "installed", env=env)
        assert status.returncode == 0, status.stderr
        assert "run 'installed' is completed" in status.stdout
        assert "✓ done  analyst" in status.stdout
    finally:
        program.communicate("\n", timeout=30)
    assert program.returncode == 0
