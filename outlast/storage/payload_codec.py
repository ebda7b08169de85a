"""Encrypts what travels through Temporal, so that whoever runs the cluster reads ids, types and states, and nothing else.

AES-256-GCM with a fresh nonce for each payload. The newest key encrypts, all of them decrypt, so keys are changed without a stop:
put the new one first, and keep the old ones for as long as histories live. A payload that nobody here encrypted
(a signal sent in the Web UI) arrives in clear, and is taken as it is.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter, PayloadCodec

from outlast.command_line import command
from outlast.storage.payload_guard import SealedFailureConverter
from outlast.storage.sealing import KeyMissingError

ENCODING = b"binary/encrypted"
KEY_NAME = "encryption-key-id"
KEY_BYTES = 32
NONCE_BYTES = 12


def read_keys(text: str) -> dict[str, bytes]:
    """Read `name:base64[,name:base64…]`; raises ValueError that says what is wrong with which key, and never shows one."""
    keys: dict[str, bytes] = {}
    for at, part in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        name, colon, coded = part.partition(":")
        name = name.strip()
        if not colon or not name:
            raise ValueError(f"key {at}: write name:key; '{command('payload-key', 'NAME')}' makes one")
        try:
            key = base64.b64decode(coded.strip(), validate=True)
        except ValueError as error:
            raise ValueError(f"key {name!r}: is not base64; '{command('payload-key', name)}' makes one") from error
        if len(key) != KEY_BYTES:
            raise ValueError(f"key {name!r}: has {len(key)} bytes and must have {KEY_BYTES}")
        if name in keys:
            raise ValueError(f"key {name!r}: is there twice; give the new one another name")
        keys[name] = key
    return keys


def new_key(name: str) -> str:
    """Make a key as the setting takes it."""
    return f"{name}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


class EncryptionCodec(PayloadCodec):
    """Encrypts with the first of its keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers: dict[str, AESGCM] = {name: AESGCM(key) for name, key in keys.items()}
        self._newest = next(iter(self._ciphers))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, its metadata included."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each payload; raises KeyMissingError, or ValueError that says that a payload was changed."""
        return [
            self._decrypted(payload) if payload.metadata.get("encoding") == ENCODING else payload
            for payload in payloads
        ]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), self._newest.encode())
        return Payload(metadata={"encoding": ENCODING, KEY_NAME: self._newest.encode()}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        from cryptography.exceptions import InvalidTag

        name = payload.metadata.get(KEY_NAME, b"").decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise KeyMissingError(f"PAYLOAD_KEYS: a message is encrypted with the key {name!r}, which is not there")
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, name.encode()))
        except (InvalidTag, ValueError) as error:
            raise ValueError(f"PAYLOAD_KEYS: a message is not what was encrypted with the key {name!r}") from error


def encrypted(converter: DataConverter, keys: str) -> DataConverter:
    """Let a converter encrypt all that it sends, the texts of failures included."""
    return replace(
        converter,
        payload_codec=EncryptionCodec(read_keys(keys)),
        failure_converter_class=SealedFailureConverter,
    )


async def unsealed(converter: DataConverter, event: HistoryEvent) -> HistoryEvent:
    """Decrypt the failures of an event in place."""
    name = event.WhichOneof("attributes")
    attributes = getattr(event, name) if name else None
    for field in ("failure", "last_failure"):
        if attributes is not None and field in attributes.DESCRIPTOR.fields_by_name and attributes.HasField(field):
            await unseal(converter, getattr(attributes, field))
    return event


async def unseal(converter: DataConverter, failure: Failure) -> Failure:
    """Decrypt the messages and stacks of a failure and its causes in place; until then each says "Encoded failure"."""
    if failure.HasField("cause"):
        await unseal(converter, failure.cause)
    if failure.HasField("encoded_attributes"):
        (sealed,) = await converter.decode([failure.encoded_attributes], [dict])
        failure.message, failure.stack_trace = str(sealed.get("message", "")), str(sealed.get("stack_trace", ""))
    return failure
