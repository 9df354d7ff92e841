"""Serves parts of files, as the servers of Cloud-Optimised GeoTIFFs do; prints its port.

    python tests/support/range_server.py FOLDER [LOG]

What is asked for is added to LOG: in each line a path, and the bytes sent from and up to.

A process of its own: rasterio holds the interpreter while GDAL waits for the network.
"""

import functools
import http.server
import sys
from pathlib import Path


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    log = None

    def do_HEAD(self):
        self.note(0, 0)
        super().do_HEAD()

    def note(self, first, stop):
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{self.path} {first} {stop}\n")

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.note(0, 0)
            self.send_error(404)
            return
        content = path.read_bytes()
        first, last = 0, len(content) - 1
        wanted = self.headers.get("Range")
        if wanted:
            start, _, stop = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(stop or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            self.send_response(200)
        self.note(first, last + 1)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    RangeHandler.log = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    handler = functools.partial(RangeHandler, directory=sys.argv[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
