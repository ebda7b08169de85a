"""What people answer to the questions of a run; `../people.py` asks them, `../choices.py` puts some of them as gates.

Open `answers.py` first.
"""
