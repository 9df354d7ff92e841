"""The deadline of a request to an endpoint, from connecting to the last byte of its answer.

The HTTP library bounds each read by itself: a server that sends a byte now and then keeps it busy
for ever. Here each read, write and connect has only the rest of the whole request's time. The
library works in the calling thread, so deadlines are kept by thread.
"""

import math
import sys
import threading
import time
from typing import Any

LEAST_S = 0.001
"""Least rest: zero would mean to the library that it must not wait at all."""

_request = threading.local()


def begin_request(request: Any) -> None:
    """Sets a request's deadline by the time limit of its reads; a hook of the HTTP library."""
    timeout_s = request.extensions.get("timeout", {}).get("read")
    _request.end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s


def deadline_s() -> float:
    """The deadline of this thread's request, by the monotonic clock."""
    return getattr(_request, "end_s", math.inf)


def bound_connections(http_client: Any) -> None:
    """Has every connection of a client keep to the deadlines, those through proxies too.

    Args:
        http_client: An unused client of the HTTP library. Where a version of the library keeps its
            connections elsewhere, each read stays bounded by itself.
    """
    transports = (
        getattr(http_client, "_transport", None),
        *getattr(http_client, "_mounts", {}).values(),
    )
    for pool in (getattr(transport, "_pool", None) for transport in transports):
        if pool is not None and hasattr(pool, "_network_backend"):
            pool._network_backend = _deadline_backend(pool)


def _deadline_backend(pool: Any) -> Any:
    """A network backend for a pool whose connections keep to the deadlines."""
    library = sys.modules[type(pool).__module__.partition(".")[0]]
    backend = pool._network_backend

    def rest_s(timeout_s: float | None, error: type[Exception]) -> float | None:
        end_s = deadline_s()
        if end_s == math.inf:
            return timeout_s
        rest = end_s - time.monotonic()
        if rest <= 0:
            raise error("the request takes too long")
        return max(LEAST_S, rest if timeout_s is None else min(rest, timeout_s))

    class _Stream(library.NetworkStream):  # type: ignore[misc, name-defined]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return bytes(self._stream.read(max_bytes, rest_s(timeout, library.ReadTimeout)))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._stream.write(buffer, rest_s(timeout, library.WriteTimeout))

        def close(self) -> None:
            self._stream.close()

        def start_tls(
            self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
        ) -> Any:
            rest = rest_s(timeout, library.ConnectTimeout)
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, rest))

        def get_extra_info(self, info: str) -> Any:
            return self._stream.get_extra_info(info)

    class _Backend(library.NetworkBackend):  # type: ignore[misc, name-defined]
        def connect_tcp(
            self, host: str, port: int, timeout: float | None = None, **options: Any
        ) -> Any:
            rest = rest_s(timeout, library.ConnectTimeout)
            return _Stream(backend.connect_tcp(host, port, timeout=rest, **options))

        def connect_unix_socket(self, path: str, **options: Any) -> Any:
            return backend.connect_unix_socket(path, **options)

        def sleep(self, seconds: float) -> None:
            backend.sleep(seconds)

    return _Backend()
