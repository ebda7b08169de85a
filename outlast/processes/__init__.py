"""Processes: with which environment ours start others, that these end with whoever started them, and what memory one keeps.

Open `leash.py` first. Others use `bare_environment` of `environment.py`, `leashed` and `kept` of `leash.py`, and `memory.py`.
"""
