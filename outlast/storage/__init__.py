"""Texts by reference, encrypted payloads, and answers kept when the store is away. Start with `activities.py`."""
