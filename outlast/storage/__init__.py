"""Texts by reference, encrypted payloads, and answers kept when the store is away.

Open `activities.py` first: the content store, and the activities that put and get a text.
Others use `ContentStore`, `EncryptionCodec` and `Spool`.
"""
