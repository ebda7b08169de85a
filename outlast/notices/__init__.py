"""People are notified that a gate waits for them: by mail, chat or webhook.

Open `notifying.py` first: when a notice is sent; `channels.py` knows the channels, `text.py` writes the message.
Others use `Notify`, which a workflow may replace by its own.
"""
