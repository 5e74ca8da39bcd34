"""What an agent does in the console, in a real browser, with a customer on the other side.

    python3 tests/browser/desk.py target/release/zhida [--shots DIR]

Somebody signs in and is led to where they wanted to go; a customer asks for a person and
stands in the queue without a reload; the agent takes over, uses a proposal, writes, and
hands back; a session that ends in the middle of a reply loses nothing; tickets and figures
open. axe-core finds nothing serious, nothing that a customer writes runs, and no request
leaves the machine. With `--shots` every page is also pictured.
"""

import json
import pathlib
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server

PAYLOAD = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
PASSWORD = "泳池边的猫 27 度，真暖和"
PAGES = [
    "/console", "/console/desk", "/console/desk/replies", "/console/desk/past", "/console/tickets",
    "/console/tickets/new", "/console/stats?kb=demo",
]


class Program:
    """Whoever asks with a key: the customer's page, and the operator."""

    def __init__(self, address):
        self.address, self.key = address, None

    def __call__(self, method, path, body=None, author=None):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        headers |= {"Zhida-Author": author} if author else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as reply:
                return json.loads(reply.read() or "null")
        except urllib.error.HTTPError as fault:
            raise SystemExit(f"{method} {path}: {fault.read().decode()}") from None


def sign_in(page, address, place):
    page.goto(address + place)
    page.wait_for_url("**/login?next=**")
    page.get_by_label("登录名").fill("wang")
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="登录").click()


def take_over(page, address, ask):
    """From an empty queue to a conversation that the robot has again."""
    sign_in(page, address, "/console/desk")
    page.wait_for_url("**/console/desk")
    begun = time.monotonic()
    handoff = ask("POST", "/v1/answer", {"text": "转人工", "session": "c1", "channel": "web", "fields": {"name": PAYLOAD}})["handoff"]["id"]
    row = page.locator(f"a[href='/console/desk/{handoff}']").first
    row.wait_for(timeout=10_000)
    seen = time.monotonic() - begun
    row.click()
    page.get_by_role("button", name="接待").first.click()
    reply = page.locator("form#reply textarea[name=text]")
    reply.wait_for()
    ask("POST", "/v1/conversations/c1/messages", {"text": "支持七天无理由退货吗"})
    page.get_by_text("支持七天无理由退货吗").first.wait_for(timeout=10_000)
    page.locator("a[data-key='1']").wait_for(timeout=10_000)
    page.locator("h1").click()
    page.keyboard.press("1")
    assert reply.input_value(), "the proposal is in the box"
    reply.fill("您好，可以的。" + PAYLOAD)
    page.reload()
    assert reply.input_value().startswith("您好"), "a draft outlives a reload"
    reply.press("Control+Enter")
    page.locator(".line", has_text="您好，可以的。").wait_for(timeout=10_000)
    said = [line["text"] for line in ask("GET", "/v1/conversations/c1")["turns"] if line["role"] == "agent"]
    assert said == ["您好，可以的。" + PAYLOAD], said
    return handoff, seen


def survive(page, address, ask, handoff, person):
    """The session ends while something is being written: after signing in again it is sent."""
    reply = page.locator("form#reply textarea[name=text]")
    reply.fill("还有什么可以帮您？")
    ask("DELETE", f"/v1/people/{person}/sessions")
    reply.press("Control+Enter")
    page.get_by_text("登录已过期").first.wait_for(timeout=10_000)
    assert reply.input_value() == "还有什么可以帮您？"
    other = page.context.new_page()
    other.goto(address + "/login?next=%2Fconsole%2Fback")
    other.get_by_label("登录名").fill("wang")
    other.get_by_label("密码", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="登录").click()
    other.wait_for_url("**/console/back")
    other.close()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.get_by_text("已重新登录").wait_for(timeout=10_000)
    reply.press("Control+Enter")
    page.locator(".line", has_text="还有什么可以帮您？").wait_for(timeout=10_000)
    page.get_by_role("button", name="交还机器人").click()
    page.wait_for_load_state()
    assert ask("GET", "/v1/conversations/c1")["owner"] == "bot"


def pass_on(page, address, ask):
    """A conversation goes to a colleague with a note, comes back by itself, and becomes a ticket."""
    handoff = ask("POST", "/v1/answer", {"text": "转人工", "session": "c2", "channel": "web"})["handoff"]["id"]
    ask("PUT", "/v1/presence", {"state": "online"}, author="li")
    page.goto(f"{address}/console/desk/{handoff}")
    page.get_by_role("button", name="接待").first.click()
    page.get_by_text("转交同事").click()
    page.get_by_label("交给").select_option("li")
    page.get_by_label("给同事的备注").fill("顾客要专票")
    # What happens before the stream is open stands in the page, and is not announced.
    with page.expect_response(lambda response: "/v1/handoffs/events" in response.url):
        page.get_by_role("button", name="转交", exact=True).click()
        page.get_by_text("已转交给 li").wait_for()
    assert ask("GET", f"/v1/handoffs/{handoff}")["agent"] == "li"
    begun = time.monotonic()
    ask("POST", f"/v1/handoffs/{handoff}/transfer", {"to": "wang"}, author="li")
    page.get_by_text("同事转给您一个会话").wait_for(timeout=10_000)
    page.locator(f"[data-own='{handoff}']").wait_for(timeout=10_000)
    seen = time.monotonic() - begun
    page.locator(f"a[href='/console/desk/{handoff}']").first.click()
    page.get_by_text("顾客要专票").wait_for()
    page.get_by_role("link", name="建工单").click()
    page.get_by_label("联系方式").fill("13800000000")
    page.get_by_role("button", name="建工单").click()
    page.get_by_text("工单已建立").wait_for()
    assert ask("GET", "/v1/tickets")["items"][0]["conversation"] == "c2"
    return seen


def look(page, address, axe, handoff, shots):
    def name(place):
        short = place.split("?")[0].removeprefix("/console/").replace("/", "-").replace(handoff, "conversation")
        return f"desk-{short.strip('-') or 'home'}"

    places = [(name(place), place) for place in [*PAGES, f"/console/desk/{handoff}"]]
    return max(driver.opened(page, address, places, axe, shots, *how) for how in driver.resized(page))



def main():
    begun = driver.story(__file__)
    if begun is None:
        return
    arguments, chromium, axe = begun
    with tempfile.TemporaryDirectory() as folder, driver.browser(chromium) as started:
        server = Server(arguments.binary, pathlib.Path(folder) / "data", LC_ALL="C.UTF-8")
        try:
            address = server.address
            ask = Program(address)
            ask.key = ask("POST", "/v1/keys", {"role": "admin", "name": "story"})["key"]
            made = ask("POST", "/v1/people", {"name": "wang", "display_name": "小王", "role": "admin"})
            token = made["invitation"]["link"].split("#")[1]
            ask("POST", "/v1/setup", {"token": token, "password": PASSWORD})
            context, foreign, faults = driver.visitor(
                started, [address], locale="zh-CN", viewport={"width": 1366, "height": 768}
            )
            page = context.new_page()
            page.on("dialog", lambda dialog: dialog.accept())
            handoff, seen = take_over(page, address, ask)
            print(f"a customer stood in the queue after {seen * 1000:.0f} ms, without a reload; the reply arrived")
            survive(page, address, ask, handoff, made["person"]["id"])
            print("a session ended in the middle of a reply, and nothing was lost; the robot has the conversation again")
            seen = pass_on(page, address, ask)
            print(f"a conversation was passed on and came back after {seen * 1000:.0f} ms, and became a ticket")
            slowest = look(page, address, axe, handoff, arguments.shots)
            print(f"axe-core found nothing serious; the slowest page opened in {slowest[0] * 1000:.0f} ms ({slowest[1]})")
            assert not foreign and not faults, (foreign, faults)
            print("no request left the machine")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
