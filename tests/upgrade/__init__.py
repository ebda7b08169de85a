"""Runs that an earlier release started finish on the code of today."""
