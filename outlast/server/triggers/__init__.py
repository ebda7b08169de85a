"""Triggers: webhooks of others that start runs, by `triggers.toml`. `receiving.py` has the operation, `templates.py` the file."""
