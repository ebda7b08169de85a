"""Turns the figures into `docs/performance.md`."""
