"""The book of a run's budget: what is spent, what is reserved, and whether one more call fits. Pure.

Calls that run side by side may each fit what is left, and together they do not. So the worst that a call can cost is reserved
while it runs, and given back once its true cost is known. A call starts as soon as what it will probably cost fits beside
that: a limit is overshot by what one call costs more than expected, at most.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outlast.contracts import AgentCard, Budget, Message, ModelRequest, Part, Spend, Usage

UNKNOWN_BYTES = 4096
"""What a text by reference is taken for; a longer one comes back unsent, with its true size."""
AROUND_BYTES = 2048
"""Allowance for what a provider writes around a prompt, and for the marks between its messages."""
TOKENS_PER_BYTE = 0.3
"""How many tokens a byte of a prompt is taken for until calls of the model have shown it."""
LIKELY_OUTPUT = 1000
"""How many tokens an agent's answer is taken for until it has answered."""
LIKELY_SEARCHES = 30_000
"""How many tokens a provider's own web searches are taken to put into a prompt."""
OUTPUT_MARGIN = 1.5
MICRO = 1_000_000
NAMES = ("usd", "tokens", "calls")

Amounts = Mapping[str, float]
"""USD, tokens and calls by name."""


def amounts(spend: Spend) -> dict[str, float]:
    """Return what a spend counts for each limit."""
    return {"usd": spend.usd, "tokens": spend.tokens, "calls": spend.calls}


def worst_of(card: AgentCard, prompt: int, output: int) -> Spend:
    """Return what a call can cost at most: USD rounded up to the millionth, and 0 where its model has no price."""
    usd = 0.0
    if card.prices is not None:
        price = card.prices
        usd = prompt * price.input + output * price.output
        if price.long_prompt is not None and prompt > price.long_prompt:
            usd *= price.long_factor
        usd = math.ceil(usd) / MICRO
    return Spend(calls=1, input_tokens=prompt, output_tokens=output, usd=usd)


@dataclass
class Experience:
    """What the calls of one run have shown: tokens per byte of each model's prompts, and how much each agent answers."""

    tokens_per_byte: dict[str, float] = field(default_factory=dict)
    output: dict[str, float] = field(default_factory=dict)

    def learn(self, card: AgentCard, prompt_bytes: int, usage: Usage) -> None:
        """Take note of what a call used; `prompt_bytes` is the bound of its prompt."""
        prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if prompt and prompt_bytes and not card.web_searches:
            ratio = min(prompt / prompt_bytes, 1.0)
            self.tokens_per_byte[card.model] = (self.tokens_per_byte.get(card.model, ratio) + ratio) / 2
        if usage.output_tokens:
            known = self.output.get(card.name, usage.output_tokens)
            self.output[card.name] = (known + usage.output_tokens) / 2

    def likely(self, card: AgentCard, prompt: int, most_output: int, worst: Spend) -> Spend:
        """Return what a call will probably cost; `prompt` is the bound of its prompt, `most_output` that of its answer."""
        if card.web_searches:
            tokens = LIKELY_SEARCHES
        elif (ratio := self.tokens_per_byte.get(card.model)) is not None:
            tokens = math.ceil(prompt * ratio)
        else:
            tokens = math.ceil(max(prompt - AROUND_BYTES, 0) * TOKENS_PER_BYTE)
        known = self.output.get(card.name)
        output = LIKELY_OUTPUT if known is None else math.ceil(known * OUTPUT_MARGIN)
        found = worst_of(card, min(tokens, prompt), min(output, most_output))
        return found if found.usd <= worst.usd else worst


def prompt_guess(card: AgentCard, request: ModelRequest, conversation: int | None) -> int:
    """Guess how many tokens a prompt has at most, by its bytes; `conversation` is what is known of earlier messages.

    The activity knows the true bound, and sends nothing that is over what is reserved.
    """
    if request.web_searches:
        return card.window
    parts = [part for message in request.messages for part in _parts(message)]
    total = AROUND_BYTES + sum(map(_bytes, parts)) + len(str(request.output_schema or ""))
    if request.continues is not None:
        total += UNKNOWN_BYTES
    if conversation is not None:
        return min(total + conversation, card.window)
    known = card.system_bytes + sum(len(tool.model_dump_json()) for tool in request.tools)
    total += UNKNOWN_BYTES * ((request.transcript is not None) + (request.toolset is not None))
    return min(total + known, card.window)


def _parts(message: Message) -> Iterable[Part]:
    yield from message.parts
    yield from (answer.content for answer in message.answers)
    if message.blocks is not None:
        yield message.blocks


def _bytes(part: Part) -> int:
    return len((part.text or "").encode(errors="replace")) + len(part.label) + (UNKNOWN_BYTES if part.ref else 0)


@dataclass
class Ledger:
    """Limits and reservations of one run; `spent` is kept by the run's log and handed in."""

    limits: dict[str, float] = field(default_factory=dict)
    reserved: dict[int, Spend] = field(default_factory=dict)
    _numbers: int = 0

    @classmethod
    def of(cls, budget: Budget) -> "Ledger":
        """Open the book for a budget."""
        given = {name: getattr(budget, name) for name in NAMES}
        return cls({name: float(limit) for name, limit in given.items() if limit is not None})

    @property
    def held(self) -> Spend:
        """All reservations together."""
        total = Spend()
        for spend in self.reserved.values():
            total = total.plus(spend)
        return total

    def lacking(self, spent: Spend, *wanted: Spend) -> dict[str, float]:
        """Return what is missing for these calls beside those at work, by limit; empty if they fit."""
        taken = spent.plus(self.held)
        for spend in wanted:
            taken = taken.plus(spend)
        over = {name: _exact(amounts(taken)[name] - limit) for name, limit in self.limits.items()}
        return {name: amount for name, amount in over.items() if amount > 0}

    def reserve(self, spent: Spend, worst: Spend, likely: Spend | None = None) -> int:
        """Reserve the worst of a call if what is `likely` (else the worst) fits; returns the number to release it by.

        Raises ValueError if it does not fit.
        """
        if missing := self.lacking(spent, likely or worst):
            raise ValueError(f"the budget lacks {written(missing)}")
        self._numbers += 1
        self.reserved[self._numbers] = worst
        return self._numbers

    def release(self, number: int) -> None:
        """Give a reservation back, once what the call cost is among what is spent."""
        self.reserved.pop(number, None)

    def raise_by(self, more: Amounts) -> None:
        """Raise limits; a limit that there is not stays none."""
        self.limits |= {name: _exact(self.limits[name] + more[name]) for name in self.limits if name in more}

    def share(self, spent: Spend) -> tuple[float, str]:
        """Return the greatest share of a limit that is spent, and of which."""
        shares = [(amounts(spent)[name] / limit, name) for name, limit in self.limits.items()]
        return max(shares, default=(0.0, ""))

    def proposal(self, budget: Budget, spent: Spend, waiting: Iterable[Spend]) -> dict[str, float]:
        """Return what to raise the limits by so that all waiting calls fit: never less than what was given at first."""
        missing = self.lacking(spent, *waiting)
        return {name: _plain(name, max(amount, float(getattr(budget, name)))) for name, amount in missing.items()}


def written(some: Amounts) -> str:
    """Write amounts in words."""
    units = {"usd": "USD", "tokens": "tokens", "calls": "calls"}
    return ", ".join(f"{_plain(name, amount):,} {units[name]}" for name, amount in some.items())


def read_amounts(given: Mapping[str, Any]) -> dict[str, float]:
    """Read the amounts to raise by, as a person left them; raises ValueError that names the field and the fix."""
    read: dict[str, float] = {}
    for name, value in given.items():
        if name not in NAMES:
            raise ValueError(f"{name}: a budget has usd, tokens and calls; leave it out")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"{name}: {str(value)[:40]!r} is not an amount; give a number of 0 or more")
        read[name] = float(value)
    return read


def _exact(usd: float) -> float:
    """Drop what binary fractions add: all amounts are multiples of a millionth."""
    return round(usd, 6)


def _plain(name: str, amount: float) -> float:
    return _exact(amount) if name == "usd" else math.ceil(amount)
