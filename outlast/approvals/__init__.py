"""People decide: gates and their deadlines, decisions and who made them, checkpoints, pauses, questions.

Open `gates.py` first: a gate opens, waits and closes; `book.py` holds its state, `rules.py` says which decision counts.
Others use `Gates`, `Checkpoints`, `unpaused` and `call_by_effect`, by which a tool call waits for a person.
"""
