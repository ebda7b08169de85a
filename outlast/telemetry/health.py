"""The health check of a worker: answered by the worker's own event loop, so a stuck worker gives no answer."""

import asyncio

from outlast.processes.ports import listen


async def serve_health(host: str, port: int | None) -> asyncio.Server | None:
    """Answer every HTTP request with 200 for as long as this event loop turns; without a port nothing is served.

    Raises PortError where the port cannot be taken.
    """
    if port is None:
        return None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, sock=listen(host, port, "--health-port"))
