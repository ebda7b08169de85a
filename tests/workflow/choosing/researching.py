"""Sources and agents of parallel research, scripted."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from activities.search.sources.base import Answered, Hit
from outlast.contracts import StopReason, Usage
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply

ID = re.compile(r"^\[([A-Z]\d+)\]", re.MULTILINE)


@dataclass
class Given:
    """A source that gives what a test wants, after `seconds`; `error` builds what it raises instead."""

    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: Callable[[], Exception] | None = None
    asked: list[str] = field(default_factory=list)
    fingerprint: str | None = None

    async def search(self, query: str, limit: int) -> Answered:
        self.asked.append(query)
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error()
        return Answered(self.hits[:limit], self.notes)


def hit(title: str) -> Hit:
    """Build a hit with an address of its own."""
    return Hit(title, f"https://{title.lower().replace(' ', '-')}.example/", "2026-03-01", f"All about {title}.")


def said(call: ModelCall) -> str:
    """Return all that an agent was told."""
    return "\n".join(text for _, text in call.messages)


def is_synthesis(call: ModelCall) -> bool:
    """Tell the synthesiser's call from a reader's."""
    return call.system.startswith("You join the notes")


def cannot_search() -> Given:
    """Build a web source that nobody configured."""
    return Given(error=lambda: non_retryable(ErrorKind.SOURCE_NOT_CONFIGURED, "no web search is configured"))


def searching_itself(call: ModelCall) -> str | ModelReply:
    """Find two pages as a model that searches the web by itself does, and cite one of them; else as `citing`."""
    if not call.web_searches:
        return citing(call)
    pages = [
        {"type": "web_search_result", "title": "Seen", "url": "https://seen.example/", "page_age": "2 days ago"},
        {"type": "web_search_result", "title": "Cited", "url": "https://cited.example/", "page_age": "2026-02-03"},
    ]
    blocks = (
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "heat pumps"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": pages},
        {"type": "text", "text": "They are efficient.", "citations": [{"url": "https://cited.example/"}]},
    )
    return ModelReply("They are efficient.", StopReason.END_TURN, Usage(input_tokens=9), call.model, blocks=blocks)


def citing(call: ModelCall) -> str:
    """Cite every finding as a reader, and every note as a synthesiser."""
    if is_synthesis(call):
        cited = re.findall(r"[A-Z]\d+ matters \[[A-Z]\d+\]", said(call))
        return "Answer: " + ", ".join(cited) + "."
    return "\n".join(f"{name} matters [{name}]." for name in ID.findall(said(call)))


def missing(call: ModelCall) -> str:
    """Cite as `citing`; a synthesiser that may name what is missing does so."""
    return citing(call) + ("\nMISSING: heat pump sales" if is_synthesis(call) and "MISSING:" in said(call) else "")
