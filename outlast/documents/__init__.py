"""Documents: how text comes out of a file, and how agents read one that is longer than a window.

Open `activities.py` first: a file is read in a process of its own (`parsing/`), by its format (`formats/`).
Others use `read_document` and `Digest` of `digest.py`, and the checks of JSON schemas in `parsing/`.
"""
