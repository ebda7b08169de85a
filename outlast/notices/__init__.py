"""People are told that a gate waits for them: mail, chat, webhooks. Start with `notifying.py`."""
