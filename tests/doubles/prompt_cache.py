"""What the Messages API's prompt cache would say to requests, byte by byte.

A breakpoint (`cache_control`) ends a prefix of everything before it: model, output format, tools, system, messages. A prefix is
read where an earlier request wrote the very same bytes and its answer has begun since; else it is written. Prefixes
shorter than the minimum are not cached.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

BYTES_PER_TOKEN = 4


@dataclass
class PromptCache:
    """The entries of one provider; `minimum` in tokens."""

    minimum: int = 1024
    entries: set[bytes] = field(default_factory=set)

    def usage(self, body: dict[str, Any]) -> dict[str, int]:
        """Count the tokens of a request's prompt by tier."""
        whole, prefixes = _prefixes(body)
        long = [prefix for prefix in prefixes if len(prefix) // BYTES_PER_TOKEN >= self.minimum]
        read = max((len(prefix) for prefix in long if prefix in self.entries), default=0)
        written = max((len(prefix) for prefix in long), default=0)
        return {
            "cache_read_input_tokens": read // BYTES_PER_TOKEN,
            "cache_creation_input_tokens": max(written - read, 0) // BYTES_PER_TOKEN,
            "input_tokens": (len(whole) - max(written, read)) // BYTES_PER_TOKEN,
        }

    def begun(self, body: dict[str, Any]) -> None:
        """Make what a request wrote readable: its answer begins."""
        _, prefixes = _prefixes(body)
        self.entries.update(prefix for prefix in prefixes if len(prefix) // BYTES_PER_TOKEN >= self.minimum)


def _prefixes(body: dict[str, Any]) -> tuple[bytes, list[bytes]]:
    """Write a prompt as bytes, block by block; returns it, and each beginning of it that ends with a breakpoint."""
    written, prefixes = b"", []
    for block in _blocks(body):
        bare = {name: value for name, value in block.items() if name != "cache_control"}
        written += json.dumps(bare, ensure_ascii=False, sort_keys=True).encode()
        if block.get("cache_control"):
            prefixes.append(written)
    return written, prefixes


def _blocks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {name: body.get(name) for name in ("model", "output_config")}
    yield from body.get("tools", ())
    system = body.get("system", ())
    yield from [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield {"role": message["role"], **block}
