"""Health checks over HTTP on the loopback, with nothing but asyncio, so that the supervisor stays small and quick to start.

An HTTP library would send these requests through the proxy that HTTP_PROXY names.
"""

import asyncio
from urllib.parse import urlsplit

ANSWER_WITHIN = 2.0
"""Seconds after which an answer counts as none."""


async def answers(url: str) -> bool:
    """Whether GET of an `http://host:port/path` gives a status of 200."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split()[1:2] == [b"200"]
