"""What a run may cost: a call is reserved before it starts and settled after it. Start with `limits.py`."""
