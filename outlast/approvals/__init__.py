"""People decide: gates, decisions and who made them, checkpoints, pauses and questions.

Start with `gates.py`: a gate opens, waits with a deadline, and closes with a decision.
"""
