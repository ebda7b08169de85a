"""Documents: read in a process apart (`activities.py`), and digested by agents where they are long (`digest.py`)."""
