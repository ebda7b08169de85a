"""What every workflow of agents is built on.

Open `base.py` first: `AgentWorkflow`, one managed run with its queries and signals.
Others use `AgentWorkflow`, `run_activity`, the time-outs in `policies.py`, and `FAILURES` and `ENDINGS` of `failures.py`.
"""
