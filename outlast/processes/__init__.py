"""Processes: with which environment ours start others, that these end with whoever started them, their memory and their ports.

Open `leash.py` first. Others use `bare_environment` of `environment.py`, `leashed` and `kept` of `leash.py`, `memory.py`, and
`ports.py`.
"""
