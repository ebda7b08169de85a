"""The built-in weights, rewritten once in a form that llama.cpp reads prompts with about twice as fast.

The weights come as Q4_1, for which llama.cpp has no fast matrix product on CPUs; for Q8_0 it has. The numbers stay the
same to within a rounding of 1/254 of each block's largest. The copy (145 MB, made in two seconds) lies in the user's
cache folder. llama.cpp's own routines do the work, called in the library that xllamacpp brings; wherever that
fails (no such symbols, no room, a read-only disk), the original is used, which is only slower.
"""

import ctypes
import hashlib
import os
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ALIGNMENT = 32
Q4_1, Q8_0 = 3, 8
BLOCK = 32  # weights in one block of either
SIZES = {0: (1, 4), 1: (1, 2), Q4_1: (BLOCK, 20), Q8_0: (BLOCK, 34)}  # weights and bytes of one block, by type
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Tensor:
    """One entry of a GGUF file's table; `offset` counts from the beginning of the data."""

    name: bytes
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def weights(self) -> int:
        """How many numbers it holds."""
        count = 1
        for side in self.shape:
            count *= side
        return count

    def size(self) -> int:
        """How many bytes it takes."""
        weights, length = SIZES[self.kind]
        return self.weights // weights * length


def faster(weights: Path, library: Path) -> Path:
    """Return the fast copy of Q4_1 weights, made now if it is not there yet; `weights` itself if that cannot be."""
    folder = os.environ.get("LOCAL_MODEL_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "local_model"
    )
    if folder == "off":
        return weights
    try:
        about = weights.stat()
        key = hashlib.sha256(f"{weights}{about.st_size}{about.st_mtime_ns}".encode()).hexdigest()[:12]
        copy = Path(folder) / f"{weights.stem}-Q8_0-{key}.gguf"
        if not copy.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            _write(weights, copy, ctypes.CDLL(str(library)))
    except (OSError, AttributeError, KeyError, ValueError, struct.error):
        return weights
    return copy


def _write(weights: Path, copy: Path, library: ctypes.CDLL) -> None:
    source = weights.read_bytes()
    reader = _Reader(source)
    head, tensors, begin = reader.read()
    # Beside its place and then renamed, so that a copy is never seen half written.
    descriptor, name = tempfile.mkstemp(dir=copy.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as out:
            kinds = [Q8_0 if tensor.kind == Q4_1 else tensor.kind for tensor in tensors]
            out.write(_padded(head + b"".join(_table(tensors, kinds))))
            for tensor, kind in zip(tensors, kinds, strict=True):
                data = source[begin + tensor.offset : begin + tensor.offset + tensor.size()]
                out.write(_padded(data if kind == tensor.kind else _converted(data, tensor, library)))
        os.replace(name, copy)
    except BaseException:
        os.unlink(name)
        raise


def _table(tensors: list[Tensor], kinds: list[int]) -> Iterator[bytes]:
    offset = 0
    for tensor, kind in zip(tensors, kinds, strict=True):
        yield struct.pack("<Q", len(tensor.name)) + tensor.name
        yield struct.pack(f"<I{len(tensor.shape)}QIQ", len(tensor.shape), *tensor.shape, kind, offset)
        size = Tensor(tensor.name, tensor.shape, kind, 0).size()
        offset += size + -size % ALIGNMENT


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _converted(data: bytes, tensor: Tensor, library: ctypes.CDLL) -> bytes:
    numbers = (ctypes.c_float * tensor.weights)()
    library.dequantize_row_q4_1.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64)
    library.dequantize_row_q4_1.restype = None
    library.dequantize_row_q4_1(data, numbers, tensor.weights)
    packed = ctypes.create_string_buffer(tensor.weights // BLOCK * SIZES[Q8_0][1])
    quantize = library.ggml_quantize_chunk
    count = ctypes.c_int64
    quantize.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, count, count, count, ctypes.c_void_p)
    quantize.restype = ctypes.c_size_t
    columns, rows = tensor.shape[0], tensor.weights // tensor.shape[0]
    if quantize(Q8_0, numbers, packed, 0, rows, columns, None) != len(packed):
        raise ValueError("the library packs Q8_0 differently")
    return packed.raw


class _Reader:
    """Reads the head of a GGUF file."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._at = 0

    def read(self) -> tuple[bytes, list[Tensor], int]:
        """Return the bytes before the table, the table, and where the data begin."""
        if self._source[:4] != b"GGUF":
            raise ValueError("no GGUF file")
        self._at = 8
        tensors, values = self._number("Q"), self._number("Q")
        for _ in range(values):
            self._string()
            self._skip(self._number("I"))
        head = self._source[: self._at]
        table = [self._tensor() for _ in range(tensors)]
        return head, table, self._at + -self._at % ALIGNMENT

    def _tensor(self) -> Tensor:
        name = self._string()
        shape = tuple(self._number("Q") for _ in range(self._number("I")))
        return Tensor(name, shape, self._number("I"), self._number("Q"))

    def _number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self._source, self._at)
        self._at += struct.calcsize(f"<{code}")
        return int(value)

    def _string(self) -> bytes:
        length = self._number("Q")
        self._at += length
        return self._source[self._at - length : self._at]

    def _skip(self, kind: int) -> None:
        if kind == STRING:
            self._string()
        elif kind == ARRAY:
            inner, count = self._number("I"), self._number("Q")
            for _ in range(count):
                self._skip(inner)
        else:
            self._number(SCALARS[kind])
