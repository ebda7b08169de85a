"""Encryption of content: it tells nothing, comes back whole, and what was changed, cut off, swapped or moved is refused."""

import os
import tracemalloc

import pytest

from outlast.storage.sealing import MAGIC, PIECE_BYTES, TAG_BYTES, KeyMissingError, Seal, SealBrokenError

OLD, NEW = os.urandom(32), os.urandom(32)
SEAL = Seal({"new": NEW, "old": OLD})


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_what_is_encrypted_comes_back_whole_at_every_border_of_a_piece(size: int) -> None:
    data = os.urandom(size)
    sealed = SEAL.close("a", data)
    assert SEAL.open("a", sealed) == data
    assert SEAL.fits(len(sealed), size)
    assert not SEAL.fits(size, size)
    assert not SEAL.fits(len(sealed) // 2, size)
    assert SEAL.close("a", data) != sealed


def test_it_tells_nothing_but_its_size() -> None:
    sealed = SEAL.close("a", b"quokka" * 50_000)
    assert b"quokka" not in sealed
    assert len({sealed[at : at + 64] for at in range(0, len(sealed), 64)}) == -(-len(sealed) // 64)  # no block repeats


def test_old_keys_read_what_is_in_clear_is_read_and_a_missing_key_is_named() -> None:
    old = Seal({"old": OLD}).close("a", b"text")
    assert SEAL.open("a", old) == b"text"
    assert SEAL.open("a", b"in clear") == Seal().open("a", b"in clear") == b"in clear"
    assert Seal().close("a", b"text") == Seal({"old": OLD}, writes=False).close("a", b"text") == b"text"
    assert Seal({"old": OLD}, writes=False).open("a", old) == b"text"
    for without in (Seal(), Seal({"new": NEW})):
        with pytest.raises(KeyMissingError, match=r"PAYLOAD_KEYS.*'old', which is not there"):
            without.open("a", old)
    with pytest.raises(SealBrokenError):
        Seal({"old": NEW}).open("a", old)


def test_what_was_changed_cut_off_swapped_or_moved_is_refused() -> None:
    sealed = SEAL.close("a", os.urandom(PIECE_BYTES * 3))
    body, step = len(sealed) - 3 * (PIECE_BYTES + TAG_BYTES), PIECE_BYTES + TAG_BYTES
    head, (one, two, three) = sealed[:body], (sealed[body + at * step : body + (at + 1) * step] for at in range(3))
    wrong = {
        "the last piece is missing": head + one + two,
        "the last bytes are missing": sealed[:-1],
        "pieces are swapped": head + two + one + three,
        "a piece is there twice": head + one + two + two + three,
        "a bit is changed": sealed[:-1] + bytes([sealed[-1] ^ 1]),
        "the key's name is changed": sealed.replace(b"new", b"old", 1),
        "it ends in its head": sealed[: len(MAGIC) + 3],
        "it is its mark alone": MAGIC,
    }
    for what, changed in wrong.items():
        with pytest.raises(SealBrokenError):
            assert not SEAL.open("a", changed), what
    with pytest.raises(SealBrokenError):
        SEAL.open("b", sealed)


def test_a_large_text_is_in_memory_once_more_and_no_oftener() -> None:
    size = 16 * 1024 * 1024
    sealed = SEAL.close("a", bytes(size))
    tracemalloc.start()
    try:
        SEAL.open("a", sealed)
        opening = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        SEAL.close("a", bytes(size))
        closing = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert opening < 1.3 * size
    assert closing < 2.3 * size  # with the text itself
