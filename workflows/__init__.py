"""Workflows of this application: deterministic code that plans, routes, waits and gathers.

One rule: no clock, environment, network, randomness or file here. Whatever touches the world is an activity.
Nothing is imported by this file, because the sandbox runs it anew for every workflow run.
"""
