"""Forks: a new run that takes over what an earlier one has finished, and does the rest anew.

Open `forking.py` first: `fork` and `retry`, as other programs call them; `preparing.py` decides what is taken over. The steps of
the new run find it in `outlast/agents/outcomes.py`; which steps come after which is decided in `following.py`.
"""

SESSION = "AgentSessionWorkflow"
STAGED = "StagedDeliveryWorkflow"
"""The workflows, by the names that the server knows them by, whose forks go on from more than outcomes of steps."""

FORKED_MEMO = "forked_from"
"""Key in a forked run's memo: `{"run", "run_id", "from"}`."""
