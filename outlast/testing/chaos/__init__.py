"""Chaos: workflows run on a real server and real workers while faults strike, and what should not be is counted.

Open `running.py` first: `chaos(scenarios, setup, …)`. What can strike stands in `contracts.py`, how it strikes in `faults.py`.
From a shell: `python -m outlast.testing.chaos --help`.
"""

from outlast.testing.chaos.contracts import EVERY_FAULT, Fault, Says, Scenario
from outlast.testing.chaos.report import Report
from outlast.testing.chaos.running import Plan, chaos
from outlast.testing.chaos.stack import Setup
from outlast.testing.messages_api.rules import Rule

__all__ = ["EVERY_FAULT", "Fault", "Plan", "Report", "Rule", "Says", "Scenario", "Setup", "chaos"]
