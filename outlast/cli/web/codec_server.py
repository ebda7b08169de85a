"""The commands of encryption: `payload-key` makes a key, `codec-server` lets the Web UI and the Temporal CLI read messages.

Whoever reaches a codec server reads everything. So it serves this machine alone, unless something before it asks people
who they are; pages of other origins than the Web UI's get no answer.
"""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from temporalio.converter import PayloadCodec

LARGEST = 32 * 1024 * 1024
"""Longest request, in bytes: a page of history with full payloads."""


def payload_key(
    name: Annotated[str, typer.Argument(help="Its name; another one for each new key.", metavar="NAME")] = "1",
) -> None:
    """Make a key for PAYLOAD_KEYS. Put it first in the list; the old ones still decrypt."""
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.printing import print_secret
    from outlast.storage.payload_codec import new_key

    if not name or set(name) & set(":, "):
        raise LeavingError(WRONG, f"NAME {name!r}: must not be empty, nor hold ':', ',' or a space")
    print_secret(new_key(name))


def codec_server(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.", min=0, max=65535)] = 8289,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Address of a Web UI that may ask; repeatable. Default: WEB_UI_URL, or the embedded one."),
    ] = None,
    name: Annotated[list[str] | None, typer.Option(help="A host name by which it is reached; repeatable.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front of it authenticates people.")
    ] = False,
) -> None:
    """Decrypt for the Web UI and the Temporal CLI; needs PAYLOAD_KEYS and no server."""
    import asyncio

    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.web.serving import LOOPBACK, listen, loopback, serve
    from outlast.client import load_settings, web_ui_of
    from outlast.storage.payload_codec import EncryptionCodec, read_keys

    settings = load_settings()
    if settings.payload_keys is None:
        raise LeavingError(WRONG, "PAYLOAD_KEYS is not set: there is nothing to decrypt with")
    if not loopback(host) and not behind_proxy:
        raise LeavingError(
            WRONG,
            f"--host {host}: whoever reaches it reads everything; put a proxy before it that asks who they are, "
            "and say --behind-proxy",
        )
    codec = EncryptionCodec(read_keys(settings.payload_keys.get_secret_value()))
    origins = [each.rstrip("/") for each in origin or filter(None, [web_ui_of(settings)])]
    hosts = [*LOOPBACK, "[::1]", host, *(name or ())]
    asyncio.run(serve(app_of(codec, origins, hosts), listen(host, port), "codec server ready", host, LARGEST))


def app_of(codec: "PayloadCodec", origins: list[str], hosts: list[str]) -> "Starlette":
    """Build the app: POST /encode and /decode as Temporal defines them, GET /healthz."""
    from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
    from temporalio.api.common.v1 import Payloads

    async def transformed(request: Request) -> Response:
        # Anything but JSON is sent without asking first, by any page of any origin.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return PlainTextResponse("Content-Type: must be application/json", 415)
        try:
            read = await request.json()
            if not isinstance(read, dict):
                raise ValueError('must be an object: {"payloads": […]}')
            given = ParseDict(read, Payloads(), ignore_unknown_fields=True)
        except (ValueError, ParseError, TypeError, AttributeError, RecursionError) as error:
            return PlainTextResponse(f"payloads: {str(error)[:200]}", 400)
        act = codec.encode if request.url.path == "/encode" else codec.decode
        try:
            made = await act(list(given.payloads))
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        return JSONResponse(MessageToDict(Payloads(payloads=made)))

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/encode", transformed, methods=["POST"]),
            Route("/decode", transformed, methods=["POST"]),
            Route("/healthz", healthy),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["POST"],
                allow_headers=["content-type", "x-namespace", "authorization"],
                allow_credentials=True,
            ),
        ],
    )
