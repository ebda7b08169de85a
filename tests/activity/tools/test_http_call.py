"""Calls of services over HTTP: what an operator declared can be undone, everything else waits for a person."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from werkzeug import Request, Response

from outlast.contracts import ToolsetRequest, UndoablePair
from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore
from outlast.tools.activities import ToolActivities
from outlast.tools.standard.http_call import http_tools, read_pairs
from tests.activity.tools.calling_tools import Calls


class Service:
    """A service that keeps things by name, and does each request once by its key."""

    def __init__(self, server: HTTPServer) -> None:
        self.things: dict[str, Any] = {}
        self.keys: list[str] = []
        self.answers: list[int] = []
        self.url = server.url_for("/things/")
        server.expect_request("/things/lamp").respond_with_handler(self._handle)

    def _handle(self, request: Request) -> Response:
        key = request.headers["Idempotency-Key"]
        repeated = key in self.keys
        self.keys.append(key)
        if self.answers:
            return Response("no", status=self.answers.pop(0))
        if request.method == "PUT":
            self.things |= {} if repeated else {"lamp": json.loads(request.get_data())}
        elif self.things.pop("lamp", None) is None:
            return Response("gone", status=404)
        return Response("fine", status=200)


@pytest.fixture
def service(httpserver: HTTPServer) -> Service:
    return Service(httpserver)


@pytest.fixture
def http(store: ContentStore, service: Service) -> Calls:
    pairs = read_pairs(f"PUT {service.url}{{thing}} => DELETE {service.url}{{thing}}")
    return Calls(store, http_tools(["localhost", "127.0.0.1"], private=True, undoable=pairs))


def putting(service: Service, **changes: Any) -> dict[str, Any]:
    url = f"{service.url}lamp"
    return {"method": "PUT", "url": url, "body": {"on": True}} | changes


async def test_a_request_is_taken_back_by_its_inverse(
    http: Calls, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await http.crash_before_report(monkeypatch, "http_call", "run/s/1", **putting(service))
    assert await http.done("http_call", "run/s/1", attempt=2, **putting(service)) == "200\nfine"
    assert service.things == {"lamp": {"on": True}}
    assert (await http.undo("http_call", "run/s/1")).happened
    assert service.things == {}
    assert service.keys == ["run/s/1", "run/s/1", "run/s/1/undo"]
    assert not (await http.undo("http_call", "run/s/1", attempt=2)).happened


@pytest.mark.parametrize("run", ["büro", "a\nb", " x ", "50%", "it's; `no` $(x)/../y", "stage · 1"])
async def test_the_key_of_a_run_of_any_id_reaches_the_service(http: Calls, service: Service, run: str) -> None:
    assert await http.done("http_call", f"{run}/s/1", **putting(service)) == "200\nfine"
    [key] = service.keys
    assert key.isascii()
    assert key.isprintable()
    assert unquote(key) == f"{run}/s/1"


async def test_a_request_that_was_never_sent_is_not_taken_back(http: Calls, service: Service) -> None:
    assert not (await http.undo("http_call", "run/s/1")).happened
    assert service.keys == []


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_service_that_is_away_is_worth_another_try(http: Calls, service: Service, status: int) -> None:
    service.answers = [status]
    with pytest.raises(ApplicationError) as caught:
        await http.call("http_call", "run/s/1", **putting(service))
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TOOL_UNAVAILABLE, False)


async def test_what_a_service_refuses_is_told_to_the_model(http: Calls, service: Service) -> None:
    service.answers = [422, 409]
    assert "answered 422: no" in await http.refused("http_call", "run/s/1", **putting(service))
    assert "answered 409" in (await http.undo_fails("http_call", "run/s/1")).message


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://elsewhere.example/x", "elsewhere.example is not among the hosts"),
        ("file:///etc/passwd", "write https:// or http://"),
        ("http://u:p@localhost/x", "without a name or password"),
    ],
)
async def test_no_host_is_called_that_is_not_allowed_not_even_to_undo(
    http: Calls, service: Service, store: ContentStore, url: str, said: str
) -> None:
    assert said in await http.refused("http_call", "run/s/1", **putting(service, url=url))
    pair = UndoablePair(method="PUT", url=f"{service.url}lamp", undo_method="DELETE", undo_url=url)
    elsewhere = Calls(store, http_tools(["localhost"], private=True, undoable=[pair]))
    assert said in await elsewhere.refused("http_call", "run/s/2", **putting(service))
    assert "required property" in await http.refused("http_call", "run/s/3", method="PUT")
    assert service.keys == []


async def test_a_request_that_nobody_declared_undoable_needs_a_persons_yes(http: Calls, service: Service) -> None:
    """The model's own word for its inverse counts for nothing."""
    declared, own = putting(service), putting(service, method="DELETE", inverse={"method": "POST", "url": service.url})
    assert await http.done("http_call", "run/s/1", approve=False, **declared) == "200\nfine"
    with pytest.raises(ApplicationError) as caught:
        await http.call("http_call", "run/s/2", approve=False, **own)
    assert caught.value.type == ErrorKind.NOT_APPROVED
    assert service.things == {"lamp": {"on": True}}
    assert (await http.call("http_call", "run/s/3", **own)).undo == {}


async def test_no_agent_is_given_a_tool_that_undoes_other_tools(http: Calls) -> None:
    toolset = await ActivityEnvironment().run(
        ToolActivities(http.store, http.tools).read_toolset, ToolsetRequest(names=("http_call", "http_undo"))
    )
    assert [card.name for card in toolset.tools] == ["http_call"]
    assert toolset.missing == ("http_undo (it undoes calls of other tools, and no agent calls it)",)


CARD = "https://shop.example/cards/{card}/orders/{order}"


@pytest.mark.parametrize(
    ("request_", "inverse"),
    [
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/A-1"}, "https://shop.example/orders/A-1/undo/7"),
        ({"method": "POST", "url": "https://shop.example/cards/7/orders/A-1"}, None),
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/A-1?all=true"}, None),
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/../A"}, None),
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/.."}, None),
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/%2e%2e"}, None),
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/"}, None),
        ({"method": "PUT", "url": "https://shop.example/cards/7/orders/A-1\n"}, None),
        ({"method": "PUT", "url": "https://shop.example.evil/cards/7/orders/A-1"}, None),
        ({"method": "PUT", "url": "https://u@shop.example/cards/7/orders/A-1"}, None),
        ({"method": "PUT"}, None),
    ],
)
def test_only_what_is_exactly_a_declared_request_can_be_undone(request_: dict[str, Any], inverse: str | None) -> None:
    (pair,) = read_pairs(f"PUT {CARD} => DELETE https://shop.example/orders/{{order}}/undo/{{card}}")
    assert pair.inverse_of(request_) == (None if inverse is None else {"method": "DELETE", "url": inverse})


@pytest.mark.parametrize(
    ("sent", "id_"), [({"id": 12}, "12"), ({"id": "../x"}, None), ({}, None), ([1], None), (None, None)]
)
def test_an_inverse_may_take_a_field_of_the_body(sent: Any, id_: str | None) -> None:
    (pair,) = read_pairs("POST https://shop.example/orders => POST https://shop.example/orders/{body.id}/cancel;")
    inverse = pair.inverse_of({"method": "POST", "url": "https://shop.example/orders", "body": sent})
    assert inverse == (None if id_ is None else {"method": "POST", "url": f"https://shop.example/orders/{id_}/cancel"})


@pytest.mark.parametrize(
    "text",
    ["PUT https://a.example/x", "GET https://a/x => DELETE https://a/x", "PUT https://a/x => DELETE https://a/{id}"],
)
def test_a_pair_that_cannot_be_read_is_refused_by_the_name_of_its_setting(text: str) -> None:
    with pytest.raises(ValueError, match="HTTP_CALL_UNDO"):
        read_pairs(text)


async def test_private_addresses_are_called_only_where_that_is_set(store: ContentStore, service: Service) -> None:
    public = Calls(store, http_tools(["*"]))
    assert "no public address" in await public.refused("http_call", "run/s/1", **putting(service))
    with pytest.raises(ValueError, match=r"HTTP_CALL_ALLOW: '/' is not a host"):
        http_tools(["/"])
