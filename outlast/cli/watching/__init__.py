"""Watching running runs: one with its steps, all of them at once, and the texts that models are writing.

Looking changes nothing: a watcher asks the server and, through a query, the worker, and leaves no event in any history.
"""
