"""An example application: refunds with a rule, a gate and an undo. Start with `workflow.py`."""
