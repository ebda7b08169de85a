"""Searching: sources, and citations that lead back to them. Start with `activities.py`."""
