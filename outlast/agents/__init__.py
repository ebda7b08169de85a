"""Agents: their files, the catalog of a run, asking one for an answer, its tool loop, sessions and transcripts.

Start with `agents.py`: the object that workflow code asks. `*_activities.py` touch the world.
"""
