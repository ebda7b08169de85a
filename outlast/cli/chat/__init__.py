"""Talking to an agent's session in a terminal. `chatting.py` is the chat, `sessions.py` sends messages for the server, too."""
