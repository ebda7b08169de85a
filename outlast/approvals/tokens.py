"""Signed tokens of approvers: made by whoever holds the secret, sent with a decision, checked before it counts.

    grant      says that its holder is WHO until a time, perhaps for one run and gate only; signed with the secret
    decision   one decision, signed with the grant's own signature as key, and the grant beside it without that signature

What is sent in a signal stays in history. So a grant that is good for everything never travels: from a decision
nobody can make another one, because the key of it is the part of the grant that was left out. Who pastes a token into a signal
by hand needs a grant bound to that run and gate, and it counts once.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from jwt.utils import base64url_decode, base64url_encode

from outlast.command_line import command
from outlast.contracts import Identity, IdentityRequest, same_digest

ALGORITHM = "HS256"
GRANT, DECISION = "agents:approver", "agents:decision"
"""The audience of each kind, so that neither passes for the other, nor for a token of another program of the same secret."""
UNCHECKED = {"verify_exp": False, "verify_iat": False, "require": ["exp", "jti"]}
"""Times are compared with when the decision arrived, not with when it is looked at."""


class TokenError(Exception):
    """A token proves nothing here; the message says why, in words that hold nothing of it."""


def granted(
    secret: str, who: str, now: datetime, lasts: timedelta, *, run: str = "", gate: str = "", chain: str = ""
) -> str:
    """Make a token that says its holder is `who`, for all gates, or those of one run, or one of them.

    `chain` is the first run id of the run: another run of the same id does not take the token.
    """
    if not who.strip():
        raise TokenError("it needs the name of a person")
    bounds = {name: value for name, value in (("run", run), ("gate", gate), ("chain", chain)) if value}
    return jwt.encode(
        {
            "aud": GRANT,
            "sub": " ".join(who.split()),
            "jti": uuid4().hex,
            "iat": int(now.timestamp()),
            "exp": int((now + lasts).timestamp()),
            **bounds,
        },
        secret,
        ALGORITHM,
    )


def decided(
    grant: str, *, run: str, chain: str, gate: str, digest: str, verdict: str, edit: str = "", stop_asking: str = ""
) -> str:
    """Sign one decision with a grant; needs no secret. It is good as long as the grant is, for exactly this action, once.

    `chain` is the first run id of the run, `edit` the hash of the edited arguments, empty where nothing is edited, `stop_asking`
    that of the bounds within which nobody shall be asked again.
    """
    payload, _, signature = grant.strip().rpartition(".")
    key = _key(signature)
    claims = {"aud": DECISION, "grant": payload, "jti": uuid4().hex, "exp": holds(grant)["exp"]}
    bounds = {"run": run, "chain": chain, "gate": gate, "digest": digest, "verdict": verdict, "edit": edit}
    bounds |= {"stop_asking": stop_asking} if stop_asking else {}
    return jwt.encode({**claims, **bounds}, key, ALGORITHM)


def holds(token: str) -> dict[str, Any]:
    """Read what a token says of itself, unproven: for its holder alone."""
    try:
        claims: dict[str, Any] = jwt.decode(token.strip(), options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise TokenError("it is not an approver token") from error
    if claims.get("aud") != GRANT:
        raise TokenError(f"it is not an approver token; make one: {command('approver-token', 'NAME')}")
    return claims


def grant_of(secret: str, token: str, at: datetime) -> dict[str, Any]:
    """Return the claims of a grant that was made with this secret and has not expired; raises TokenError."""
    claims = _read(token, secret, GRANT)
    if not str(claims.get("sub", "")).strip():
        raise TokenError("it names nobody")
    _in_time(claims, at)
    return claims


def identity(secret: str, request: IdentityRequest) -> Identity:
    """Return who sent this decision; raises TokenError where the token does not prove it."""
    try:
        kind = jwt.decode(request.token, options={"verify_signature": False}).get("aud")
    except jwt.PyJWTError as error:
        raise TokenError("its token cannot be read") from error
    if kind == DECISION:
        claims, grant = _decision(secret, request)
    else:
        claims = grant = grant_of(secret, request.token, request.at)
        if not (grant.get("run") and grant.get("gate") and grant.get("chain")):
            raise TokenError(
                "its token is for signing in, and in a signal others could read and use it; decide with the command approve, "
                "or send one made with --run and --gate"
            )
        if request.edit:
            raise TokenError("its token does not name the edit that comes with it; edit with the command decide")
        if request.stop_asking:
            raise TokenError("its token does not name what comes with it: stop_asking; use the command approve")
    _in_time(claims, request.at)
    for bounds in (grant, claims):
        _within(bounds, request)
    if kind == DECISION:
        _bound(claims, request)
    return Identity(
        by=grant["sub"],
        gate=claims.get("gate", ""),
        digest=claims.get("digest", ""),
        jti=claims["jti"],
        expires=datetime.fromtimestamp(claims["exp"], tz=request.at.tzinfo),
    )


def _decision(secret: str, request: IdentityRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the grant whole again, which only the secret can, and check the decision with it."""
    payload = str(jwt.decode(request.token, options={"verify_signature": False}).get("grant", ""))
    try:
        signature = jwt.get_algorithm_by_name(ALGORITHM)
        made = signature.sign(payload.encode(), signature.prepare_key(secret))
    except ValueError as error:
        raise TokenError("its token cannot be read") from error
    grant = grant_of(secret, f"{payload}.{base64url_encode(made).decode()}", request.at)
    return _read(request.token, made, DECISION), grant


def _read(token: str, key: str | bytes, audience: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token.strip(),
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            options=UNCHECKED,  # type: ignore[arg-type]
        )
    except jwt.InvalidAudienceError as error:
        raise TokenError("its token is of another kind") from error
    except jwt.InvalidSignatureError as error:
        raise TokenError("its token was not made with this deployment's secret, or was changed") from error
    except jwt.PyJWTError as error:
        raise TokenError("its token cannot be read") from error
    return claims


def _in_time(claims: dict[str, Any], at: datetime) -> None:
    try:
        expires = datetime.fromtimestamp(claims["exp"], tz=at.tzinfo)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise TokenError("its token cannot be read") from error
    if expires <= at:
        raise TokenError(f"its token expired at {expires:%Y-%m-%d %H:%M} UTC")


def _within(bounds: dict[str, Any], request: IdentityRequest) -> None:
    """Check that a token is used for what it was made for; what a decision leaves open, its token fills in."""
    if (run := bounds.get("run")) and run != request.run:
        raise TokenError(f"its token is for run {run!r}")
    if (chain := bounds.get("chain")) and chain != request.chain:
        raise TokenError(f"its token is for another run of the id {request.run!r}")
    if (gate := bounds.get("gate")) and request.gate not in ("", gate):
        raise TokenError(f"its token is for {gate}")
    if (verdict := bounds.get("verdict")) and verdict != request.verdict:
        raise TokenError(f"its token says {verdict}")
    if (digest := bounds.get("digest")) and request.digest and not same_digest(digest, request.digest):
        raise TokenError(f"its token is for the action {digest[:12]}")


def _bound(claims: dict[str, Any], request: IdentityRequest) -> None:
    """Check that a decision's token names all that it must: what it leaves open somebody else could fill in."""
    missing = [name for name in ("run", "chain", "gate", "digest", "verdict") if not claims.get(name)]
    if missing:
        raise TokenError(f"its token names no {', no '.join(missing)}; make it anew")
    if claims.get("edit", "") != request.edit:
        raise TokenError("its token is for other arguments than those it comes with")
    if claims.get("stop_asking", "") != request.stop_asking:
        raise TokenError("its token is for other bounds (stop_asking) than those it comes with")


def _key(signature: str) -> bytes:
    try:
        return base64url_decode(signature)
    except ValueError as error:
        raise TokenError("it is not an approver token") from error
