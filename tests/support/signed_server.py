"""Serves parts of files to addresses with a signature that is taken; prints its port.

    python tests/support/signed_server.py FOLDER

`FOLDER/taken.txt` holds the signature that is taken now. A process of its own: rasterio holds the
interpreter while GDAL waits for the network.
"""

import functools
import http.server
import sys
from pathlib import Path

from range_server import RangeHandler


class SignedHandler(RangeHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.is_taken():
            super().do_GET()

    def do_HEAD(self):
        if self.is_taken():
            super().do_HEAD()

    def is_taken(self):
        taken = Path(self.directory, "taken.txt").read_text()
        if f"X-Amz-Signature={taken}" in self.path:
            return True
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


if __name__ == "__main__":
    handler = functools.partial(SignedHandler, directory=sys.argv[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
