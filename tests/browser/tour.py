"""Makes the pictures of README.zh-CN.md's tour.

    python3 tests/browser/tour.py target/release/zhida [FOLDER]

Starts a server with the demo shop, lets some customers ask, one of them for a person, and
pictures the console in Chromium as an author, an agent and an operator see it, into
FOLDER (tests/browser/tour). All names and questions are made up.
"""

import base64
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server
from desk import PASSWORD, Program, sign_in

ASKED = [
    "怎么退货", "退款多久到账", "运费谁出", "几天能到", "能开发票吗", "优惠券怎么用", "怎么改收货地址", "东西坏了怎么办",
    "可以货到付款吗", "怎么取消订单", "会员有什么好处", "积分怎么兑换", "有实体店吗", "客服几点上班", "包邮吗", "支持花呗吗",
]
UNKNOWN = ["你们收旧手机吗", "可以帮我代写贺卡吗", "有没有企业采购价"]
QUALITY = 82
# Name, address, what has to be on the page.
PAGES = [
    ("entries", "/console/kb/demo/entries", "table"),
    ("editor", None, ".phrasings"),
    ("try", "/console/kb/demo/try?text=东西不想要了怎么退", "main"),
    ("releases", "/console/kb/demo/releases", "main"),
    ("inbox", "/console/kb/demo/inbox", "main"),
    ("stats", "/console/stats?kb=demo", "svg"),
    ("day", "/console/admin", "main"),
]


def live(ask):
    """A day of customers."""
    for number, text in enumerate(ASKED * 3 + UNKNOWN * 4):
        got = ask("POST", "/v1/answer", {"text": text, "session": f"visit-{number}", "channel": "web" if number % 3 else "wechat"})
        if got.get("decision") == "answer" and number % 2:
            ask("POST", "/v1/feedback", {"trace_id": got["trace_id"], "solved": number % 5 != 1})


def main():
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else driver.ROOT / "tests" / "browser" / "tour"
    chromium = driver.ready(__file__, sys.argv[1:])
    if chromium is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, driver.browser(chromium) as started:
        server = Server(sys.argv[1], pathlib.Path(data) / "data", LC_ALL="C.UTF-8")
        try:
            ask = Program(server.address)
            ask.key = ask("POST", "/v1/keys", {"role": "admin", "name": "官网"})["key"]
            made = ask("POST", "/v1/people", {"name": "wang", "display_name": "小王", "role": "admin"})
            ask("POST", "/v1/setup", {"token": made["invitation"]["link"].split("#")[1], "password": PASSWORD})
            live(ask)
            context, _, _ = driver.visitor(started, [server.address], locale="zh-CN", viewport={"width": 1366, "height": 768})
            page = context.new_page()
            devtools = context.new_cdp_session(page)

            def picture(name):
                taken = devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
                (folder / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))

            sign_in(page, server.address, "/console")
            page.wait_for_url("**/console")
            entry = ask("GET", "/v1/kbs/demo/entries")["items"][0]["entry"]["id"]
            for name, place, there in PAGES:
                page.goto(server.address + (place or f"/console/kb/demo/entries/{entry}"))
                page.locator("[data-job]").wait_for(state="detached", timeout=120_000)
                page.locator(there).first.wait_for()
                page.wait_for_load_state("networkidle")
                picture(name)
            talk(ask, page, server.address)
            picture("desk")
        finally:
            server.stop()
    print("pictures in", folder)


def talk(ask, page, address):
    """A customer whom a person has."""
    said = {"session": "周女士", "channel": "web", "fields": {"name": "周女士", "level": "金卡"}}
    ask("POST", "/v1/answer", {"text": "上周买的空气炸锅，盖子裂了能换吗", **said})
    handoff = ask("POST", "/v1/answer", {"text": "说不清楚，转人工吧", **said})["handoff"]["id"]
    page.goto(f"{address}/console/desk/{handoff}")
    page.get_by_role("button", name="接待").first.click()
    page.locator("form#reply textarea[name=text]").wait_for()
    ask("POST", "/v1/conversations/周女士/messages".replace("周女士", "%E5%91%A8%E5%A5%B3%E5%A3%AB"), {"text": "换的话运费是谁出"})
    page.get_by_text("换的话运费是谁出").first.wait_for()
    page.locator("a[data-key='1']").wait_for()


if __name__ == "__main__":
    main()
