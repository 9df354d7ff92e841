"""A STAC API, static catalogues and files with ranges on the loopback; prints its port.

    python tests/support/stac_server.py FOLDER

Each folder CASE below FOLDER is a catalogue of its own: /CASE/stac is a STAC API of its
`collections.json` and `items.json`, /CASE/... its files. What goes wrong is read of
`CASE/faults.json` at every request: a list of {"path": part of a path, ...} with one of "status"
(a code, for the first "times" requests or for all), "hang" (seconds), "text" (an answer that is
sent in place of the right one), "location" (where it leads), and "cut" (bytes after which the
answer ends). Requests are noted in `CASE/requests.log`: method, path and body.

A process of its own: rasterio holds the interpreter while GDAL waits for the network.
"""

import functools
import http.server
import json
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_counts = {}
_lock = threading.Lock()


class StacHandler(http.server.SimpleHTTPRequestHandler):
    # Headers and content are sent at once; else each answer waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_HEAD(self):
        self.answer(None)

    def do_GET(self):
        self.answer(None)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.answer(json.loads(self.rfile.read(length)))

    def answer(self, body):
        parts = urlsplit(self.path)
        case, _, rest = unquote(parts.path).lstrip("/").partition("/")
        folder = Path(self.directory) / case
        with _lock, (folder / "requests.log").open("a") as log:
            log.write(f"{self.command} {self.path} {json.dumps(body)}\n")
        fault = self.fault(folder, case, rest)
        if "hang" in fault:
            time.sleep(fault["hang"])
        if "status" in fault:
            self.send_error(fault["status"])
        elif "location" in fault:
            self.send_response(302)
            self.send_header("Location", fault["location"])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif "text" in fault:
            self.send_content(fault["text"].encode(), "text/html")
        elif rest == "stac" or rest.startswith("stac/"):
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            self.api(folder, rest.removeprefix("stac").strip("/"), query if body is None else body)
        else:
            self.file(folder / rest, fault)

    def fault(self, folder, case, rest):
        file = folder / "faults.json"
        for number, fault in enumerate(json.loads(file.read_text()) if file.exists() else ()):
            if fault["path"] not in rest:
                continue
            with _lock:
                count = _counts[case, number] = _counts.get((case, number), 0) + 1
            if fault.get("after", 0) < count <= fault.get("after", 0) + fault.get("times", 10**9):
                return fault
        return {}

    def api(self, folder, path, query):
        root = f"http://{self.headers['Host']}/{folder.name}/stac"
        settings = json.loads((folder / "api.json").read_text())
        collections = json.loads((folder / "collections.json").read_text())
        if path == "":
            links = [{"rel": name, "href": root} for name in ("self", "root")]
            links.append({"rel": "data", "href": f"{root}/collections"})
            for method in settings["methods"]:
                link = {"rel": "search", "href": f"{root}/search", "method": method}
                links.append({**link, "type": "application/geo+json"})
            self.send_json({**_ROOT, "id": folder.name, "links": links})
        elif path == "collections":
            self.send_json({"collections": collections, "links": []})
        elif path.startswith("collections/"):
            name = path.removeprefix("collections/")
            entry = next((entry for entry in collections if entry["id"] == name), None)
            self.send_json(entry) if entry else self.send_error(404)
        elif path == "search":
            self.search(folder, root, query, settings)
        else:
            self.send_error(404)

    def search(self, folder, root, query, settings):
        items = json.loads((folder / "items.json").read_text())
        if not settings.get("ignores_query"):
            items = [item for item in items if _matches(item, query)]
        start, limit = int(query.get("start", 0)), settings["page"]
        page = items[start : start + limit]
        links = []
        if settings.get("endless"):
            links = [self.following(root, query, start)]
        elif start + limit < len(items):
            links = [self.following(root, query, start + limit)]
        self.send_json({"type": "FeatureCollection", "features": page, "links": links})

    def following(self, root, query, start):
        link = {"rel": "next", "href": f"{root}/search", "method": self.command}
        if self.command == "POST":
            return {**link, "body": {"start": start}, "merge": True}
        values = "&".join(f"{key}={value}" for key, value in {**query, "start": start}.items())
        return {**link, "href": f"{root}/search?{values}"}

    def file(self, path, fault):
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        first, last = 0, len(content) - 1
        wanted = self.headers.get("Range")
        if wanted:
            start, _, stop = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(stop or last), last)
            if first > last:
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[first : last + 1][: fault.get("cut")])

    def send_json(self, content):
        self.send_content(json.dumps(content).encode(), "application/json")

    def send_content(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args):
        pass


_ROOT = {
    "type": "Catalog",
    "stac_version": "1.0.0",
    "description": "A catalogue on the loopback",
    "conformsTo": [
        "https://api.stacspec.org/v1.0.0/core",
        "https://api.stacspec.org/v1.0.0/item-search",
        "https://api.stacspec.org/v1.0.0/collections",
    ],
}


def _matches(item, query):
    """Whether an item is what a search asks for: of a collection, a box and an interval."""
    names, box = query.get("collections"), query.get("bbox")
    names = names.split(",") if isinstance(names, str) else names
    box = [float(bound) for bound in box.split(",")] if isinstance(box, str) else box
    if names and item.get("collection") not in names:
        return False
    west, south, east, north = item["bbox"]
    parts = [(west, east)] if west <= east else [(west, 180), (-180, east)]
    if box and not any(
        low <= box[2] and high >= box[0] and south <= box[3] and north >= box[1]
        for low, high in parts
    ):
        return False
    if not query.get("datetime"):
        return True
    first, _, last = query["datetime"].partition("/")
    moment = datetime.fromisoformat(item["properties"]["datetime"])
    return datetime.fromisoformat(first) <= moment <= datetime.fromisoformat(last or first)


if __name__ == "__main__":
    handler = functools.partial(StacHandler, directory=sys.argv[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        print(server.server_port, flush=True)
        server.serve_forever()
