"""How bytes are fetched from sources: politely, bounded in time and size, and with errors that say what to do."""

import gzip
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError
from werkzeug import Request, Response

from activities.search.sources.fetching import Fetcher
from outlast.errors import ErrorKind, kind_of
from tests.processes import free_port


async def refused(fetcher: Fetcher, url: str) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await fetcher.get(url)
    return caught.value


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends one byte every tenth of a second, without end."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/feed"
    stop.set()
    thread.join(5)
    listener.close()


async def test_servers_learn_who_asks_and_whom_to_write_to(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data(b"fine")
    assert await Fetcher("mailto:ops@täst.example\r\nX: y").get(httpserver.url_for("/a")) == b"fine"
    assert await Fetcher().get(httpserver.url_for("/a")) == b"fine"
    agents = [request.headers["User-Agent"] for request, _ in httpserver.log]
    assert agents == ["outlast/0.2 (mailto:ops@t?st.example X: y)", "outlast/0.2"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_what_may_pass_is_worth_another_try(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/a").respond_with_data(b"busy", status=status)
    error = await refused(Fetcher(), httpserver.url_for("/a?key=secret"))
    assert kind_of(error) is ErrorKind.SOURCE_UNAVAILABLE
    assert not error.non_retryable
    assert error.next_retry_delay is None
    assert f"answered {status}" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_what_will_not_pass_is_final(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/a").respond_with_data(b"no", status=status, headers={"Retry-After": "9"})
    error = await refused(Fetcher(), httpserver.url_for("/a"))
    assert kind_of(error) is ErrorKind.SOURCE_UNAVAILABLE
    assert error.non_retryable


@pytest.mark.parametrize("as_date", [False, True])
async def test_the_wait_that_a_server_asks_for_is_respected(httpserver: HTTPServer, as_date: bool) -> None:
    wish = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True) if as_date else "30"
    httpserver.expect_request("/a").respond_with_data(b"busy", status=429, headers={"Retry-After": wish})
    delay = (await refused(Fetcher(), httpserver.url_for("/a"))).next_retry_delay
    assert delay is not None
    assert 25 < delay.total_seconds() <= 30


async def test_an_answer_that_drips_is_given_up(dripping: str) -> None:
    error = await refused(Fetcher(seconds=0.5), dripping)
    assert kind_of(error) is ErrorKind.SOURCE_UNAVAILABLE
    assert not error.non_retryable
    assert "no whole answer in 0.5 s" in error.message


async def test_a_huge_answer_is_given_up_also_when_it_is_small_on_the_wire(httpserver: HTTPServer) -> None:
    huge = b"x" * 300_000
    httpserver.expect_request("/plain").respond_with_data(huge)
    httpserver.expect_request("/packed").respond_with_data(gzip.compress(huge), headers={"Content-Encoding": "gzip"})
    for path in ("/plain", "/packed"):
        error = await refused(Fetcher(max_bytes=100_000), httpserver.url_for(path))
        assert error.non_retryable
        assert "more than 100,000 bytes" in error.message
        assert len(await Fetcher(max_bytes=300_000).get(httpserver.url_for(path))) == 300_000


async def test_nobody_there_is_passing_and_no_address_is_a_setting(httpserver: HTTPServer) -> None:
    error = await refused(Fetcher(), f"http://127.0.0.1:{free_port()}/feed")
    assert kind_of(error) is ErrorKind.SOURCE_UNAVAILABLE
    assert not error.non_retryable
    for address in ("ftp://example.org/feed", "no address"):
        error = await refused(Fetcher(), address)
        assert kind_of(error) is ErrorKind.SOURCE_NOT_CONFIGURED, address
        assert error.non_retryable


async def test_redirects_are_followed_but_not_in_circles(httpserver: HTTPServer) -> None:
    def moved(to: str) -> Response:
        return Response(status=302, headers={"Location": to})

    def circle(_: Request) -> Response:
        return moved("/circle")

    httpserver.expect_request("/old").respond_with_response(moved("/new"))
    httpserver.expect_request("/new").respond_with_data(b"here")
    httpserver.expect_request("/circle").respond_with_handler(circle)
    assert await Fetcher().get(httpserver.url_for("/old")) == b"here"
    assert (await refused(Fetcher(), httpserver.url_for("/circle"))).non_retryable
    assert len(httpserver.log) < 12


async def test_an_answer_that_is_no_json_object_is_told(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/list").respond_with_json([1])
    httpserver.expect_request("/page").respond_with_data("<html>maintenance</html>")
    httpserver.expect_request("/deep").respond_with_data("[" * 100_000)
    for path in ("/list", "/page", "/deep"):
        with pytest.raises(ApplicationError, match="not with a JSON object"):
            await Fetcher().get_json(httpserver.url_for(path), parameters={"q": "x"})
