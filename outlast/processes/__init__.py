"""Processes that ours start: with which environment, and that they end with whoever started them.

Open `leash.py` first. Others use `bare_environment` of `environment.py`, and `leashed` and `kept` of `leash.py`.
"""
