"""People decide: gates and their deadlines, decisions and who made them, checkpoints, pauses, questions.

Open `gates.py` first: a gate opens, waits and closes; `book/gates.py` holds its state, `rules.py` says which decision counts.
Others use `Gates`, `Checkpoints` and `unpaused`; a tool call waits for a person in `outlast/agents/tool_gates.py`.
"""
