"""What a fork server imports before it forks: both doors, and what their commands import while they run."""

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
):
    importlib.import_module(_module)

# Whoever is forked would otherwise copy all these objects, only to look at them once for garbage.
gc.collect()
gc.freeze()
