"""How a message says that an approval shall stand for the run: its bounds, what is refused of them, and hosts of addresses."""

from typing import Any

import pytest

from outlast.approvals.messages import read_decision
from outlast.approvals.standing.bounds import host_of
from outlast.contracts import Bounds, Verdict


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ("yes, and stop asking", "is not a known yes"),
        ("stop asking", "is not a known yes"),
        ({"by": "ann", "stop_asking": "yes"}, "stop_asking: 'yes' is not understood; send true, or bounds"),
        ({"by": "ann", "stop_asking": {}}, "stop_asking: {} is not understood"),
        ({"by": "ann", "stop_asking": {"max": 5}}, "stop_asking.max: there is no such bound; there are same"),
        ({"by": "ann", "stop_asking": {"same": "to"}}, "stop_asking.same: give a list of names"),
        ({"by": "ann", "stop_asking": {"at_most": {"amount": "5"}}}, "stop_asking.at_most: amount: '5' is not a"),
        ({"by": "ann", "stop_asking": {"at_most": {"amount": -5}}}, "stop_asking.at_most: amount: -5 is not a"),
        ({"by": "ann", "stop_asking": {"at_most": {"amount": float("nan")}}}, "is not a number from 0 on"),
        ({"by": "ann", "stop_asking": {"at_most": [5]}}, "stop_asking.at_most: give an object"),
    ],
)
def test_only_the_full_form_lets_an_approval_stand(sent: Any, says: str) -> None:
    read = read_decision([sent], Verdict.APPROVE, "signal")
    assert isinstance(read, str)
    assert says in read


def test_how_it_is_read() -> None:
    def read(sent: Any, implied: Verdict | None = Verdict.APPROVE) -> Any:
        return read_decision([sent], implied, "signal")

    assert read({"by": "ann", "stop_asking": True}).stop_asking == Bounds()
    assert read({"by": "ann", "stop_asking": False}).stop_asking is None
    assert read("yes").stop_asking is None
    bounds = {"same": ["to"], "same_host": ["url"], "at_most": {"amount": 100}}
    assert read({"verdict": "yes", "stop_asking": bounds}, None).stop_asking == Bounds(**bounds)
    assert read({"stop_asking": True}, Verdict.DENY).verdict is Verdict.DENY
    assert read({"verdict": "no", "stop_asking": True}, None).verdict is Verdict.DENY
    for odd in ("yes", 5, "", 1e300):  # a denial denies, whatever comes with it
        assert read({"by": "ann", "stop_asking": odd}, Verdict.DENY).verdict is Verdict.DENY
    assert read({"verdict": "revoke", "gate": "gate-1"}, None).verdict is Verdict.REVOKE
    assert "neither approve nor deny" in read({"verdict": "revoke"})
    assert "revoke takes neither" in read({"verdict": "revoke", "stop_asking": True}, None)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example", "https://a.example:443"),
        ("http://[::1]:80/x", "http://[::1]:80"),
        ("https://a.example.:443/", "https://a.example:443"),
        ("ftp://a.example", None),
        ("a.example", None),
        ("https://", None),
        ("https://a.example:99999/", None),
        ("https://ä.example/", None),
        ("https://a.example%00.b/", None),
        (" https://a.example", None),
        (5, None),
    ],
)
def test_the_host_of_an_address(url: Any, host: str | None) -> None:
    assert host_of(url) == host
