"""Does the widget hold in a real browser, on a page that does what it can against it?

usage: python3 tests/browser/widget.py ZHIDA [SCREENSHOTS]

Starts the binary ZHIDA with a knowledge base whose every text tries to be HTML, and
another site's page with a strict policy and styles that hide and move everything. A
visitor opens the panel by keyboard, asks, chooses, is cut off and comes back, talks
to a person, shows a picture and gets one back, leaves a question behind; signs in at the
page and out; has two tabs open. Prints bytes, requests, main-thread time and
layout shift; with SCREENSHOTS it leaves pictures there. Skips where Chromium,
Playwright or axe-core cannot be had.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import driver
from checking import Server

EVIL = "<img src=x onerror=\"top.pwned=1;window.pwned=1\"><script>window.pwned=1</script><a href=\"javascript:window.pwned=1\">x</a>"
ENTRIES = [
    {"id": "hours", "question": "几点上班", "answer": "早上九点。详情见 https://ok.example/hours?a=1，电话照旧。"},
    {"id": "evil", "question": f"标签怎么写{EVIL}", "similar": ["标签怎么写"], "answer": f"{EVIL} javascript:alert(1) https://shop.example@evil.example/ http://ok.example/\"onmouseover=pwned=1"},
    {"id": "red", "question": "红色的灯亮了怎么办", "answer": "请关机。", "related": ["hours"]},
    {"id": "shown", "question": "退货入口在哪里", "answer": "在这里申请。",
     "images": [{"url": "https://ok.example/picture.png", "alt": EVIL[:100]}, {"url": "http://ok.example/plain.png", "alt": "不加密的图"}],
     "links": [{"title": EVIL[:100], "url": "https://ok.example/card", "text": "七天内" + EVIL, "image": "https://ok.example/gone.png"}]},
    {"id": "green", "question": "绿色的灯亮了怎么办", "answer": "一切正常。"},
]
OPEN = '[hours]\nweekdays = ["00:00-24:00"]\nweekend = ["00:00-24:00"]\n'
SERVICE = f"""\
[voice]
greeting = '''您好{EVIL}'''
quick_questions = {{ entries = ["hours", "evil"] }}
[ticket]
intro = '''请留言{EVIL}'''
[[ticket.fields]]
name = "contact"
label = '''联系方式{EVIL}'''
kind = "contact"
required = true
[[ticket.fields]]
name = "text"
label = "您的问题"
kind = "long"
required = true
"""
HOSTILE = """
*, *::before, *::after, body *, html > *:not(head):not(body), zhida-widget { display: none !important; visibility: hidden !important; opacity: 0 !important;
  position: static !important; transform: scale(.1) !important; z-index: -1 !important; pointer-events: none !important; width: 1px !important; font: 60px serif !important; }
html, body, main, h1, #link { display: block !important; visibility: visible !important; opacity: 1 !important; transform: none !important; width: auto !important; pointer-events: auto !important; }
body { filter: blur(0); overflow: hidden; }
iframe, button, [role=dialog] { all: unset !important; display: none !important; }
"""
WATCH = """
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((one) => { window.shift += one.value; })).observe({type: 'layout-shift', buffered: true});
window.heard = [];
"""
# Lets axe-core, which sees no closed root, look at the bubble too; only where that is asked.
OPENED = "const attach = Element.prototype.attachShadow; Element.prototype.attachShadow = function (how) { return attach.call(this, {...how, mode: 'open'}); };"
HOST = """
window.zhida = window.zhida || function () { (zhida.q = zhida.q || []).push(arguments); };
for (const event of ['ready', 'open', 'close', 'message', 'unread', 'expired']) zhida('on', event, (detail) => heard.push([event, detail]));
"""


class Check:
    def __init__(self, binary, folder):
        self.binary, self.data = binary, folder / "data"
        (folder / "kb.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in ENTRIES))
        (folder / "open.toml").write_text(SERVICE + OPEN)
        now = (time.gmtime().tm_hour + 8 + 12) % 24
        there = f'["{now:02}:00-{now:02}:59"]'
        (folder / "night.toml").write_text(SERVICE + f"[hours]\nweekdays = {there}\nweekend = {there}\n")
        for kb in ["shop", "night"]:
            self.zhida("kb", "import", "--kb", kb, str(folder / "kb.jsonl"))
            self.zhida("rules", "set", "--kb", kb, str(folder / ("open.toml" if kb == "shop" else "night.toml")))
            self.zhida("kb", "publish", "--kb", kb, "--model", "none")
        self.key = json.loads(self.zhida("key", "create", "--role", "agent", "--json"))["key"]
        self.site = driver.Site()
        self.sites, self.secrets = {}, {}
        for kb in ["shop", "night"]:
            out = self.zhida("channel", "add", "--kind", "web", "--kb", kb, "--origin", self.site.address, f"site-{kb}")
            self.sites[kb] = re.search(r'data-site="([^"]+)"', out)[1]
            self.secrets[kb] = out.splitlines()[1]
        self.server = Server(binary, self.data, "--model", "none")

    def zhida(self, *arguments):
        done = subprocess.run([self.binary, *arguments, "--data", str(self.data)], capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def api(self, method, path, body=None):
        request = urllib.request.Request(self.server.address + path, method=method, headers={
            "Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, json.dumps(body).encode() if body is not None else None) as reply:
            return json.loads(reply.read() or "null")

    def page(self, path, kb="shop", style="", policy=True, body="", **data):
        """A page of the other site with the widget, and what its policy allows."""
        set_ = "".join(f' data-{name}="{value}"' for name, value in data.items())
        text = f"""<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>商店</title>
<link rel="stylesheet" href="/style.css"><script src="/host.js"></script></head><body><main><h1>商店</h1><a id="link" href="#x">链接</a>{body}</main>
<script async src="{self.server.address}/widget.js" data-site="{self.sites[kb]}"{set_}></script></body></html>"""
        ours = self.server.address
        csp = f"default-src 'none'; script-src 'self' {ours}; style-src 'self'; frame-src {ours}; require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'"
        self.site.pages[path] = ("text/html", text, {"Content-Security-Policy": csp if policy is True else policy, "Cross-Origin-Embedder-Policy": "require-corp"})
        self.site.pages["/style.css"] = ("text/css", style, {})
        self.site.pages["/host.js"] = ("text/javascript", HOST, {})
        return self.site.address + path

    def stop(self):
        self.site.stop()
        self.server.stop()


def panel(page, check):
    """The frame of the panel, when it is ready."""
    until = time.monotonic() + 15
    while True:
        for frame in page.frames:
            if frame.url.startswith(check.server.address + "/widget/"):
                frame.wait_for_selector("#lines > *")
                return frame
        assert time.monotonic() < until, f"no panel: {[frame.url for frame in page.frames]}"
        page.wait_for_timeout(20)


def shows(frame, text, times=1):
    """Waits until a text stands in the conversation, and it must stand there so often."""
    try:
        frame.wait_for_function("([text]) => document.getElementById('lines').textContent.includes(text)", arg=[text], timeout=20000)
    except Exception:
        raise AssertionError(f"{text!r} does not come; there is:\n" + frame.inner_text("#log")) from None
    found = frame.evaluate("([text]) => document.getElementById('lines').textContent.split(text).length - 1", [text])
    assert found == times, f"{text!r} stands there {found} times:\n" + frame.inner_text("#log")


def keyboard(check, started, axe):
    """The hostile page, by keyboard only: sizes, requests, focus, words that stay words."""
    context, foreign, faults = driver.visitor(started, [check.server.address, check.site.address])
    asked = []
    context.on("response", lambda response: asked.append(response))
    page = context.new_page()
    page.add_init_script(WATCH)
    cdp = context.new_cdp_session(page)
    cdp.send("Performance.enable")
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.goto(check.page("/", style=HOSTILE), wait_until="load")
    page.wait_for_function("() => document.querySelector('zhida-widget')")
    metrics = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
    ours = [one for one in asked if one.url.startswith(check.server.address)]
    before = sum(one.request.sizes()["responseBodySize"] for one in ours)
    assert len(ours) == 1 and before <= 4096, (len(ours), before)
    assert page.evaluate("() => document.querySelector('zhida-widget').shadowRoot") is None, "the page can reach in"
    box = page.evaluate("() => { const {width, height, right, bottom} = document.querySelector('zhida-widget').getBoundingClientRect(); return [width, height, innerWidth - right, innerHeight - bottom]; }")
    assert box[0] == 56 and box[1] == 56 and box[2:] == [20, 20], f"the page moves the bubble: {box}"
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.tagName") == "ZHIDA-WIDGET":
            break
    page.keyboard.press("Enter")
    frame = panel(page, check)
    frame.wait_for_function("() => document.activeElement.id === 'text'")
    page.wait_for_timeout(300)
    opened = [one for one in asked if one.url.startswith(check.server.address)][1:]
    after = sum(one.request.sizes()["responseBodySize"] for one in opened if "/conversations" not in one.url)
    assert after <= 30 * 1024, after
    print(f"bytes packed before opening {before}, of the panel {after}; requests 1 and {len(opened)}")
    print(f"main thread of the page until loaded, four times slowed: {metrics['TaskDuration'] * 1000:.0f} ms in all, scripts {metrics['ScriptDuration'] * 1000:.0f} ms")
    now = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
    spent = [(now[name] - metrics[name]) * 1000 for name in ("TaskDuration", "ScriptDuration")]
    print(f"main thread until the panel is ready, not slowed: {spent[0]:.0f} ms in all, scripts {spent[1]:.0f} ms")
    shows(frame, EVIL, 2)
    page.keyboard.type("几点上班")
    page.keyboard.press("Enter")
    shows(frame, "早上九点")
    links = frame.eval_on_selector_all("#lines .words a", "all => all.map((one) => [one.href, one.rel])")
    assert links == [["https://ok.example/hours?a=1", "noopener noreferrer nofollow"]], links
    page.keyboard.type("标签怎么写")
    page.keyboard.press("Enter")
    shows(frame, "javascript:alert(1)")
    page.keyboard.type("我" + EVIL)
    page.keyboard.press("Enter")
    shows(frame, "我" + EVIL)
    hrefs = frame.eval_on_selector_all("#lines a", "all => all.map((one) => one.href)")
    assert all(one.startswith(("https://ok.example/", "http://ok.example/")) for one in hrefs), hrefs
    made = frame.eval_on_selector_all("#lines img, #lines script, #lines iframe, #lines [onmouseover], #lines [onerror]", "all => all.length")
    pwned = [page.evaluate("() => window.pwned"), frame.evaluate("() => window.pwned")]
    assert made == 0 and pwned == [None, None], (made, pwned)
    held = driver.accessible(frame, axe, "the panel")
    print(f"axe-core: {held[0]} rules hold in the panel; others {held[1]}")
    page.keyboard.press("Escape")
    page.wait_for_function("() => heard.some(([event]) => event === 'close')")
    assert page.evaluate("() => document.activeElement.tagName") == "ZHIDA-WIDGET", "the focus is lost"
    page.keyboard.press("Enter")
    frame.wait_for_function("() => document.activeElement.id === 'text'")
    small = frame.eval_on_selector_all("button, textarea", "all => all.filter((one) => one.offsetParent && (one.offsetWidth < 44 || one.offsetHeight < 44)).map((one) => one.outerHTML)")
    assert not small, small
    assert page.evaluate("() => window.shift") == 0, "the page moves"
    print("layout shift 0")
    # The same visitor on the next page: what was said is there, once.
    page.reload(wait_until="load")
    page.evaluate("() => zhida('open')")
    frame = panel(page, check)
    shows(frame, "早上九点")
    assert not foreign and not faults, (foreign, faults)
    context.close()


def cut_off(check, started):
    """Cut off for some seconds, replies that get lost, a person who writes meanwhile."""
    context, foreign, _ = driver.visitor(started, [check.server.address, check.site.address])
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(check.page("/", open=""), wait_until="load")
    frame = panel(page, check)
    frame.fill("#text", "转人工")
    frame.press("#text", "Enter")
    shows(frame, "正在为您转接")
    frame.wait_for_function("() => document.getElementById('state').textContent.includes('马上轮到您')")
    [waiting] = check.api("GET", "/v1/handoffs?state=waiting")["items"]
    check.api("POST", f"/v1/handoffs/{waiting['id']}/claim", {})
    check.api("POST", f"/v1/handoffs/{waiting['id']}/reply", {"text": f"一号来了{EVIL}"})
    shows(frame, f"一号来了{EVIL}")
    context.set_offline(True)
    for text in ["断网时的第一句", "断网时的第二句"]:
        frame.fill("#text", text)
        frame.press("#text", "Enter")
    frame.wait_for_selector("#trouble:not([hidden])")
    check.api("POST", f"/v1/handoffs/{waiting['id']}/reply", {"text": "二号消息"})
    page.wait_for_timeout(3000)
    assert frame.locator("#pending .line").count() == 2, "they wait"
    context.set_offline(False)
    for text in ["断网时的第一句", "断网时的第二句", "二号消息"]:
        shows(frame, text)
    frame.wait_for_selector("#trouble", state="hidden")
    # The server hears it, and its reply gets lost: it is said once all the same.
    lost = []

    def lose(route):
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.fallback()

    context.route("**/messages", lose)
    frame.fill("#text", "回执丢了的一句")
    frame.press("#text", "Enter")
    shows(frame, "回执丢了的一句")
    page.wait_for_timeout(2500)
    shows(frame, "回执丢了的一句")
    assert lost == [200] and frame.locator("#pending .line").count() == 0, lost
    # Where streams do not get through, looking now and then does.
    context.route("**/events", lambda route: route.abort())
    page.reload(wait_until="load")
    frame = panel(page, check)
    check.api("POST", f"/v1/handoffs/{waiting['id']}/reply", {"text": "没有流也到了"})
    shows(frame, "没有流也到了")
    # Closed, it counts what came; ended, it asks how it was.
    page.evaluate("() => zhida('close')")
    check.api("POST", f"/v1/handoffs/{waiting['id']}/reply", {"text": "还在吗"})
    page.wait_for_function("() => heard.some(([event, n]) => event === 'unread' && n === 1)", timeout=20000)
    check.api("POST", f"/v1/handoffs/{waiting['id']}/close", {})
    frame.wait_for_selector(".stars button >> nth=4", state="attached", timeout=20000)
    page.evaluate("() => zhida('open')")
    frame.click(".stars button >> nth=4")
    frame.wait_for_selector(".stars p:has-text('5 分')")
    told = check.api("GET", f"/v1/conversations/{waiting['conversation']}")["turns"]
    words = [one["text"] for one in told if one["role"] == "customer"]
    assert words == ["转人工", "断网时的第一句", "断网时的第二句", "回执丢了的一句"], words
    page.evaluate("() => zhida('reset')")
    frame.wait_for_function("() => !document.getElementById('lines').textContent.includes('一号来了')")
    assert not foreign, foreign
    context.close()
    print("cut off and back: nothing lost, nothing doubled")


def forms(check, started, axe):
    """At night a question is left behind; what is not filled in is marked."""
    context, foreign, _ = driver.visitor(started, [check.server.address, check.site.address])
    page = context.new_page()
    page.add_init_script(WATCH + OPENED)
    page.goto(check.page("/night", kb="night", open="", lang="zh"), wait_until="load")
    frame = panel(page, check)
    frame.click("#person")
    frame.click("#lines button:has-text('填写留言')")
    frame.click("#sheet button.main")
    frame.wait_for_selector("#f-contact[aria-invalid]")
    assert frame.evaluate("() => document.activeElement.id") == "f-contact"
    driver.accessible(frame, axe, "the form")
    held = driver.accessible(page, axe, "the page with the bubble", also=("region",))
    print(f"axe-core: {held[0]} rules hold in the page with the bubble; others {held[1]}")
    frame.fill("#f-contact", "13800001111")
    frame.fill("#f-text", EVIL)
    frame.click("#sheet button.main")
    shows(frame, "工单号 1")
    assert frame.evaluate("() => window.pwned") is None and not foreign, foreign
    context.close()
    # English, and a page that forbids our frame: a window of our own opens instead.
    context, _, _ = driver.visitor(started, [check.server.address, check.site.address])
    page = context.new_page()
    page.add_init_script(WATCH)
    barred = f"default-src 'self'; script-src 'self' {check.server.address}"
    page.goto(check.page("/barred", policy=barred, lang="en"), wait_until="load")
    page.wait_for_function("() => document.querySelector('zhida-widget')")
    with context.expect_page() as opened:
        page.mouse.click(page.viewport_size["width"] - 48, page.viewport_size["height"] - 48)
    window = opened.value
    window.wait_for_selector("#lines > *")
    assert window.inner_text("#send") == "Send" and window.evaluate("() => document.documentElement.lang") == "en"
    context.close()
    print("forms, English, and a page without frames: as they should be")


def png(side, colour):
    """A picture of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(colour) * side for _ in range(side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def fetched(address, **headers):
    """What an address gives: status, headers, body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.headers, fault.read()


def seen(frame, count):
    """Waits until so many pictures are there and drawn."""
    frame.wait_for_function("([n]) => { const all = [...document.querySelectorAll('#lines img.picture')]; return all.length === n && all.every((one) => one.naturalWidth > 0); }", arg=[count], timeout=20000)


def kept(frame):
    return frame.evaluate("() => JSON.parse(localStorage.getItem('zhida-' + location.pathname.split('/').pop()))")


def pictures(check, started, axe, folder):
    """A visitor shows a person a picture; what only looks like one is refused; nobody else gets it."""
    context, foreign, faults = driver.visitor(started, [check.server.address, check.site.address])
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(check.page("/", open="", lang="zh"), wait_until="load")
    frame = panel(page, check)
    assert frame.locator("#picture").is_hidden(), "pictures are for people"
    frame.click("#person")
    shows(frame, "正在为您转接")
    frame.wait_for_selector("#picture:visible")
    mine = png(64, (200, 30, 30))
    with page.expect_file_chooser() as chosen:
        frame.focus("#picture")
        page.keyboard.press("Enter")
    chosen.value.set_files({"name": f"照片{EVIL}.png", "mimeType": "image/png", "buffer": mine})
    seen(frame, 1)
    assert frame.locator("#pending .line").count() == 0
    for name, content, word in [
        ("a.png", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "只能发送"),
        ("b.png", b"<!doctype html><script>alert(1)</script>", "只能发送"),
        ("c.png", mine + b"\0" * (5 * 1024 * 1024), "不能超过"),
    ]:
        frame.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
        frame.wait_for_selector(f".failed:has-text('{name}'):has-text('{word}')")
    [waiting] = check.api("GET", "/v1/handoffs?state=waiting")["items"]
    [line] = [one for one in waiting["transcript"] if one.get("picture")]
    picture = line["picture"]
    assert (picture["kind"], picture["bytes"], line["role"]) == ("image/png", len(mine), "customer"), line
    base = check.server.address
    place = f"{base}/v1/conversations/{waiting['conversation']}/pictures/{picture['id']}"
    status, headers, body = fetched(place, Authorization=f"Bearer {check.key}")
    assert (status, body, headers["Content-Type"], headers["X-Content-Type-Options"]) == (200, mine, "image/png", "nosniff"), (status, dict(headers))
    assert "sandbox" in headers["Content-Security-Policy"] and headers["Content-Disposition"].startswith("inline; filename="), dict(headers)
    assert fetched(place)[0] == 401, "everybody sees it"
    ask = json.loads(check.zhida("key", "create", "--role", "ask", "--json"))["key"]
    assert fetched(place, Authorization=f"Bearer {ask}")[0] == 403, "customers' keys see it"
    own = f"{base}/widget/{check.sites['shop']}/conversations/{waiting['conversation']}/pictures/{picture['id']}"
    token = kept(frame)["visitor"]
    assert fetched(own, Authorization=f"Bearer {token}")[0] == 200
    other, _, _ = driver.visitor(started, [base, check.site.address])
    stranger = other.new_page()
    stranger.add_init_script(WATCH)
    stranger.goto(check.page("/", open="", lang="zh"), wait_until="load")
    assert fetched(own, Authorization=f"Bearer {kept(panel(stranger, check))['visitor']}")[0] == 404, "another visitor sees it"
    other.close()
    # The agent sees it in the console, and shows one in return.
    check.api("POST", f"/v1/handoffs/{waiting['id']}/claim", {})
    desk, _, _ = driver.visitor(started, [base], extra_http_headers={"Authorization": f"Bearer {check.key}"}, viewport={"width": 1366, "height": 768}, locale="zh-CN")
    agent = desk.new_page()
    agent.goto(f"{base}/console/desk/{waiting['id']}")
    agent.wait_for_function("() => { const one = document.querySelector('img.picture'); return one && one.naturalWidth === 64; }")
    driver.accessible(agent, axe, "the conversation with a picture")
    agent.click("summary:has-text('发图片给顾客')")
    agent.set_input_files("input[name=picture]", {"name": "x.png", "mimeType": "image/png", "buffer": b"<svg/>"})
    agent.click("button:has-text('发送图片')")
    agent.get_by_text("这不是 JPEG").wait_for()
    agent.click("summary:has-text('发图片给顾客')")
    agent.set_input_files("input[name=picture]", {"name": "y.png", "mimeType": "image/png", "buffer": png(32, (30, 30, 200))})
    agent.click("button:has-text('发送图片')")
    agent.get_by_text("图片已发送").wait_for()
    if folder:
        agent.screenshot(path=folder / "desk-picture.png")
    desk.close()
    seen(frame, 2)
    if folder:
        page.screenshot(path=folder / "panel-picture.png")
    driver.accessible(frame, axe, "the panel with pictures")
    page.reload(wait_until="load")
    frame = panel(page, check)
    seen(frame, 2)
    small = frame.eval_on_selector_all("button", "all => all.filter((one) => one.offsetParent && (one.offsetWidth < 44 || one.offsetHeight < 44)).map((one) => one.outerHTML)")
    assert not small, small
    for number in range(9):
        frame.set_input_files("#file", {"name": f"{number}.png", "mimeType": "image/png", "buffer": png(8, (number, 0, 0))})
    seen(frame, 11)
    frame.set_input_files("#file", {"name": "more.png", "mimeType": "image/png", "buffer": png(8, (99, 0, 0))})
    frame.wait_for_selector(".failed:has-text('more.png'):has-text('太多')")
    check.api("POST", f"/v1/handoffs/{waiting['id']}/close", {})
    frame.wait_for_selector("#picture", state="hidden")
    lies = list((check.data / "files").glob("*/*"))
    assert len(lies) == 11, [one.name for one in lies]
    check.zhida("forget", "--conversation", waiting["conversation"])
    assert not list((check.data / "files").glob("*/*")), "pictures outlive their conversation"
    assert not foreign and not faults, (foreign, faults)
    context.close()
    print("pictures: shown both ways, to nobody else; what only looks like one is refused; gone with the conversation")


def jwt(secret, **claims):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    signed = part(json.dumps({"alg": "HS256"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()


def identified(check, started):
    """Somebody who has signed in at the page is known; a token that ran out or is not the site's counts for nothing."""
    context, foreign, _ = driver.visitor(started, [check.server.address, check.site.address])
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(check.page("/", open="", lang="zh"), wait_until="load")
    frame = panel(page, check)
    anonymous = kept(frame)["session"]
    secret = check.secrets["shop"]
    page.evaluate("(token) => zhida('identify', token)", jwt(secret, sub="u-42", name="王芳", kb="shop", exp=int(time.time()) + 6))
    frame.wait_for_function("([old]) => JSON.parse(localStorage.getItem('zhida-' + location.pathname.split('/').pop())).session !== old", arg=[anonymous])
    session = kept(frame)["session"]
    frame.fill("#text", "几点上班")
    frame.press("#text", "Enter")
    shows(frame, "早上九点")
    page.wait_for_timeout(6500)
    # It ran out: the next message is not heard, and the page is asked for a new one.
    frame.fill("#text", "红色的灯亮了怎么办")
    frame.press("#text", "Enter")
    frame.wait_for_selector("#trouble:has-text('登录已过期')")
    page.wait_for_function("() => heard.some(([event]) => event === 'expired')")
    turns = [one["text"] for one in check.api("GET", f"/v1/conversations/{session}")["turns"] if one["role"] == "customer"]
    assert turns == ["几点上班"], turns
    for wrong in [jwt("x" * 43, sub="u-42", kb="shop", exp=int(time.time()) + 600), jwt(secret, sub="u-42", kb="night", exp=int(time.time()) + 600)]:
        page.evaluate("(token) => { heard.length = 0; zhida('identify', token); }", wrong)
        page.wait_for_function("() => heard.some(([event]) => event === 'expired')")
        assert frame.locator("#trouble").is_visible()
    # A good one: what waited is said, once, and what was said before is there.
    page.evaluate("(token) => zhida('identify', token)", jwt(secret, sub="u-42", kb="shop", exp=int(time.time()) + 600))
    shows(frame, "请关机")
    shows(frame, "早上九点")
    turns = [one["text"] for one in check.api("GET", f"/v1/conversations/{session}")["turns"] if one["role"] == "customer"]
    assert turns == ["几点上班", "红色的灯亮了怎么办"], turns
    # Whoever has the browser next sees nothing of it.
    page.evaluate("() => zhida('reset')")
    frame.wait_for_function("() => !document.getElementById('lines').textContent.includes('请关机')")
    assert kept(frame)["session"] != session and not foreign, foreign
    context.close()
    print("identities: known, refused when they ran out or are not the site's, and nothing of them is left behind")


def two_tabs(check, started):
    """Two tabs of one visitor: each hears what the other says, and nothing is doubled or lost."""
    context, foreign, _ = driver.visitor(started, [check.server.address, check.site.address])
    frames, pages = [], []
    for _ in range(2):
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(check.page("/", open="", lang="zh"), wait_until="load")
        pages.append(page)
        frames.append(panel(page, check))
    one, other = frames
    sessions = [kept(frame)["session"] for frame in frames]
    assert sessions[0] == sessions[1], sessions
    said = []
    for number in range(3):
        for name, frame in zip("甲乙", frames):
            text = f"{name}页的第{number}句"
            said.append(text)
            frame.fill("#text", text)
            frame.evaluate("() => document.getElementById('ask').requestSubmit()")
    for page, frame in zip(pages, frames):
        page.bring_to_front()
        for text in said:
            shows(frame, text)
    turns = [turn["text"] for turn in check.api("GET", f"/v1/conversations/{sessions[0]}")["turns"] if turn["role"] == "customer"]
    assert sorted(turns) == sorted(said), turns
    # One forgets the conversation: the other one follows.
    pages[1].evaluate("() => zhida('reset')")
    other.wait_for_function("() => !document.getElementById('lines').textContent.includes('甲页')")
    pages[0].bring_to_front()
    one.wait_for_function("() => !document.getElementById('lines').textContent.includes('甲页')")
    assert kept(one)["session"] == kept(other)["session"] != sessions[0] and not foreign, foreign
    context.close()
    print("two tabs: nothing doubled, nothing lost")


def photographs(check, started, folder):
    """Pictures of the panel, large and small, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in {
        "desktop-light": {"viewport": {"width": 1280, "height": 800}},
        "desktop-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
        "phone-light": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2},
        "phone-dark": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark", "device_scale_factor": 2},
    }.items():
        context, _, _ = driver.visitor(started, [check.server.address, check.site.address], **options)
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(check.page("/", style="body { font: 16px sans-serif }"), wait_until="load")
        page.wait_for_function("() => document.querySelector('zhida-widget')")
        page.screenshot(path=folder / f"{name}-closed.png")
        page.evaluate("() => zhida('open')")
        frame = panel(page, check)
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-greeting.png")
        for text in ["几点上班", "灯亮了怎么办", "转人工"]:
            frame.fill("#text", text)
            frame.press("#text", "Enter")
            frame.wait_for_function("() => !document.getElementById('pending').firstChild")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-talk.png")
        page.goto(check.page("/night", kb="night", open=""), wait_until="load")
        frame = panel(page, check)
        frame.click("#person")
        frame.click("#lines button:has-text('填写留言')")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-form.png")
        context.close()


def beside(check, started, axe, shots):
    """Pictures and cards beside an answer: shown over https only, told as text, and nobody learns which page shows them."""
    context, foreign, faults = driver.visitor(started, [check.server.address, check.site.address])
    page = context.new_page()
    fetched = []

    def picture(route):
        fetched.append((route.request.url, route.request.headers.get("referer"), route.request.headers.get("cookie")))
        if route.request.url.endswith("picture.png"):
            route.fulfill(status=200, content_type="image/png", body=png(60, (30, 90, 160)))
        else:
            route.fulfill(status=404)

    page.route("https://ok.example/**", picture)
    page.goto(check.page("/", style="body { font: 16px sans-serif }"), wait_until="load")
    page.wait_for_function("() => document.querySelector('zhida-widget')")
    page.evaluate("() => zhida('open')")
    frame = panel(page, check)
    frame.fill("#text", "退货入口在哪里")
    frame.press("#text", "Enter")
    shows(frame, "在这里申请")
    frame.wait_for_function("() => [...document.querySelectorAll('.shown img')].some((one) => one.naturalWidth > 0)")
    # What cannot be fetched leaves the card, and what is not encrypted is a link.
    frame.wait_for_function("() => document.querySelectorAll('.shown img').length === 1")
    shown = frame.eval_on_selector_all(".shown", "all => all.map((one) => [one.tagName, one.href, one.rel, one.target])")
    links = ["https://ok.example/picture.png", "http://ok.example/plain.png", "https://ok.example/card"]
    assert shown == [["A", link, "noopener noreferrer nofollow", "_blank"] for link in links], shown
    assert frame.locator(".shown").nth(1).inner_text() == "不加密的图"
    assert EVIL[:100] in frame.locator(".card").inner_text() and "七天内" in frame.locator(".card").inner_text()
    assert frame.evaluate("() => window.pwned") is None and page.evaluate("() => window.pwned") is None
    assert sorted(url for url, _, _ in fetched) == ["https://ok.example/gone.png", "https://ok.example/picture.png"], fetched
    assert all(referer is None and cookie is None for _, referer, cookie in fetched), fetched
    driver.accessible(frame, axe, "the panel with pictures and cards")
    if shots:
        page.wait_for_timeout(300)
        page.screenshot(path=shots / "widget-beside.png")
    assert not foreign and not faults, (foreign, faults)
    context.close()
    print("pictures and cards stand beside an answer; nobody learns which page shows them")


def main():
    chromium = driver.ready(__file__, sys.argv[1:])
    if chromium is None:
        return
    axe = driver.axe_source()
    if axe is None:
        return
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(sys.argv[1], pathlib.Path(folder))
        try:
            with driver.browser(chromium) as started:
                keyboard(check, started, axe)
                beside(check, started, axe, pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None)
                cut_off(check, started)
                forms(check, started, axe)
                pictures(check, started, axe, pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None)
                identified(check, started)
                two_tabs(check, started)
                # Last: its visitors stay in the queue.
                if len(sys.argv) > 2:
                    photographs(check, started, pathlib.Path(sys.argv[2]))
        finally:
            check.stop()
    print(f"the widget holds; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
