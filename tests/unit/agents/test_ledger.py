"""The ledger never lets reserved and spent together over a limit, whatever runs side by side, and everything settles."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.budget.ledger import Experience, Ledger, amounts, prompt_guess, read_amounts, worst_of
from outlast.contracts import AgentCard, Budget, Message, ModelRequest, Part, Prices, Spend, Usage
from outlast.llm.base import ModelCall, ModelSpec, ModelTable
from outlast.storage.paid_replies import prompt_bound

MICRO = 1_000_000


@st.composite
def call(draw: st.DrawFn) -> tuple[Spend, Spend]:
    """Draw the worst that a call can cost, and what it costs in the end."""
    prompt, output = draw(st.integers(0, 5000)), draw(st.integers(0, 500))
    usd = draw(st.integers(0, 3 * MICRO))
    worst = Spend(calls=1, input_tokens=prompt, output_tokens=output, usd=usd / MICRO)
    real = Spend(
        calls=draw(st.integers(0, 1)),
        input_tokens=draw(st.integers(0, prompt)),
        output_tokens=draw(st.integers(0, output)),
        usd=draw(st.integers(0, usd)) / MICRO,
    )
    return worst, real


limits = st.builds(
    Budget,
    usd=st.one_of(st.none(), st.integers(1, 10 * MICRO).map(lambda micro: micro / MICRO)),
    tokens=st.one_of(st.none(), st.integers(1, 20_000)),
    calls=st.one_of(st.none(), st.integers(1, 10)),
)


@given(budget=limits, calls=st.lists(call(), max_size=30), data=st.data())
def test_any_fan_out_stays_within_every_limit(
    budget: Budget, calls: list[tuple[Spend, Spend]], data: st.DataObject
) -> None:
    ledger, spent, running = Ledger.of(budget), Spend(), dict[int, Spend]()
    waiting = list(calls)
    while waiting or running:
        starts = waiting and not ledger.lacking(spent, waiting[0][0])
        if starts and (not running or data.draw(st.booleans())):
            worst, real = waiting.pop(0)
            running[ledger.reserve(spent, worst)] = real
        elif running:
            number = data.draw(st.sampled_from(list(running)))
            spent = spent.plus(running.pop(number))
            ledger.release(number)
        else:
            # Nothing runs, and the next call does not fit: the limit is reached. Raised as proposed, all that wait fit.
            more = ledger.proposal(budget, spent, [worst for worst, _ in waiting])
            ledger.raise_by(more)
            assert not ledger.lacking(spent, *[worst for worst, _ in waiting])
        total = amounts(spent.plus(ledger.held))
        assert all(total[name] <= limit + 1e-9 for name, limit in ledger.limits.items())
    assert ledger.held == Spend()
    assert spent.usd == pytest.approx(sum(real.usd for _, real in calls))


@given(budget=limits, calls=st.lists(call(), max_size=30), data=st.data())
def test_calls_that_start_by_what_is_likely_overshoot_by_one_of_them_at_most(
    budget: Budget, calls: list[tuple[Spend, Spend]], data: st.DataObject
) -> None:
    ledger, spent, running = Ledger.of(budget), Spend(), dict[int, Spend]()
    waiting, over = list(calls), dict.fromkeys(("usd", "tokens", "calls"), 0.0)
    while waiting or running:
        worst, real = waiting[0] if waiting else (Spend(), Spend())
        likely = Spend(calls=1)  # however much too low
        if waiting and not ledger.lacking(spent, likely) and (not running or data.draw(st.booleans())):
            waiting.pop(0)
            running[ledger.reserve(spent, worst, likely)] = real
            over = {name: max(over[name], amount) for name, amount in amounts(worst).items()}
        elif running:
            number = data.draw(st.sampled_from(list(running)))
            spent = spent.plus(running.pop(number))
            ledger.release(number)
        else:
            break
        total = amounts(spent.plus(ledger.held))
        assert all(total[name] <= limit + over[name] + 1e-9 for name, limit in ledger.limits.items())
        assert total["calls"] <= ledger.limits.get("calls", math.inf)


def test_what_a_run_has_seen_tells_what_the_next_call_costs() -> None:
    seen, card = Experience(), _card(Prices(input=2, output=10))
    worst = worst_of(card, 10_000, 5000)
    assert seen.likely(card, 10_000, 5000, worst).input_tokens == 2386  # three tokens in ten bytes of what is its own
    assert seen.likely(card, 10_000, 5000, worst).output_tokens == 1000
    assert seen.likely(card, 10_000, 600, worst).output_tokens == 600
    seen.learn(card, 10_000, Usage(input_tokens=1000, cache_read_tokens=1500, output_tokens=200))
    likely = seen.likely(card, 20_000, 5000, worst_of(card, 20_000, 5000))
    assert (likely.input_tokens, likely.output_tokens) == (5000, 300)
    searching = card.model_copy(update={"web_searches": 5})
    assert seen.likely(searching, 1_000_000, 5000, worst_of(card, 1_000_000, 5000)).input_tokens == 30_000


def test_what_does_not_fit_cannot_be_reserved() -> None:
    ledger = Ledger.of(Budget(calls=1))
    ledger.reserve(Spend(), Spend(calls=1))
    with pytest.raises(ValueError, match="lacks 1 calls"):
        ledger.reserve(Spend(), Spend(calls=1))


specs = st.builds(
    ModelSpec,
    input=st.floats(0.01, 50),
    output=st.floats(0.01, 100),
    cache_read=st.floats(0, 5),
    cache_write=st.floats(0, 60),
    long_prompt=st.one_of(st.none(), st.integers(1, 10_000)),
    long_factor=st.floats(1, 5),
)


@given(
    spec=specs, tiers=st.tuples(*[st.integers(0, 5000)] * 3), output=st.integers(0, 5000), spare=st.integers(0, 5000)
)
def test_no_call_costs_more_than_its_worst(spec: ModelSpec, tiers: tuple[int, ...], output: int, spare: int) -> None:
    plain, read, write = tiers
    usage = Usage(input_tokens=plain, cache_read_tokens=read, cache_write_tokens=write, output_tokens=output)
    worst = worst_of(_card(spec.prices), plain + read + write + spare, output)
    assert ModelTable(models={"m": spec}).usd("m", usage) <= worst.usd
    assert usage.tokens <= worst.tokens


@given(said=st.text(max_size=3000), system=st.text(max_size=500), label=st.text(max_size=10))
def test_inline_texts_are_guessed_no_shorter_than_the_activity_counts_them(said: str, system: str, label: str) -> None:
    card = _card(None).model_copy(update={"system_bytes": len(system.encode())})
    request = ModelRequest(
        agent="a", model="m", messages=(Message(parts=(Part(text=said, label=label),)),), max_tokens=1
    )
    sent = ModelCall(model="m", messages=(("user", f"{label}:\n{said}"),), max_tokens=1, system=system)
    assert prompt_bound(sent, 1_000_000) <= prompt_guess(card, request, None)


@pytest.mark.parametrize(
    ("edit", "said"),
    [({"dollars": 5}, "dollars: a budget has"), ({"usd": "5"}, "usd: '5' is not an amount"), ({"calls": -1}, "calls: '-1'"),
     ({"usd": math.inf}, "usd: 'inf'"), ({"tokens": True}, "tokens: 'True'")],
)  # fmt: skip
def test_an_edit_that_is_no_amount_is_refused_with_the_field_and_the_mend(edit: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_amounts(edit)


def _card(prices: Prices | None) -> AgentCard:
    return AgentCard(
        name="a", description="d", model="m", window=1_000_000, max_tokens=10, timeout=9, system=Part(), prices=prices
    )
