"""Runs the API of recorded answers beside the stack, and gives the settings of a worker that asks nothing else."""

import json
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from cli import PROJECT
from cli.demo.recorded_api import MODEL
from outlast.client import Settings
from outlast.devstack.parts import Part, local_environment
from outlast.devstack.ports import HOST, choose_ports
from outlast.devstack.process import running
from outlast.devstack.state import StackState
from outlast.settings import MODELS

NAME = "recorded answers"


@asynccontextmanager
async def recorded_answers(settings: Settings, state: StackState) -> AsyncIterator[Mapping[str, str]]:
    """Run the API of recorded answers; yields the settings of a worker that asks nothing else. Raises NotStartedError."""
    # Within the usual workspace, the only place of the state folder that is open to agents; empty, as the answers expect.
    workspace = settings.state_dir.resolve() / "workspace" / "showcase"
    shutil.rmtree(workspace, ignore_errors=True)
    port = choose_ports((NAME,), {}, state.ports)[NAME]
    url = f"http://{HOST}:{port}"
    part = Part(
        name=NAME,
        command=(sys.executable, "-m", "cli.demo.recorded_api", "--port", str(port)),
        environment=local_environment(state.address) | {"PYTHONPATH": str(PROJECT)},
        log=settings.state_dir.resolve() / "logs" / "recorded.log",
        checks={"HTTP": f"{url}/health"},
        grace=2.0,
    )
    async with running(part):
        yield {
            # The person's own key and endpoint must not be used, and the recorded answers are for the agents of this project.
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "no-key-needed",
            "AGENTS_DIR": str(PROJECT / "agents"),
            "MODELS_FILE": str(MODELS),
            "MODEL_ALIASES": json.dumps(dict.fromkeys(settings.model_table().aliases, MODEL)),
            "ARXIV_URL": f"{url}/feeds/arxiv.xml",
            "NEWS_FEEDS": f"{url}/feeds/news-atom.xml,{url}/feeds/news-rss.xml",
            "NEWS_SEARCH_URL": "off",
            "WEB_SEARCH": "off",
            "RESEARCH_PAGES": "0",
            "LIBRARY_DIR": str(PROJECT / "samples" / "library"),
            "WORKSPACE_DIR": str(workspace),
        }
