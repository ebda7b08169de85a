"""An approval that stands for the rest of its run: which further calls of its tool it covers, and when it no longer does.

Open `given.py` first: an approval is given, covers calls, and is revoked; `bounds.py` says which calls are within its bounds.
Others use `Given`; the gates of a run ask it before they open another gate.
"""
