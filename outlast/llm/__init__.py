"""The model call: what is asked of a model (`base.py`), Claude behind it, and its scripted twin for tests.

Open `activities.py` first: one activity is one call. `claude.py` makes it, `http_errors.py` says what is retried.
Others use the protocol `LLM` and `AgentActivities`; only `claude*.py` import the SDK.
"""
