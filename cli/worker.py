"""`geochg worker`: the library for other programs."""

from __future__ import annotations

import click

from .interrupts import interrupts_raised


@click.command()
def worker() -> None:
    """Serve another program over stdin and stdout, such as the QGIS panel.

    Messages are JSON-RPC 2.0, one a line; docs/worker.md describes them. The worker leaves when its
    input ends.

    \b
    Example:
      echo '{"jsonrpc": "2.0", "id": 1, "method": "hello"}' | geochg worker
    """
    from geochg.worker.serve import serve_process

    with interrupts_raised():
        serve_process()
