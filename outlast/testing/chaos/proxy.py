"""A TCP proxy on the loopback that can refuse, reset and stall its connections."""

import asyncio
from contextlib import suppress

CHUNK = 65536


class Proxy:
    """Passes connections on to one port; `cut` resets and refuses them, `stall` keeps them and passes nothing on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self.port = 0

    async def open(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections, and reset those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Take connections, and pass nothing on."""
        self._passing.clear()

    async def restore(self) -> None:
        """Pass everything on again."""
        self._passing.set()
        await self.open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, ahead = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, ahead}
        self._writers |= both
        try:
            # A side that has ended is reported to the other, which may still have something to say.
            await asyncio.gather(self._pass_on(reader, ahead), self._pass_on(behind, writer))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.transport.abort()
