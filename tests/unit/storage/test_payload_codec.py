"""Encryption of what travels through Temporal: keys, their change, and messages that are not ours or were changed."""

from dataclasses import replace

import pytest
from pydantic import SecretStr, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from outlast.cli.leaving import verdict
from outlast.client import Settings, data_converter
from outlast.storage.payload_codec import EncryptionCodec, new_key, read_keys
from outlast.storage.sealing import KeyMissingError

OLD, NEW = new_key("old"), new_key("new")


def codec(*keys: str) -> PayloadCodec:
    return EncryptionCodec(read_keys(",".join(keys)))


async def test_what_is_encrypted_tells_nothing_and_comes_back_whole() -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"secret"')
    one, two = await codec(NEW).encode([plain, plain])
    assert b"secret" not in one.SerializeToString()
    assert one.data != two.data
    assert await codec(NEW).decode([one, two]) == [plain, plain]


async def test_old_keys_decrypt_after_a_change_and_a_missing_one_is_named() -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    (old,) = await codec(OLD).encode([plain])
    assert await codec(NEW, OLD).decode([old]) == [plain]
    (new,) = await codec(NEW, OLD).encode([plain])
    assert await codec(NEW).decode([new]) == [plain]
    with pytest.raises(KeyMissingError, match=r"PAYLOAD_KEYS.*'old', which is not there") as missing:
        await codec(NEW).decode([old])
    code, said = verdict(missing.value)
    assert (code, "set all keys that still count, the newest first" in said) == (2, True), "no traceback for a person"


async def test_a_changed_message_is_refused_and_one_in_clear_is_taken_as_it_is() -> None:
    (sealed,) = await codec(NEW).encode([Payload(data=b"1")])
    with pytest.raises(ValueError, match="is not what was encrypted"):
        await codec(NEW).decode([Payload(metadata=dict(sealed.metadata), data=sealed.data[:-1] + b"x")])
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'"by hand"')
    assert await codec(NEW).decode([clear]) == [clear]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("abc", "key 1: write name:key"),
        ("a:%%%", "key 'a': is not base64"),
        ("a:AAAA", "key 'a': has 3 bytes and must have 32"),
        (f"{OLD},{OLD}", "key 'old': is there twice"),
    ],
    ids=["no name", "no base64", "too short", "twice"],
)
def test_a_wrong_key_is_named_and_never_shown(keys: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(payload_keys=SecretStr(keys), _env_file=None)
    assert said in str(caught.value)
    assert keys.partition(":")[2] not in str(caught.value) or not keys.partition(":")[2]


def test_without_keys_nothing_is_encrypted() -> None:
    assert data_converter(1024).payload_codec is None
    assert replace(data_converter(1024, SecretStr(NEW))).payload_codec is not None
