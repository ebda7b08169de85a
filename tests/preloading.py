"""What a fork server imports before it forks: what both doors import, at once and while they run, and the double of the API."""

import gc
import importlib

for _module in (
    "starter",
    "worker",
    "activities.llm.claude",
    "cli.control",
    "cli.deciding",
    "cli.decisions",
    "cli.observe",
    "cli.pages",
    "cli.reaching",
    "cli.running",
    "cli.start.begin",
    "cli.waiting",
    "temporalio.envconfig",
    "tests.doubles.messages_api",
):
    importlib.import_module(_module)

# Whoever is forked would otherwise copy all these objects, only to look at them once for garbage.
gc.collect()
gc.freeze()
