"""What the checks with a real browser share: Chromium, axe-core, and pages that nobody else is asked for.

Playwright's own download of browsers is not needed: Chromium comes from the system
(`apt-get install chromium`), axe-core from npm. Where one of them cannot be had, a
check says that it skips.
"""

import argparse
import contextlib
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import from_pypi

PLAYWRIGHT = "playwright==1.*"
AXE = "axe-core@4.14.1"
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target" / "browser"


def ready(script, arguments):
    """Runs a check again in an environment that has Playwright; gives back Chromium's path there, and None where it skips."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or installed()
    if chromium is None:
        print("skipped: there is no Chromium; apt-get install chromium")
        return None
    TOOLS.mkdir(parents=True, exist_ok=True)
    python = from_pypi(TOOLS / "venv", [PLAYWRIGHT], "Playwright")
    if python is None:
        return None
    if pathlib.Path(sys.prefix).resolve() != (TOOLS / "venv").resolve():
        raise SystemExit(subprocess.run([str(python), script, *arguments]).returncode)
    return chromium


def installed():
    """Chromium from Debian, where we may install it."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
    subprocess.run(command, capture_output=True)
    return shutil.which("chromium")


def axe_source():
    """The script of axe-core; None, having said so, where npm cannot be asked."""
    known = TOOLS / (AXE.replace("@", "-") + ".js")
    if known.exists():
        return known.read_text()
    try:
        done = subprocess.run(["npm", "pack", "--silent", AXE], cwd=TOOLS, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as fault:
        print("skipped: axe-core cannot be had:", fault)
        return None
    if done.returncode != 0:
        print("skipped: axe-core cannot be had:", done.stderr.strip()[-300:])
        return None
    archive = TOOLS / done.stdout.strip().splitlines()[-1]
    with tarfile.open(archive) as packed:
        known.write_bytes(packed.extractfile("package/axe.min.js").read())
    archive.unlink()
    return known.read_text()


@contextlib.contextmanager
def browser(chromium):
    """A running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


def visitor(started, allowed, **options):
    """A browser of its own, from which nothing but some addresses is asked; the list of what else was asked comes with it."""
    context = started.new_context(**options)
    foreign, faults = [], []

    def look(route):
        url = route.request.url
        if any(url.startswith(one) for one in allowed) or url.startswith(("data:", "blob:", "about:")):
            route.continue_()
        else:
            foreign.append(url)
            route.abort()

    context.route("**/*", look)
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    return context, foreign, faults


def accessible(place, axe, what, also=()):
    """Fails on anything that axe-core calls serious or critical in a page or frame; tells how many rules held."""
    # Not a script of the page, whose policy may forbid that.
    place.evaluate(axe)
    found = place.evaluate("() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})")
    wrong = [one for one in found["violations"] if one["impact"] in ("serious", "critical") and one["id"] not in also]
    told = "\n".join(f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0].get('failureSummary', '')}" for one in wrong)
    assert not wrong, f"{what}:\n{told}"
    return len(found["passes"]), [one["id"] for one in found["violations"]]


def story(script):
    """What a story in the console begins with: its arguments, Chromium's path and axe-core; None where it skips."""
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--shots", type=pathlib.Path)
    arguments = parser.parse_args()
    chromium = ready(script, sys.argv[1:])
    axe = axe_source() if chromium else None
    if axe is None:
        return None
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    return arguments, chromium, axe


# How every page of the console is looked at: name, size, colours.
LOOKS = [
    (size, {"width": width, "height": height}, scheme)
    for size, width, height in (("office", 1366, 768), ("phone", 390, 844))
    for scheme in ("light", "dark")
]


def fits(page, axe, what, shots, name, size, scheme):
    """Fails where an open page has run what somebody typed, is wider than its screen, or bars somebody; pictures it first."""
    if shots:
        page.screenshot(path=shots / f"{name}-{size}-{scheme}.png", full_page=size == "phone")
    assert page.title() != "ran", what
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{what} {size}: {wide} pixels too wide"
    accessible(page, axe, f"{what} {size} {scheme}")


def resized(page):
    """The looks at the pages of somebody who stays signed in, one after the other."""
    for size, viewport, scheme in LOOKS:
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        yield size, scheme


def visited(started, allowed):
    """A page for each look in a browser of its own, from which nothing else may be asked."""
    for size, viewport, scheme in LOOKS:
        context, foreign, faults = visitor(started, allowed, locale="zh-CN", color_scheme=scheme, viewport=viewport)
        yield context.new_page(), size, scheme
        assert not foreign and not faults, (foreign, faults)
        context.close()


def opened(page, address, places, axe, shots, size, scheme, settled=lambda: None):
    """Looks at some places, each with the name of its picture; gives back how long the slowest took, and which it was."""
    slowest = (0, "")
    for name, place in places:
        begun = time.monotonic()
        page.goto(address + place)
        slowest = max(slowest, (time.monotonic() - begun, place))
        settled()
        fits(page, axe, place, shots, name, size, scheme)
    return slowest


class Site:
    """A site of somebody else on a free port, with pages and headers of its own."""

    def __init__(self):
        self.pages = {}
        pages = self.pages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                kind, text, headers = pages.get(self.path.split("?")[0], ("text/plain", "", {}))
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Another origin of the same site as ours: browsers without storage for third parties keep nothing elsewhere.
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
