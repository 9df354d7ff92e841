"""An assistant's client: the SDK's own, on a thread with a loop, and `geochg mcp` as its server."""

import asyncio
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

MARKER_PLUGIN = Path(__file__).parent.parent / "models" / "marker_plugin"
MINUTE_S = 60


class McpClient:
    """A server that was started with some arguments, and the SDK's client of it."""

    def __init__(self, log, *arguments, mode="auto", environment=None):
        self.log = Path(log)
        self.parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "geochg_cli", "mcp", *map(str, arguments)],
            env={"PYTHONPATH": str(MARKER_PLUGIN), "OMP_NUM_THREADS": "1"} | (environment or {}),
        )
        self.mode = mode
        self.loop = asyncio.new_event_loop()
        self._ready, self._end = Future(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.client = self._ready.result(MINUTE_S)

    def _run(self):
        async def serve():
            with self.log.open("w") as log:
                transport = stdio_client(self.parameters, errlog=log)
                async with Client(transport, mode=self.mode) as client:
                    self._ready.set_result(client)
                    await self._end.wait()

        try:
            self.loop.run_until_complete(serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    def wait(self, coroutine, timeout_s=MINUTE_S):
        """The result of something that the client does."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout_s)

    def start(self, name, arguments, progress=None):
        """Begins a call; cancelling the future cancels the call."""

        async def listen(done, total, message):
            if progress is not None:
                progress.append((done, message))

        call = self.client.call_tool(name, arguments, progress_callback=listen)
        return asyncio.run_coroutine_threadsafe(call, self.loop)

    def call(self, name, progress=None, **arguments):
        """The result of a call, whatever it says."""
        return self.start(name, arguments, progress).result(MINUTE_S)

    def answer(self, name, progress=None, **arguments):
        """The values of a call that must succeed."""
        result = self.call(name, progress, **arguments)
        assert not result.is_error, result.content
        return result.structured_content

    def refusal(self, name, **arguments):
        """The line of a call that must fail."""
        result = self.call(name, **arguments)
        assert result.is_error, result
        (content,) = result.content
        assert "\n" not in content.text
        return content.text

    def close(self):
        """Leaves the server."""
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
