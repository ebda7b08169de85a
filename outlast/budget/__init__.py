"""What a run may cost: a call is reserved before it starts and settled after it.

Open `limits.py` first: when a call waits, when a gate opens for more, when the run ends; `ledger.py` counts.
Others use `Budgeting` and the reservation that it gives for a call.
"""
