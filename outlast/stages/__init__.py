"""Stages: each has a goal, agents and a check, and hands its output on. Start with `work.py`."""
