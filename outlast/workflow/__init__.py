"""What every workflow of agents is built on: its base class, activity calls, failures, policies. Start with `base.py`."""
