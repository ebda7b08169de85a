"""A double of the Messages API over real HTTP, which counts its calls and misbehaves when told to; no model is behind it.

Open `double.py` first: it says what is answered, and what can be changed while it runs. Rules of answers are in `rules.py`.
"""
