"""A page opened in headless Chromium and driven over its own pipe, with all that it asked for.

`--remote-debugging-pipe` takes commands of the DevTools protocol on file descriptor 3 and answers
on 4, each message ended by a zero byte: no port, no further package.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str | None:
    """Chromium on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def installed_chromium() -> str | None:
    """Chromium, which apt installs where it may and there is none."""
    if chromium_path() is None and hasattr(os, "geteuid") and os.geteuid() == 0:
        if shutil.which("apt-get") is not None:
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            for arguments in (
                ["update"],
                ["install", "-y", "--no-install-recommends", "chromium"],
            ):
                done = subprocess.run(
                    ["apt-get", *arguments], env=environment, capture_output=True, timeout=600
                )
                if done.returncode:
                    break
    return chromium_path()


class Browser:
    """Headless Chromium with one page. A context manager that ends it.

    Args:
        folder: An empty folder of the test's own, for profile and downloads.
        size: Width and height of the window in pixels.
        dark: Whether the page is asked to be dark.
        scale: Pixels of the screen in one of the page.
    """

    def __init__(
        self,
        folder: Path,
        size: tuple[int, int] = (1280, 900),
        *,
        dark: bool = False,
        touch: bool = False,
        scale: float = 1.0,
    ) -> None:
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        (read_end, self._write), (self._read, write_end) = os.pipe(), os.pipe()
        program = installed_chromium()
        assert program is not None
        command = [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
            *("--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"),
        ]

        def place_pipes() -> None:
            # Neither end may be one of the numbers it is to get while the other still needs it.
            spare = os.dup(read_end), os.dup(write_end)
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)
            os.setsid()

        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=place_pipes,
            pass_fds=(3, 4, read_end, write_end),
        )
        os.close(read_end)
        os.close(write_end)
        targets = self.send("Target.getTargets", session=False)["targetInfos"]
        target = next(target for target in targets if target["type"] == "page")
        attached = self.send(
            "Target.attachToTarget",
            session=False,
            targetId=target["targetId"],
            flatten=True,
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        width, height = size
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        if touch:
            self.send("Emulation.setTouchEmulationEnabled", enabled=True)
        self.send(
            "Browser.setDownloadBehavior",
            session=False,
            behavior="allow",
            downloadPath=str(self.downloads),
        )

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def open(self, path: Path) -> float:
        """Opens a file, and says how many seconds it took until it could be used."""
        start = time.monotonic()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        self.run("document.body.offsetHeight")
        return time.monotonic() - start

    def run(self, code: str) -> Any:
        """The value of a piece of JavaScript, as JSON has it."""
        answer = self.send(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **values: Any) -> None:
        """Moves the mouse, presses (`mousePressed`) or lets go of it."""
        button = {} if kind == "mouseMoved" and not values else {"button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **{**button, **values})

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags with the mouse."""
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start)
        for part in (0.3, 0.7, 1.0):
            x, y = (a + (b - a) * part for a, b in zip(start, end, strict=True))
            self.mouse("mouseMoved", x, y, button="left", buttons=1)
        self.mouse("mouseReleased", *end)

    def click(self, selector: str) -> None:
        """Clicks the middle of an element."""
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def touch_drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags with a finger."""
        for kind, part in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0)):
            x, y = (a + (b - a) * part for a, b in zip(start, end, strict=True))
            self.send("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of an element, which is brought into sight."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return x, y

    def press(self, key: str) -> None:
        """Presses a key, such as `ArrowRight`, `Enter`, `o`."""
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13}
        codes |= {"Home": 36, "End": 35, "Tab": 9}
        code = codes.get(key, ord(key[0].upper()))
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )
            text = {}

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Writes a picture of the window, or of the whole page."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        answer = self.send("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])

    def wait_for(self, method: str, seconds: float = 60) -> dict[str, Any]:
        """Waits until the page tells of something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for event in self._events:
                if event["method"] == method:
                    self._events.clear()
                    return event
            self._take(self._message())
        raise AssertionError(f"no {method}")

    def send(self, method: str, *, session: bool = True, **values: Any) -> dict[str, Any]:
        """Sends a command and gives the answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": values}
        if session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._write, content) :]
        while True:
            answer = self._message()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self._take(answer)

    def _take(self, message: dict[str, Any]) -> None:
        """Keeps what the page tells by itself."""
        method, values = message.get("method", ""), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(values["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(json.dumps(values["args"]))
        elif method == "Log.entryAdded":
            self.messages.append(values["entry"]["text"])
        if method:
            self._events.append(message)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            content = os.read(self._read, 1 << 20)
            if not content:
                raise AssertionError("Chromium ended")
            self._rest += content
        content, _, self._rest = self._rest.partition(b"\0")
        return json.loads(content)
