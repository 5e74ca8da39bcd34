"""How an author steers the robot in the console, in a real browser: what it says, its words, its goal, its times.

    python3 tests/browser/steering.py target/release/zhida [--shots DIR]

The service document is changed by forms and keeps what is written by hand; it and the
words are restored from their history; an evaluation is run and opened, the curve moved;
a publication is scheduled some seconds ahead and happens; a session that ends in the
middle of an edit loses nothing. axe-core finds nothing serious on any page.
"""

import datetime
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server
from desk import PASSWORD, PAYLOAD, Program, sign_in

BASE = "/console/kb/demo"
PAGES = [("voice", "/service"), ("hours", "/service?part=hours"), ("ticket", "/service?part=ticket"), ("rules", "/service?part=rules"), ("rule", "/service?part=rule&id=misses"), ("rule-new", "/service?part=rule"), ("text", "/service?part=text"), ("service-history", "/service?part=history"), ("words", "/words"), ("queries", "/queries?at=0.1"), ("evaluations", "/evaluations"), ("evaluation", "/evaluations/1"), ("comparison", "/evaluations/comparison?from=1&to=2"), ("releases", "/releases"), ("filters", "/entries?sort=asked&valid=now"), ("overview", "")]
ZONE = datetime.timezone(datetime.timedelta(hours=8))


def told(page, text):
    """What a form came to."""
    page.locator("[role=status], [role=alert]").filter(has_text=text).first.wait_for(timeout=20_000)


def speak(page, address):
    """Voice, hours, ticket and rules by forms; then all of it at once for customers."""
    start = address + BASE + "/service"
    page.goto(start + "?part=text")
    document = page.locator("textarea[name=document]")
    document.fill("# 我们自己写的\n" + document.input_value())
    page.get_by_role("button", name="保存到草稿").click()
    told(page, "已保存到草稿")
    page.goto(start)
    page.get_by_label("欢迎语：会话开始时").fill("您好，这里是\n拾光健身。" + PAYLOAD)
    for place in (0, 1):
        page.get_by_label("加一个：写问题里的字").fill("退")
        page.get_by_role("button", name="查找").click()
        page.locator("button[name=do][value^=take-]").nth(place).click()
    first = page.locator("input[name=quick]").first.input_value()
    page.get_by_role("button", name="上移").nth(1).click()
    assert page.locator("input[name=quick]").nth(1).input_value() == first, "moved, and nothing lost"
    assert page.get_by_label("欢迎语：会话开始时").input_value().startswith("您好，这里是\n"), "what was typed stays"
    page.get_by_role("button", name="保存到草稿").last.click()
    told(page, "已保存到草稿")
    page.goto(start + "?part=hours")
    page.get_by_label("按下面的时间").check()
    page.get_by_label("周一 1 从").fill("9")
    page.get_by_label("周一 1 到").fill("18：30")
    page.get_by_role("button", name="周二到周五也这样").click()
    page.get_by_label("放假 1 从").fill("2026-10-01")
    page.get_by_label("放假 1 到").fill("2026-10-08")
    page.get_by_role("button", name="保存到草稿").last.click()
    told(page, "已保存到草稿")
    page.goto(start + "?part=rule")
    page.get_by_label("顾客说到其中一个词").fill("退会、退钱")
    page.locator("input[name=try]").fill("我要退钱")
    page.get_by_role("button", name="试试").click()
    told(page, "这条规则会生效")
    page.locator("select[name=keep]").select_option("yes")
    page.get_by_role("button", name="保存到草稿").last.click()
    told(page, "已保存到草稿")
    page.locator("tr", has_text="angry").get_by_role("button", name="停用").click()
    told(page, "已保存到草稿")
    page.goto(start + "?part=text")
    text = page.locator("textarea[name=document]").input_value()
    for part in ("# 我们自己写的\n", "# 会话里连续三条没有答案。", 'weekdays = ["09:00-18:30"]', 'holidays = ["2026-10-01..2026-10-08"]', 'words = ["退会", "退钱"]', '{ text = "我要退钱", fires = true }'):
        assert part in text, (part, text)
    page.get_by_role("button", name="保存并立即生效").click()
    told(page, "立即生效")
    greeting = page.request.get(f"{address}/v1/kbs/demo/greeting").json()["greeting"]
    assert greeting == "您好，这里是\n拾光健身。" + PAYLOAD, greeting
    page.goto(start + "?part=history")
    page.get_by_role("button", name="恢复到出厂的文件").click()
    told(page, "已恢复到草稿")
    page.goto(start)
    assert page.get_by_label("欢迎语：会话开始时").input_value().startswith("您好，请问"), "the shipped greeting is back"


def words_back(page, address):
    """A line too many is taken back from the history of the words."""
    page.goto(address + BASE + "/words")
    for words in ("停卡\n暂停会籍", "团课\n操课"):
        page.locator("textarea[name=words]").fill(words)
        page.get_by_role("button", name="加上").click()
        told(page, "已保存到草稿")
    page.locator("#history > summary").click()
    page.get_by_role("button", name="恢复到这次修改之后").first.click()
    told(page, "已恢复到草稿")
    kept = page.request.get(f"{address}/v1/kbs/demo/lexicon").text()
    assert "停卡" in kept and "团课" not in kept, kept


def judge(page, address):
    """An evaluation is run from the page and opened; a point of the curve becomes the goal."""
    entries = page.request.get(f"{address}/v1/kbs/demo/entries?limit=40").json()["items"]
    labelled = [{"text": one["entry"]["question"] + "呀", "expect": one["entry"]["id"], "tags": ["近"]} for one in entries]
    labelled += [{"text": text, "expect": None, "tags": ["外"]} for text in ("明天会下雨吗", "帮我写一首诗", "股票还会涨吗", "你们老板多大年纪")]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in labelled)
    page.goto(address + BASE + "/queries")
    page.locator("input[type=file]").set_input_files({"name": "q.jsonl", "mimeType": "text/plain", "buffer": lines.encode()})
    page.get_by_role("button", name="上传").click()
    told(page, "已保存")
    for number, name in ((1, "评测草稿"), (2, "评测顾客正在用的版本")):
        page.goto(address + BASE + "/evaluations")
        page.get_by_role("button", name=name).click()
        # The page may be left; the work goes on.
        page.goto(address + BASE)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            items = page.request.get(f"{address}/v1/kbs/demo/evaluations").json()["items"]
            if len(items) == number:
                break
            page.wait_for_timeout(300)
        assert len(items) == number, items
    page.goto(address + BASE + "/evaluations")
    page.locator("a[href$='/evaluations/1']").click()
    page.get_by_role("heading", name="答错的").wait_for()
    figures = page.request.get(f"{address}/v1/kbs/demo/evaluations/1").json()
    assert figures["report"]["queries"]["n"] == len(labelled) and figures["curve"], figures.keys()
    page.goto(address + BASE + "/evaluations")
    page.get_by_role("button", name="比较选中的两份").click()
    page.get_by_role("heading", name="结果变了的问题").wait_for()
    page.goto(address + BASE + "/queries")
    # Points of goals that come to the same lie upon each other; the table has them all.
    assert page.locator("#curve svg a").count() == 9
    moved(page)
    page.get_by_label("看看目标 10.0%").click()
    page.locator("#curve .undo:visible").filter(has_text="个问题里直接回答").wait_for()
    page.get_by_role("button", name="设为目标").click()
    told(page, "目标已设定")
    assert page.request.get(f"{address}/v1/kbs/demo/goal").json() == {"max_wrong": 0.1}
    assert page.locator("#curve .point.set").count() == 1, "the point that is set is marked"


def moved(page):
    """The point is moved with the keys and with the mouse, and says what each goal means; nothing is set by that."""
    handle = page.get_by_role("slider", name="目标")
    handle.focus()
    last = handle.get_attribute("aria-valuemax")
    page.keyboard.press("Home")
    assert handle.get_attribute("aria-valuenow") == "1"
    first = handle.get_attribute("aria-valuetext")
    assert "个问题里直接回答" in first, first
    page.keyboard.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "2" and handle.get_attribute("aria-valuetext") != first
    meaning = page.locator("#curve .undo:visible")
    assert meaning.count() == 1 and meaning.locator("span").first.inner_text().strip() == handle.get_attribute("aria-valuetext")
    page.keyboard.press("End")
    assert handle.get_attribute("aria-valuenow") == last
    # From the last goal back to where the first lies, by hand.
    place = page.locator("#curve svg a[data-goal] circle").first.bounding_box()
    own = handle.bounding_box()
    page.mouse.move(own["x"] + own["width"] / 2, own["y"] + own["height"] / 2)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2, steps=8)
    page.mouse.up()
    now = handle.bounding_box()
    away = abs(now["x"] + now["width"] / 2 - place["x"] - place["width"] / 2)
    assert away < 2, (now, place)
    assert meaning.count() == 1
    print("the point on the curve was moved with the keys and with the mouse")


def later(page, address):
    """A publication is set some seconds ahead, called off, set again, and happens; a draft with an error does not."""
    def releases():
        return page.request.get(f"{address}/v1/kbs/demo/releases").json()["current"]

    def soon(seconds):
        at = datetime.datetime.now(ZONE) + datetime.timedelta(seconds=seconds)
        page.goto(address + BASE + "/releases")
        page.locator("input[name=at]").fill(at.strftime("%Y-%m-%dT%H:%M:%S"))
        page.locator("#schedule").get_by_role("button", name="定时").click()
        told(page, "已定时")

    before = releases()
    soon(600)
    page.goto(address + BASE)
    page.get_by_role("button", name="取消定时").click()
    told(page, "已取消定时")
    soon(4)
    deadline = time.monotonic() + 120
    while releases() == before and time.monotonic() < deadline:
        page.wait_for_timeout(300)
    assert releases() == before + 1, "it was published at its time"
    done = page.request.get(f"{address}/v1/kbs/demo/schedule").json()["items"][0]
    while done["state"] == "running":
        page.wait_for_timeout(300)
        done = page.request.get(f"{address}/v1/kbs/demo/schedule").json()["items"][0]
    assert done["state"] == "done", done
    # The audit says how the job ended, so it is told a moment later.
    recorded = lambda: any(one["action"] == "publish_kb" and one["object"].endswith(f"/schedule/{done['number']}")
                           for one in page.request.get(f"{address}/v1/audit?limit=20").json()["items"])
    while not recorded():
        assert time.monotonic() < deadline, "the audit has the publication"
        page.wait_for_timeout(200)


def survive(page, address, ask, person):
    """The session ends while an entry is being edited: after signing in again it is saved."""
    entry = ask("GET", "/v1/kbs/demo/entries?limit=1")["items"][0]["entry"]["id"]
    sign_in(page, address, f"{BASE}/entries/{entry}")
    page.wait_for_url(f"**/entries/{entry}")
    answer = page.locator("textarea[name=answer]")
    answer.fill("会话结束前写的答案。")
    ask("DELETE", f"/v1/people/{person}/sessions")
    page.get_by_role("button", name="保存到草稿").first.click()
    page.get_by_text("登录已过期").first.wait_for(timeout=10_000)
    other = page.context.new_page()
    other.goto(address + "/login?next=%2Fconsole%2Fback")
    other.get_by_label("登录名").fill("wang")
    other.get_by_label("密码", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="登录").click()
    other.wait_for_url("**/console/back")
    other.close()
    # The form takes the token of the new session by itself.
    page.get_by_role("button", name="再发送一次").click()
    told(page, "已保存到草稿")
    assert ask("GET", f"/v1/kbs/demo/entries/{entry}")["answer"] == "会话结束前写的答案。"


def look(started, address, axe, shots):
    places = [(f"steering-{name}", BASE + path) for name, path in PAGES]
    looks = driver.visited(started, [address])
    return max(driver.opened(page, address, places, axe, shots, size, scheme) for page, size, scheme in looks)



def main():
    begun = driver.story(__file__)
    if begun is None:
        return
    arguments, chromium, axe = begun
    with tempfile.TemporaryDirectory() as folder, driver.browser(chromium) as started:
        server = Server(arguments.binary, pathlib.Path(folder) / "data", LC_ALL="C.UTF-8")
        try:
            address = server.address
            context, foreign, faults = driver.visitor(started, [address], locale="zh-CN", viewport={"width": 1366, "height": 768})
            page = context.new_page()
            page.on("dialog", lambda dialog: dialog.accept())
            speak(page, address)
            print("the service document was changed by forms, served, and restored; what was written by hand stayed")
            words_back(page, address)
            judge(page, address)
            print("an evaluation was run, opened and compared; a point of the curve became the goal")
            later(page, address)
            print("a scheduled publication was called off, another one happened in its author's name")
            slowest = look(started, address, axe, arguments.shots)
            print(f"axe-core found nothing serious on any page; the slowest opened in {slowest[0] * 1000:.0f} ms ({slowest[1]})")
            ask = Program(address)
            ask.key = ask("POST", "/v1/keys", {"role": "admin", "name": "story"})["key"]
            made = ask("POST", "/v1/people", {"name": "wang", "display_name": "小王", "role": "author"})
            token = made["invitation"]["link"].split("#")[1]
            ask("POST", "/v1/setup", {"token": token, "password": PASSWORD})
            survive(page, address, ask, made["person"]["id"])
            print("a session ended in the middle of an author's edit, and nothing was lost")
            assert not foreign and not faults, (foreign, faults)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
