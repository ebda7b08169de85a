"""fetch_url against real servers on the loopback: what is let through, what never is, and how long and large a page may be."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from outlast.tools.standard.addresses import is_internal, is_public
from outlast.tools.standard.http_call import http_tools
from outlast.tools.standard.web import SHOWN_CHARACTERS, Fetching, web_tools
from outlast.tools.tool import ToolError


async def fetch(url: str, *allow: str, private: bool = True, start: int = 0, **limits: Any) -> str:
    [tool] = web_tools(allow or ("*",), private=private, **limits)
    return await tool.run(tool.arguments.model_validate({"url": url, "start": start}))


async def refused(url: str, *allow: str, private: bool = True, **limits: Any) -> str:
    with pytest.raises(ToolError) as caught:
        await fetch(url, *allow, private=private, **limits)
    return str(caught.value)


@pytest.fixture
def silent() -> Iterator[str]:
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
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    stop.set()
    thread.join(5)
    listener.close()


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let names lead to these addresses, one for each time somebody asks (the last one for ever); returns what was asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, port: int, *rest: Any, **named: Any) -> Any:
        if not str(host).endswith(".test"):
            return real(host, port, *rest, **named)
        asked.append(host)
        return real(answers[min(len(asked), len(answers)) - 1], port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


async def test_a_page_is_text(httpserver: HTTPServer) -> None:
    page = "<html><body><nav>menu</nav><h1>Tides</h1><p>Twice a day.</p></body></html>"
    httpserver.expect_request("/a").respond_with_data(page, content_type="text/html")
    httpserver.expect_request("/j").respond_with_data('{"a": 1}', content_type="application/json")
    assert await fetch(httpserver.url_for("/a")) == f"{httpserver.url_for('/a')}\n\nTides\n\nTwice a day."
    assert (await fetch(httpserver.url_for("/j"))).endswith('{"a": 1}')


async def test_long_pages_come_in_pieces(httpserver: HTTPServer) -> None:
    text = "word " * SHOWN_CHARACTERS
    httpserver.expect_request("/a").respond_with_data(text, content_type="text/plain")
    first = await fetch(httpserver.url_for("/a"))
    assert first.endswith(f"fetch with start={SHOWN_CHARACTERS}]")
    assert "more characters" not in await fetch(httpserver.url_for("/a"), start=4 * SHOWN_CHARACTERS)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "127.1"]
)
async def test_the_loopback_is_refused_however_it_is_written(httpserver: HTTPServer, host: str) -> None:
    said = await refused(f"http://{host}:{httpserver.port}/a", private=False)
    assert "not a public address" in said or "not a web address" in said
    assert httpserver.log == []


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "240.0.0.1",
        ),
        *("255.255.255.255", "::", "::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe"),
        *(
            "168.63.129.16",
            "192.0.0.192",
            "192.0.0.9",
            "192.88.99.1",
            "198.18.0.1",
            "100.100.100.200",
            "fec0::1",
            "fd00:ec2::254",
        ),
        *(
            "64:ff9b:1::1",
            "64:ff9b::a83f:8110",
            "::ffff:168.63.129.16",
            "2002:a83f:8110::",
            "::7f00:1",
            "2001:db8:1::1",
        ),
        *("2620::5efe:10.0.0.1", "5f00::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


async def test_a_redirect_to_a_private_address_is_refused(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 127.0.0.2 stands for the world here, so that a redirect can lead from it to a loopback that is not allowed.
    monkeypatch.setattr("outlast.tools.standard.web.is_public", lambda address: address == "127.0.0.2")
    resolving(monkeypatch, "127.0.0.2", "127.0.0.1")
    with HTTPServer("127.0.0.2") as world:
        world.expect_request("/away").respond_with_data(
            b"", status=302, headers={"Location": httpserver.url_for("/secret")}
        )
        said = await refused(f"http://world.test:{world.port}/away", "*", f"*:{world.port}", private=False)
    assert "leads to 127.0.0.1, which is not a public address" in said
    assert httpserver.log == []


async def test_a_name_that_changes_its_address_leads_where_it_was_checked(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.tools.standard.web.is_public", lambda address: address == "127.0.0.2")
    asked = resolving(monkeypatch, "127.0.0.2", "127.0.0.1")
    with HTTPServer("127.0.0.2", httpserver.port) as world:
        world.expect_request("/a", headers={"Host": f"world.test:{world.port}"}).respond_with_data(b"the world")
        assert (await fetch(f"http://world.test:{world.port}/a", f"world.test:{world.port}", private=False)).endswith(
            "the world"
        )
    assert asked == ["world.test"]
    assert httpserver.log == []


async def test_redirects_are_followed_within_the_list(httpserver: HTTPServer) -> None:
    away = f"http://localhost:{httpserver.port}/b"
    httpserver.expect_request("/a").respond_with_data(b"", status=302, headers={"Location": "/b"})
    httpserver.expect_request("/b").respond_with_data(b"arrived")
    httpserver.expect_request("/c").respond_with_data(b"", status=302, headers={"Location": away})
    httpserver.expect_request("/loop").respond_with_data(b"", status=302, headers={"Location": "/loop"})
    httpserver.expect_request("/file").respond_with_data(b"", status=302, headers={"Location": "file:///etc/passwd"})
    base = f"http://127.0.0.1:{httpserver.port}"
    assert (await fetch(f"{base}/a", "127.0.0.1")).endswith("arrived")
    assert "localhost is not among the hosts" in await refused(f"{base}/c", "127.0.0.1")
    assert "redirects more than 5 times" in await refused(f"{base}/loop")
    assert "write https://" in await refused(f"{base}/file")


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.test/x", "http://user:pw@a.test/", "http:///x", "no address", "http://a.test:x/"],
)
async def test_what_is_no_web_address_is_refused(url: str) -> None:
    said = await refused(url, "*")
    assert "web address" in said or "write https://" in said
    assert "pw" not in said.replace("user:pw@a.test", "")


async def test_only_listed_hosts_are_asked() -> None:
    for url in ("http://evil.test/", "http://example.org.evil.test/", "http://notexample.org/", "http://example.org/"):
        assert "not among the hosts" in await refused(url, "*.example.org", "host.test")


def test_a_wrong_list_of_hosts_is_named() -> None:
    with pytest.raises(ValueError, match=r"FETCH_ALLOW: 'https://example\.org'"):
        web_tools(["https://example.org"])


async def test_pages_that_are_too_large_are_refused(httpserver: HTTPServer) -> None:
    def packed(_: Request) -> Response:
        return Response(gzip.compress(b"x" * 200_000), headers={"Content-Encoding": "gzip"})

    httpserver.expect_request("/large").respond_with_data(b"x" * 200_000)
    httpserver.expect_request("/packed").respond_with_handler(packed)
    for path in ("/large", "/packed"):
        assert "more than 100,000 bytes" in await refused(httpserver.url_for(path), max_bytes=100_000)


async def test_a_page_that_drips_for_ever_is_given_up(silent: str) -> None:
    with pytest.raises(ConnectionError, match=r"no whole answer in 0\.5 s"):
        await asyncio.wait_for(fetch(silent, seconds=0.5), 10)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_worth_another_try(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/a").respond_with_data(b"busy", status=status)
    with pytest.raises(ConnectionError, match=f"answered {status}"):
        await fetch(httpserver.url_for("/a"))


async def test_what_will_not_pass_is_told_to_the_model(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/zip").respond_with_data(b"PK\x03\x04 no", content_type="application/zip")
    assert "answered 500" not in await refused(httpserver.url_for("/zip"))
    httpserver.expect_request("/gone").respond_with_data(b"", status=404)
    assert "answered 404" in await refused(httpserver.url_for("/gone?token=secret"))
    assert "secret" not in await refused(httpserver.url_for("/gone?token=secret"))


async def test_a_server_that_is_away_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionError, match="cannot be reached"):
        await fetch(f"http://127.0.0.1:{port}/")


async def test_a_proxy_of_the_environment_is_not_asked(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    httpserver.expect_request("/a").respond_with_data(b"direct")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await fetch(httpserver.url_for("/a"))).endswith("direct")


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "fe80::1", "0.0.0.0"),
        *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"),
    ],
)
async def test_no_setting_opens_what_belongs_to_the_cloud(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolving(monkeypatch, address)
    for tool in (web_tools(("*",), private=True)[0], http_tools(("*",), private=True)[0]):
        asked: dict[str, Any] = {"url": "http://inside.test/"}
        if tool.name == "http_call":
            asked |= {"method": "POST", "inverse": {"method": "DELETE", "url": "http://inside.test/"}}
        with pytest.raises(ToolError, match="no setting opens it"):
            await tool.run(tool.arguments.model_validate(asked), "key")


@pytest.mark.parametrize(
    ("allow", "url", "allowed"),
    [
        ("shop.test", "https://shop.test/", True),
        ("shop.test", "http://shop.test:443/", True),
        ("shop.test", "http://shop.test:6379/", False),
        ("*", "http://shop.test:22/", False),
        ("shop.test:8443", "https://shop.test:8443/", True),
        ("shop.test:8443", "https://shop.test/", False),
        ("*.test:8080", "http://shop.test:8080/", True),
        ("*.test:8080", "http://shop.test:8081/", False),
    ],
)
def test_other_ports_than_the_web_s_are_named_in_the_list(allow: str, url: str, allowed: bool) -> None:
    fetching = Fetching((allow,), private=False, seconds=1, max_bytes=1)

    def check() -> None:
        fetching.check_port(fetching.target(url), ["1.1.1.1"])

    if allowed:
        check()
    else:
        with pytest.raises(ToolError, match=r"no port of the web|not among the hosts"):
            check()


@pytest.mark.parametrize("address", ["fd20:ce::254", "fd00:c1::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "::169.254.169.254"])
def test_no_setting_opens_a_cloud_s_own_services_over_ipv6(address: str) -> None:
    assert (is_internal(address), is_public(address)) == (True, False)
    assert [is_internal(home) for home in ("::1", "fd12::1")] == [False, False]
