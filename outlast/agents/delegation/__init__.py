"""Agents that ask agents: whom a file names, the call as a step of its own, and the run of an agent that has tools.

Open `calling.py` first: what happens where a model calls `ask_NAME`; then `workflow.py`, the run of the agent that is asked.
`deciding.py` lets what people decide in one run hold in all runs of its tree; `naming.py` reads whom agent files name, and
`handing.py` hands a conversation over.
"""
