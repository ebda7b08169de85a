"""Agents that ask agents: whom a file names, the call as a step of its own, and the run of an agent that has tools.

Open `calling.py` first: what happens where a model calls `ask_NAME`; then `workflow.py`, the run of the agent that is asked.
`naming.py` reads whom agent files name, `handing.py` hands a conversation over.
"""
