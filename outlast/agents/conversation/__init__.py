"""Conversations: a session that stays open for messages of people, and answers each or says why not.

Open `talk.py` first: how messages become turns; then `inbox.py`: what people send. The contracts are in `../sessions.py`.
"""
