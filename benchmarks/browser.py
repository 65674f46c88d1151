"""Pages in headless Chromium: what they become there, what they say of themselves, and what they ask the network for."""

import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vicreg.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing can be reached: no name resolves, and where none is needed the proxy refuses.
_OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip
_MILLISECONDS = 3000  # of the page's own time, which runs ahead of the clock
_SECONDS = 120
_BROWSERS_OWN = "not an origin"  # what the log has for the initiator of a request that no page made
_FRAME = """<!DOCTYPE html><meta charset="utf-8"><title>frame</title><style>body {{ margin: 0 }}</style>
<iframe src="inner.html" style="border: 0; width: {width}px; height: 2000px"></iframe>
<script>addEventListener("message", (event) => {{ document.documentElement.dataset.told = event.data; }});</script>
"""
_TELLING = """<script>(() => {{
const tell = (value) => parent.postMessage(JSON.stringify(value), "*");
addEventListener("load", async () => {{ {script} }});
}})();</script>
"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """`dom` is the page as scripts have left it, `messages` what it wrote to the console, errors too, and `requests` the
    addresses it asked for, none of which was reached."""

    dom: str
    messages: tuple[str, ...]
    requests: tuple[str, ...]


def find_browser() -> str | None:
    """The path of a Chromium, or None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def visit(page: Path, *, dark: bool = False, width: int = 1280) -> Visit:
    """Opens a file, with the network off. The window of a browser is at least 500 pixels wide; `ask` has narrower ones.

    Raises:
        InputError: if there is no browser, or it shows nothing.
    """
    browser = find_browser()
    if browser is None:
        raise InputError(f"one of {', '.join(NAMES)} must be on the PATH, but none is; install Chromium.")
    with tempfile.TemporaryDirectory() as profile:
        log = Path(profile) / "net.json"
        ended = subprocess.run(
            [
                browser, *_QUIET, *_OFFLINE, f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--window-size={width},2000", f"--user-data-dir={profile}", f"--virtual-time-budget={_MILLISECONDS}",
                f"--log-net-log={log}", "--dump-dom", page.absolute().as_uri(),
            ],
            capture_output=True, text=True, encoding="utf-8", timeout=_SECONDS, check=False,
        )  # fmt: skip
        if not ended.stdout:
            raise InputError(f"{page} must be a page that {browser} can show, but it showed nothing.")
        requests = _requests(log)
    messages = re.findall(r":CONSOLE(?::\d+|\(\d+\))\] (.*)", ended.stderr)
    return Visit(dom=ended.stdout, messages=tuple(messages), requests=requests)


def ask(content: str, script: str, *, dark: bool = False, width: int = 1280) -> Any:
    """What a page tells of itself: `script` is run at its end, may await, and calls `tell` with one JSON value.

    The page stands in a frame of this width.

    Raises:
        InputError: if it tells nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        inner, outer = Path(folder) / "inner.html", Path(folder) / "outer.html"
        inner.write_text(content.replace("</body>", _TELLING.format(script=script) + "</body>"), encoding="utf-8")
        outer.write_text(_FRAME.format(width=width), encoding="utf-8")
        seen = visit(outer, dark=dark, width=max(width, 500))
    found = re.search(r'data-told="([^"]*)"', seen.dom)
    if found is None:
        raise InputError(f"the script must tell something, but did not; the page said {list(seen.messages)}.")
    return json.loads(html.unescape(found[1]))


def _requests(log: Path) -> tuple[str, ...]:
    """The addresses that pages asked for, from Chromium's network log; local files are not in it."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return tuple(dict.fromkeys(one["url"] for one in asked if one["initiator"] != _BROWSERS_OWN))
