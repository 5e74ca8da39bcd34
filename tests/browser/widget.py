"""Does the widget hold in a real browser, on a page that does what it can against it?

usage: python3 tests/browser/widget.py ZHIDA [SCREENSHOTS]

Starts the binary ZHIDA with a knowledge base whose every text tries to be HTML, and
another site's page with a strict policy and styles that hide and move everything. A
visitor opens the panel by keyboard, asks, chooses, is cut off and comes back, talks
to a person, leaves a question behind. Prints bytes, requests, main-thread time and
layout shift; with SCREENSHOTS it leaves pictures there. Skips where Chromium,
Playwright or axe-core cannot be had.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import driver
from checking import Server

EVIL = "<img src=x onerror=\"top.pwned=1;window.pwned=1\"><script>window.pwned=1</script><a href=\"javascript:window.pwned=1\">x</a>"
ENTRIES = [
    {"id": "hours", "question": "几点上班", "answer": "早上九点。详情见 https://ok.example/hours?a=1，电话照旧。"},
    {"id": "evil", "question": f"标签怎么写{EVIL}", "similar": ["标签怎么写"], "answer": f"{EVIL} javascript:alert(1) https://shop.example@evil.example/ http://ok.example/\"onmouseover=pwned=1"},
    {"id": "red", "question": "红色的灯亮了怎么办", "answer": "请关机。", "related": ["hours"]},
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
        self.sites = {}
        for kb in ["shop", "night"]:
            out = self.zhida("channel", "add", "--kind", "web", "--kb", kb, "--origin", self.site.address, f"site-{kb}")
            self.sites[kb] = re.search(r'data-site="([^"]+)"', out)[1]
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
                if len(sys.argv) > 2:
                    photographs(check, started, pathlib.Path(sys.argv[2]))
                keyboard(check, started, axe)
                cut_off(check, started)
                forms(check, started, axe)
        finally:
            check.stop()
    print(f"the widget holds; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
