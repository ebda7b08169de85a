"""Encrypts what lies in the content store and in the spool, with the keys that encrypt messages in history.

AES-256-GCM in pieces, so that a large text is never in memory a third time. Each object has a key of its own, derived from
the key in PAYLOAD_KEYS and a random salt (HKDF), so nonces may simply count. Each piece is bound to its object's name, its place
and whether it is the last one: pieces that were swapped, cut off or moved to another object are refused. The newest key
encrypts, all of them decrypt, and what was written before there were keys is read as it is.
"""

import io
import os
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x89outlast sealed\x01"
"""How a sealed object begins; its first byte begins no text."""
SALT_BYTES = 16
TAG_BYTES = 16
PIECE_BYTES = 64 * 1024
"""Bytes of plain text that are encrypted together."""
LONGEST_NAME = 255
_PURPOSE = b"outlast content store"


class KeyMissingError(ValueError):
    """An object is encrypted with a key that this process does not have; the message names it."""


class SealBrokenError(ValueError):
    """An object is not what was encrypted: it was cut off, changed or moved."""


class Seal:
    """Encrypts with the first of its keys and decrypts with all of them; without keys everything stays in clear.

    Args:
        keys: Keys of 32 bytes by name, the newest first.
        writes: Whether it encrypts what is written; what is encrypted is read either way.
    """

    def __init__(self, keys: Mapping[str, bytes] | None = None, *, writes: bool = True) -> None:
        self._keys = {name.encode(): key for name, key in (keys or {}).items()}
        self._newest = next(iter(self._keys), None) if writes else None

    @property
    def writes(self) -> bool:
        """Whether what is written is encrypted."""
        return self._newest is not None

    def close(self, name: str, data: bytes) -> bytes:
        """Encrypt the bytes of the object called `name`; returns them as they are where nothing is encrypted."""
        if self._newest is None:
            return data
        salt = os.urandom(SALT_BYTES)
        head = MAGIC + bytes([len(self._newest)]) + self._newest + salt
        cipher = _cipher(self._keys[self._newest], salt)
        sealed, plain = io.BytesIO(), memoryview(data)
        sealed.write(head)
        pieces = _pieces(len(data), PIECE_BYTES)
        for at in range(pieces):
            piece = plain[at * PIECE_BYTES : (at + 1) * PIECE_BYTES]
            sealed.write(cipher.encrypt(_nonce(at), piece, _bound(head, name, at, last=at == pieces - 1)))
        return sealed.getvalue()

    def open(self, name: str, data: bytes | memoryview) -> bytes:
        """Decrypt the bytes of the object called `name`; those in clear are returned as they are.

        Raises KeyMissingError and SealBrokenError.
        """
        given = memoryview(data)
        if not is_sealed(given):
            return bytes(given)
        start = len(MAGIC) + 1
        body = start + (given[len(MAGIC)] if len(given) > len(MAGIC) else 0) + SALT_BYTES
        if len(given) < body + TAG_BYTES:
            raise SealBrokenError("it ends within its head")
        head = bytes(given[:body])
        key_name, salt = head[start:-SALT_BYTES], head[-SALT_BYTES:]
        if key_name not in self._keys:
            raise KeyMissingError(
                f"PAYLOAD_KEYS: it is encrypted with the key {key_name.decode(errors='replace')!r}, which is not there"
            )
        from cryptography.exceptions import InvalidTag  # an extra, which whoever has keys has installed

        cipher, plain, sealed = _cipher(self._keys[key_name], salt), io.BytesIO(), given[body:]
        step = PIECE_BYTES + TAG_BYTES
        pieces = _pieces(len(sealed), step)
        try:
            for at in range(pieces):
                bound = _bound(head, name, at, last=at == pieces - 1)
                plain.write(cipher.decrypt(_nonce(at), sealed[at * step : (at + 1) * step], bound))
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError("it is not what was encrypted") from error
        return plain.getvalue()

    def fits(self, size: int, plain: int) -> bool:
        """Whether an object of `size` bytes can be a whole one of `plain` bytes, written as this seal would write it.

        One in clear does not fit where everything is encrypted, so that it is written anew.
        """
        least = plain + len(MAGIC) + 1 + SALT_BYTES + TAG_BYTES * _pieces(plain, PIECE_BYTES)
        return (size == plain and not self.writes) or least < size <= least + LONGEST_NAME


def is_sealed(data: bytes | memoryview) -> bool:
    """Whether bytes begin as an encrypted object does."""
    return data[: len(MAGIC)] == MAGIC


def _cipher(key: bytes, salt: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(algorithm=SHA256(), length=len(key), salt=salt, info=_PURPOSE).derive(key))


def _pieces(size: int, step: int) -> int:
    return max(1, -(-size // step))


def _nonce(at: int) -> bytes:
    return at.to_bytes(12, "big")


def _bound(head: bytes, name: str, at: int, *, last: bool) -> bytes:
    return head + name.encode() + struct.pack(">Q?", at, last)
