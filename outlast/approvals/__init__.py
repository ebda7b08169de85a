"""People decide: gates, decisions and who made them, checkpoints, pauses and questions.

Start with `gates.py`: a gate opens, waits with a deadline, and closes with a decision. Behind it, `messages.py` reads what people
send, `identity.py` checks who sent it, `rules.py` says whether it counts, `book.py` keeps gates and log, `views.py` shows them.
"""
