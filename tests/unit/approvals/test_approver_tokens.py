"""A token proves who decided, on exactly what it was made for, until it expires; what travels makes no other token."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from outlast.approvals.tokens import GRANT, TokenError, decided, granted, identity
from outlast.contracts import IdentityRequest

SECRET = "a-secret-of-this-deployment-only-0123456789"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = timedelta(hours=8)
DIGEST = "ab" * 32
BOUNDS = {"run": "r", "gate": "gate-1", "digest": DIGEST, "verdict": "approve", "chain": "first"}


def asked(token: str, **changes: Any) -> IdentityRequest:
    return IdentityRequest(token=token, at=changes.pop("at", NOW), **BOUNDS | changes)


def grant(secret: str = SECRET, **bounds: str) -> str:
    return granted(secret, "ann", NOW, HOURS, **bounds)


def forged() -> str:
    """Sign for another gate with all that history shows of a decision."""
    seen = jwt.decode(decided(grant(), **BOUNDS), options={"verify_signature": False})
    return jwt.encode(seen | {"gate": "gate-2"}, seen["grant"].encode(), "HS256")


def test_a_decision_is_by_whom_the_grant_names_and_fills_in_what_was_left_open() -> None:
    found = identity(SECRET, asked(decided(grant(), **BOUNDS), gate="", digest=""))

    assert (found.by, found.gate, found.digest, found.refused) == ("ann", "gate-1", DIGEST, "")
    assert found.expires == NOW + HOURS


def test_a_grant_for_one_gate_may_be_sent_by_hand() -> None:
    assert identity(SECRET, asked(grant(run="r", gate="gate-1", chain="first"))).by == "ann"


@pytest.mark.parametrize(
    ("made", "changes", "reason"),
    [
        (lambda: decided(grant(), **BOUNDS), {"gate": "gate-2"}, "is for gate-1"),
        (lambda: decided(grant(), **BOUNDS), {"run": "other"}, "is for run 'r'"),
        (lambda: decided(grant(), **BOUNDS), {"chain": "second"}, "another run of the id"),
        (lambda: decided(grant(), **BOUNDS), {"digest": "cd" * 32}, "is for the action abab"),
        (lambda: decided(grant(), **BOUNDS), {"verdict": "deny"}, "says approve"),
        (lambda: decided(grant(), **BOUNDS), {"edit": "ef" * 32}, "is for other arguments"),
        (lambda: decided(grant(), **BOUNDS, edit="ef" * 32), {}, "is for other arguments"),
        (lambda: decided(grant(), **BOUNDS), {"stop_asking": "ef" * 32}, "is for other bounds"),
        (lambda: decided(grant(), **BOUNDS, stop_asking="ef" * 32), {}, "is for other bounds"),
        (
            lambda: grant(run="r", gate="gate-1", chain="first"),
            {"stop_asking": "ef" * 32},
            "does not name what comes with it: stop_asking",
        ),
        (lambda: decided(grant(), **BOUNDS, edit="ef" * 32), {"edit": "cd" * 32}, "is for other arguments"),
        *[
            (lambda left_out=name: decided(grant(), **BOUNDS | {left_out: ""}), {}, f"names no {name}")
            for name in BOUNDS
        ],
        (lambda: grant(run="r", gate="gate-1"), {}, "is for signing in"),
        (lambda: grant(run="r", gate="gate-1", chain="second"), {}, "another run of the id"),
        (lambda: grant(run="r", gate="gate-1", chain="first"), {"edit": "ef" * 32}, "does not name the edit"),
        (lambda: decided(grant(), **BOUNDS), {"at": NOW + HOURS}, "expired at 2026-01-01 08:00"),
        (lambda: decided(grant("another-secret-of-at-least-32-letters"), **BOUNDS), {}, "not made with"),
        (lambda: decided(grant(run="x"), **BOUNDS), {}, "is for run 'x'"),
        (lambda: grant(), {}, "is for signing in"),
        (lambda: grant("another-secret-of-at-least-32-letters", run="r", gate="gate-1"), {}, "not made with"),
        (forged, {"gate": "gate-2"}, "not made with"),
        (lambda: jwt.encode({"aud": GRANT, "sub": "ann", "exp": 2**40, "jti": "1"}, "", "none"), {}, "cannot be read"),
        (lambda: jwt.encode({"aud": "else", "exp": 2**40, "jti": "1"}, SECRET, "HS256"), {}, "of another kind"),
        (lambda: jwt.encode({"aud": GRANT, "sub": "ann"}, SECRET, "HS256"), {}, "cannot be read"),
        (lambda: "no token", {}, "cannot be read"),
    ],
)
def test_a_token_for_anything_else_proves_nothing(made: Callable[[], str], changes: Any, reason: str) -> None:
    with pytest.raises(TokenError, match=reason):
        identity(SECRET, asked(made(), **changes))
