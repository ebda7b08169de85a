"""Stages: each has a goal, agents and a check, and hands its output on.

Open `work.py` first: one stage is planned, run and tried again; `rules.py` holds the default stages and their checks.
Others use `StageWork` and the contracts.
"""
