"""Chromium without a window, driven over its own protocol through two pipes: no driver, no port, no further package."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress

WAIT_S = 60
_SWITCHES = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
    # Whatever is not this machine is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Space": (32, " "),
    "End": (35, ""),
    "Home": (36, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}
ALT, CTRL, META, SHIFT = 1, 2, 4, 8


class BrowserFault(Exception):
    """The browser did not do what it was told to, or not in time."""


def found():
    """Path of Chromium; None where there is none."""
    return os.environ.get("SELFJ_CHROMIUM") or shutil.which("chromium")


class Chromium:
    """One browser process; it ends with `close`, or with the pipes of a process that was killed."""

    def __init__(self, program):
        self._folder = tempfile.mkdtemp(prefix="selfj-chromium-")
        switches = [*_SWITCHES, f"--user-data-dir={self._folder}"]
        # The sandbox refuses to run as root.
        switches += ["--no-sandbox"] if not os.geteuid() else []
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]

        def join():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        with open(os.path.join(self._folder, "log"), "wb") as log:
            self._process = subprocess.Popen(
                [program, *switches, "about:blank"],
                pass_fds=(3, 4),
                preexec_fn=join,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._number, self._rest, self._replies, self.events = 0, b"", {}, {}
        self.version = self.call("Browser.getVersion")["product"]

    def call(self, method, session=None, **parameters):
        """Tell the browser something; gives its reply."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + WAIT_S
        while self._number not in self._replies:
            self.listen(end - time.monotonic())
        reply = self._replies.pop(self._number)
        if "error" in reply:
            raise BrowserFault(f"{method}: {reply['error']['message']}")
        return reply["result"]

    def listen(self, seconds):
        """Take in what the browser says, waiting for it at most so long."""
        if not select.select([self._read], [], [], max(0, seconds))[0]:
            raise BrowserFault(f"Chromium said nothing for {WAIT_S} seconds.")
        data = os.read(self._read, 1 << 20)
        if not data:
            raise BrowserFault(f"Chromium ended: {self._said()}")
        *whole, self._rest = (self._rest + data).split(b"\0")
        for message in map(json.loads, whole):
            if "id" in message:
                self._replies[message["id"]] = message
            else:
                self.events.setdefault(message.get("sessionId"), []).append((message["method"], message["params"]))

    def _said(self):
        with open(os.path.join(self._folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-800:]

    def close(self):
        """End the browser and remove its files."""
        with suppress(BrowserFault, OSError):
            self.call("Browser.close")
        os.close(self._write)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)


class Tab:
    """A page with a memory of its own: nothing is shared between two of them."""

    def __init__(self, browser, width=1280, height=900):
        self._browser = browser
        self._context = browser.call("Target.createBrowserContext")["browserContextId"]
        made = browser.call("Target.createTarget", url="about:blank", browserContextId=self._context)
        self._session = browser.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{part}.enable")
        self.size(width, height)

    def call(self, method, **parameters):
        """Tell the page something."""
        return self._browser.call(method, self._session, **parameters)

    def close(self):
        """Let go of the page."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    @property
    def events(self):
        """What the page has said so far: pairs of a name and its values."""
        return self._browser.events.get(self._session, [])

    def go(self, address):
        """Open an address and wait until all of it is there."""
        before = len(self.events)
        failed = self.call("Page.navigate", url=address).get("errorText")
        if failed:
            raise BrowserFault(f"{address}: {failed}")
        end = time.monotonic() + WAIT_S
        while not any(name == "Page.loadEventFired" for name, _ in self.events[before:]):
            self._browser.listen(end - time.monotonic())

    def js(self, expression):
        """The value of an expression, or of the promise that it gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserFault(f"{expression[:80]}: {details.get('exception', {}).get('description', details['text'])}")
        return found["result"].get("value")

    def until(self, expression):
        """Wait until an expression is true; gives its value."""
        end = time.monotonic() + WAIT_S
        while not (value := self.js(expression)):
            if time.monotonic() > end:
                raise BrowserFault(f"Never true in {WAIT_S} seconds: {expression}")
            time.sleep(0.02)
        return value

    def text(self, selector):
        """What an element shows."""
        return self.js(f"document.querySelector({json.dumps(selector)}).innerText").strip()

    def press(self, key, modifiers=0, times=1):
        """Press a key, by the name it has in a browser or as a character."""
        code, text = _KEYS.get(key) or (ord(key.upper()), key)
        name = " " if key == "Space" else key
        values = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        values |= {"text": text} if text and not modifiers & ~SHIFT else {}
        for _ in range(times):
            self.call("Input.dispatchKeyEvent", type="keyDown", **values)
            self.call("Input.dispatchKeyEvent", type="keyUp", **{k: v for k, v in values.items() if k != "text"})

    def type(self, text):
        """Put text where the focus is."""
        self.call("Input.insertText", text=text)

    def click(self, selector):
        """Click the middle of an element."""
        x, y = self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def size(self, width, height=900):
        """Make the page so wide and so high, in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """Ask for `light` or `dark` colours."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, path, whole=True):
        """Keep a picture of the page as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as handle:
            handle.write(base64.b64decode(found["data"]))

    def addresses(self):
        """Every address that was asked for."""
        return [values["request"]["url"] for name, values in self.events if name == "Network.requestWillBeSent"]

    def faults(self):
        """Errors and warnings of the console, refusals of the policy, and exceptions."""
        told = []
        for name, values in self.events:
            if name == "Runtime.exceptionThrown":
                details = values["exceptionDetails"]
                told.append(details.get("exception", {}).get("description", details["text"]))
            elif name == "Runtime.consoleAPICalled" and values["type"] in {"error", "warning", "assert"}:
                told.append(str([part.get("value", part.get("description")) for part in values["args"]]))
            elif name == "Log.entryAdded" and values["entry"]["level"] in {"error", "warning"}:
                told.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")
        return told
