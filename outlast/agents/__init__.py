"""Agents: their files, the agents of a run, asking one for an answer, its tool loop and its conversations.

Open `agents.py` first: what `self.agents.ask(…)` does; then `asking.py` (repairs, fallbacks) and `tool_loop.py`.
Others use `Agents`, `Answer`, `AgentLoop` and `call_model`; the files named `…_activities` touch the world.
"""
