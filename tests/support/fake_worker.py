"""A program that behaves like a bad worker, or like no worker at all.

python fake_worker.py BEHAVIOUR
"""

import json
import signal
import subprocess
import sys
import time

HELLO = {"protocol": 1, "geochg": "0.0", "models": [], "python": "3", "pid": 1, "children": []}


def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def requests():
    for line in sys.stdin:
        yield json.loads(line)


def garbage():
    next(requests())
    print("Welcome to the Other Program! <b>1.0</b>", flush=True)
    time.sleep(60)


def other_version():
    for request in requests():
        say({"id": request["id"], "result": HELLO | {"protocol": 7, "geochg": "9.9"}})


def silent():
    time.sleep(60)


def dies():
    print("ModuleNotFoundError: No module named 'numpy'", file=sys.stderr)
    sys.exit(1)


def dies_later():
    for request in requests():
        if request["method"] != "hello":
            print("out of memory", file=sys.stderr, flush=True)
            sys.exit(9)
        say({"id": request["id"], "result": HELLO})


def stubborn():
    """Answers hello, and nothing else; not even the end of its input moves it."""
    for request in requests():
        if request["method"] == "hello":
            say({"id": request["id"], "result": HELLO})
    time.sleep(60)


def deaf():
    """Ends a request only when told to `finish`; ignores all cancels. Opens every raster."""
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waiting = []
    for request in requests():
        number, method = request["id"], request["method"]
        if method == "hello":
            say({"id": number, "result": HELLO})
        elif method == "opens":
            say({"id": number, "result": {"opens": [True]}})
        elif method == "finish":
            for each in [*waiting, number]:
                say({"id": each, "result": {"finished": each}})
        elif method != "cancel":
            waiting.append(number)
            say({"method": "event", "params": {"id": number, "kind": "begun"}})
    time.sleep(60)


def deaf_parent():
    """As `deaf`, with a child as deaf, which holds the same pipes."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    HELLO["children"] = [subprocess.Popen([sys.executable, "-c", code]).pid]
    deaf()


def slow():
    """Tells progress for two seconds before it answers."""
    for request in requests():
        number = request["id"]
        if request["method"] == "hello":
            say({"id": number, "result": HELLO})
            continue
        for done in range(20):
            event = {"id": number, "kind": "progress", "stage": "tiles", "done": done, "total": 20}
            say({"method": "event", "params": event})
            time.sleep(0.1)
        say({"id": number, "result": {"echo": request["params"]}})


def odd():
    """Messages that are JSON-RPC and make no sense, then a good answer."""
    for request in requests():
        say({"id": 999, "result": {}})
        say({"method": "event", "params": {"id": 999, "kind": "progress"}})
        say({"method": "event", "params": "text"})
        say({"id": None, "error": {"code": 1}})
        for number in ([1], {"a": 1}, True, 1.0, "1"):
            say({"id": number, "result": {}})
            say({"method": "event", "params": {"id": number, "kind": "progress"}})
        say({"id": request["id"], "result": HELLO})


if __name__ == "__main__":
    globals()[sys.argv[1]]()
