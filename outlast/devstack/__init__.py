"""The embedded stack: dev server, local model and worker in one supervised process tree, with its state in one folder.

Open `stack.py` first: what starts in which order; `supervisor.py` keeps it running.
Others use `Stack` and `StackOptions`; `local_model/` is a program of its own that the rest reaches over HTTP.
"""
