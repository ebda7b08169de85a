"""The commands that start the workflows of this application, the pages of their results, and its demo."""

from pathlib import Path

from outlast.command_line import CommandLine

PROJECT = Path(__file__).resolve().parents[1]
"""The folder of this application: its agents, samples and programs are beside this package."""

COMMAND_LINE = CommandLine(
    "python starter.py",
    worker="python worker.py",
    workflows=("workflows", "samples.refund.workflow"),
    examples=(
        ("demo", "six documents, and a kill -9 in the middle"),
        ("demo --showcase", "each pattern in under a minute, with recorded answers"),
        ("document samples/documents/*", "what kind each is, its analysis, its summary"),
        ("plan --plan samples/plans/launch-brief.json", "five agents' steps as a graph"),
    ),
)
"""How its commands are typed."""
