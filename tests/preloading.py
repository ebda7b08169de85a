"""What a fork server imports before it forks: what both doors import, at once and while they run, and the double of the API."""

import gc
import importlib

for _module in (
    "starter",
    "worker",
    "outlast.llm.claude",
    "outlast.cli.control",
    "outlast.cli.decisions.commands",
    "outlast.cli.decisions.sending",
    "outlast.cli.observe",
    "outlast.cli.rendering",
    "outlast.cli.reaching",
    "outlast.cli.runs.running",
    "cli.start.begin",
    "outlast.cli.runs.waiting",
    "outlast.server.app",
    "temporalio.envconfig",
    "outlast.testing.messages_api.double",
):
    importlib.import_module(_module)

# Whoever is forked would otherwise copy all these objects, only to look at them once for garbage.
gc.collect()
gc.freeze()
