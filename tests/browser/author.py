"""What a gym's author does in the console, in a real browser: from a spreadsheet to answers, and back.

    python3 tests/browser/author.py target/release/zhida [--shots DIR]

The story needs no terminal; its clicks and seconds are printed. Two authors collide
and nothing is lost; axe-core finds nothing serious on any page; no request leaves the
machine; what is authored stays text. With `--shots` every page is also pictured at
1366x768 and 390x844, light and dark.
"""

import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server

PAYLOAD = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
ROWS = [("几点开门", "早上九点到晚上十点，全年无休。"), ("会员卡可以转让吗", "可以转让一次，请本人带身份证到前台办理。"), ("游泳池的水多少度", "全年保持在二十七度左右。"), ("有没有私教课", "有，请在前台预约体验课。"), ("可以停卡吗", "一年可以停两次，每次不超过三十天。")]
PAGES = ["", "/entries", "/entries?tag=%E6%B3%B3%E6%B1%A0", "/entries/new", "/import", "/check", "/try?text=泳池水温", "/releases", "/releases/1", "/inbox", "/words", "/service", "/queries"]


class Story:
    """A page with its clicks counted."""

    def __init__(self, page, address):
        self.page, self.address, self.clicks = page, address, 0

    def click(self, what):
        self.clicks += 1
        what.click()

    def button(self, name):
        self.click(self.page.get_by_role("button", name=name).first)

    def settled(self, path):
        self.page.wait_for_url(f"**{path}**", timeout=120_000)


def publish(story, name):
    """From wherever somebody is to a published release."""
    story.click(story.page.get_by_role("link", name="发布", exact=True).first)
    story.button("发布草稿")
    story.page.get_by_text(name).wait_for(timeout=120_000)


def from_spreadsheet(story, folder):
    """Brings a file, corrects nothing, publishes, changes an answer, publishes, rolls back."""
    page = story.page
    begun = time.monotonic()
    page.goto(story.address + "/console")
    story.click(page.get_by_role("link", name="新建知识库"))
    page.get_by_label("知识库的名字").fill("gym")
    file = folder / "gym.csv"
    file.write_text("标准问题,答案\n" + "".join(f"{question},{answer}\n" for question, answer in ROWS), "utf-8")
    story.clicks += 1
    page.locator("input[type=file]").set_input_files(file)
    story.settled("/console/kb/gym/import/")
    assert page.get_by_text("新增 5 条").first.is_visible()
    story.button("导入到草稿")
    story.settled("/import/done")
    publish(story, "已发布版本 1")
    told = (story.clicks, time.monotonic() - begun)
    story.click(page.get_by_role("link", name="条目", exact=True).first)
    story.click(page.get_by_role("link", name="游泳池的水多少度"))
    # Pasted lines become phrasings; another entry's is marked while it is typed.
    first = page.locator(".phrasings input").first
    first.fill("泳池水温")
    story.button("加一个问法")
    page.locator(".phrasings input").last.fill("可以停卡吗")
    page.locator(".phrasings .held a").first.wait_for(timeout=10_000)
    story.click(page.locator(".phrasings li").last.get_by_role("button", name="删除"))
    page.locator("textarea[name=answer]").fill("现在是二十八度。" + PAYLOAD)
    beside(page)
    story.button("保存到草稿")
    page.get_by_text("已保存到草稿").wait_for()
    publish(story, "已发布版本 2")
    story.click(page.locator("tr", has_text="1").last.get_by_role("link"))
    page.on("dialog", lambda dialog: dialog.accept())
    story.button("回滚到版本 1")
    page.get_by_text("已回滚").wait_for()
    return told


def beside(page):
    """Pictures and cards beside the answer, and how channels show them."""
    page.get_by_text("图片、链接和卡片").click()
    page.locator("textarea[name=images]").fill("https://gym.example/pool.png | " + PAYLOAD[:60])
    page.locator("textarea[name=links]").fill(PAYLOAD[:60] + " | https://gym.example/pool\n课表 | https://gym.example/plan | 每周更新 | https://gym.example/plan.png\n地图：https://gym.example/map")
    page.get_by_text("有效期、标签和其他").click()
    page.locator("textarea[name=tags]").fill("泳池\n" + PAYLOAD[:60])
    preview = page.locator(".preview")
    for channel, cards, line in (("web", 4, False), ("wechat", 2, True), ("feishu", 4, False)):
        preview.locator("select").select_option(channel)
        assert preview.locator("a.card").count() == cards, channel
        assert ("地图：https://gym.example/map" in preview.locator(".bubble").inner_text()) == line, channel
    assert preview.locator("img").count() == 0, "these pages load nothing from elsewhere"


def collide(started, address, one):
    """Two authors at the same entry: the second sees both versions and keeps both."""
    entry = one.page.request.get(f"{address}/v1/kbs/gym/entries").json()["items"][0]["entry"]["id"]
    place = f"{address}/console/kb/gym/entries/{entry}"
    two = one.page.context.new_page()
    one.page.goto(place)
    two.goto(place)
    for page, text in ((one.page, "甲的问法"), (two, "乙的问法")):
        page.locator(".phrasings input").first.fill(text)
        page.get_by_role("button", name="保存到草稿").click()
        page.wait_for_load_state()
    versions = two.locator(".versions")
    versions.get_by_text("甲的问法").wait_for()
    assert versions.get_by_text("乙的问法").is_visible()
    two.get_by_label("两边的都要").check()
    two.get_by_role("button", name="按选择保存").click()
    two.get_by_text("已保存到草稿").wait_for()
    similar = one.page.request.get(f"{address}/v1/kbs/gym/entries/{entry}").json()["similar"]
    assert sorted(similar) == ["乙的问法", "甲的问法"], similar
    two.close()


def look(started, address, axe, allowed, shots):
    """Every page: nothing serious for axe-core, nothing runs, nothing is asked of others."""
    slowest = (0, "")
    for page, size, scheme in driver.visited(started, allowed):
        entries = page.request.get(f"{address}/v1/kbs/gym/entries").json()["items"]
        entry = next(one["entry"]["id"] for one in entries if "游泳池" in one["entry"]["question"])
        paths = [*PAGES, f"/entries/{entry}", f"/entries/{entry}/history"]

        def name(place):
            return place.split("%")[0].replace("?text=泳池水温", "").replace("?", "-").strip("=").removeprefix("/console/").replace("/", "-").replace(entry, "entry") or "home"

        def settled():
            page.locator("[data-job]").wait_for(state="detached", timeout=60_000)
            page.wait_for_load_state()

        places = [(name(place), place) for place in ["/console/new", *(f"/console/kb/gym{path}" for path in paths)]]
        slowest = max(slowest, driver.opened(page, address, places, axe, shots, size, scheme, settled))
    return slowest



def main():
    begun = driver.story(__file__)
    if begun is None:
        return
    arguments, chromium, axe = begun
    with tempfile.TemporaryDirectory() as folder, driver.browser(chromium) as started:
        server = Server(arguments.binary, pathlib.Path(folder) / "data", LC_ALL="C.UTF-8")
        address = server.address if server.address.startswith("http") else f"http://{server.address}"
        context, foreign, faults = driver.visitor(started, [address], locale="zh-CN", viewport={"width": 1366, "height": 768})
        story = Story(context.new_page(), address)
        clicks, seconds = from_spreadsheet(story, pathlib.Path(folder))
        print(f"a gym's author: from a spreadsheet to published: 0 terminal commands, {clicks} clicks, {seconds:.0f} s")
        collide(started, address, story)
        print("two authors collided; both versions were kept")
        slowest = look(started, address, axe, [address], arguments.shots)
        print(f"axe-core found nothing serious on any page; the slowest opened in {slowest[0] * 1000:.0f} ms ({slowest[1]})")
        assert not foreign and not faults, (foreign, faults)
        print("no request left the machine")
        server.stop()


if __name__ == "__main__":
    main()
