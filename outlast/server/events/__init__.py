"""The events of a run, for SSE and AG-UI: `log.py` reads them from history, `feed.py` follows one run for all that watch it.

What history holds is an event with an id, the same whoever reads it and whenever; so a client resumes after the last id that it
has seen. How the run stands, and what models are writing, is sent beside it without an id, and replaces what was sent before.
"""
