"""How long do pages take with 10,000 entries, and an author with 100 suggestions?

    python3 tests/browser/pace.py target/release/zhida [MILLISECONDS]

Every page of authors and operators is opened five times in a real browser, and the median
until it has loaded is printed; with a limit the check fails on a page that takes longer.
Then 160 questions that nobody has answered are asked, each three times, and 100 of the
suggestions that come of them are decided with one key each.
"""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server

ENTRIES = 10_000
BASE = "/console/kb/big"
PAGES = ["", "/entries", "/entries?sort=asked", "/entries?heat=hot", "/entries?valid=now", "/entries?tag=%E7%AD%BE3", "/entries?topic=%E7%B1%BB7", "/entries?q=%E4%BF%9D%E4%BF%AE", "/entries/e77", "/entries/e77/history", "/import", "/check", "/releases", "/releases/1", "/inbox", "/words", "/service", "/queries", "/evaluations"]
OPERATOR = ["/console", "/console/desk", "/console/desk/past", "/console/tickets", "/console/tickets/new", "/console/stats", "/console/stats?by=entry", "/console/admin", "/console/admin/health", "/console/admin/keys", "/console/admin/people", "/console/admin/channels", "/console/admin/webhooks", "/console/admin/usage", "/console/admin/audit", "/console/admin/settings", "/console/admin/tenants"]
THINGS = ["净水器", "扫地机", "空气炸锅", "加湿器", "电饭煲", "洗碗机", "吹风机", "投影仪", "按摩椅", "烘干机", "破壁机", "咖啡机", "榨汁机", "挂烫机", "电暖器", "打印机"]
MATTERS = ["滤芯多久换一次", "保修怎么办理", "噪音太大怎么办", "发票丢了能补吗", "可以以旧换新吗", "说明书在哪里下载", "耗电多少", "怎么预约安装", "配件在哪里买", "清洗有什么讲究"]


def entry(number):
    """One of many, each with words of its own."""
    told = f"{THINGS[number % len(THINGS)]}{number}号{MATTERS[number // len(THINGS) % len(MATTERS)]}"
    return {"id": f"e{number}", "question": told, "similar": [f"请问{told}呢", f"{number}号的{THINGS[number % len(THINGS)]}，{MATTERS[number // len(THINGS) % len(MATTERS)]}"],
            "answer": f"{told}：请看第 {number} 页。" + "详细步骤见说明书。" * 5, "topic": f"类{number % 40}", "tags": [f"签{number % 7}"]}


def processor():
    try:
        names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def post(address, path, body):
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.loads(reply.read())


def opened(page, address, limit):
    slow = []
    for place in [*(BASE + path for path in PAGES), *OPERATOR]:
        took = []
        for _ in range(5):
            begun = time.monotonic()
            got = page.goto(address + place)
            took.append((time.monotonic() - begun) * 1000)
            assert got.status == 200, (place, got.status)
        median = statistics.median(took)
        print(f"{median:6.0f} ms  {place}")
        if limit and median > limit:
            slow.append((place, round(median)))
    assert not slow, f"slower than {limit} ms: {slow}"


def decided(page, address):
    """A hundred suggestions, one key each."""
    kb = "/v1/kbs/demo"
    number = 0
    for thing in THINGS:
        for matter in MATTERS:
            number += 1
            for turn, text in enumerate((f"{thing}{matter}", f"{thing}的{matter}呀", f"我家{thing}{matter}")):
                post(address, "/v1/answer", {"kb": "demo", "text": text, "session": f"s-{number}-{turn}"})
    begun = time.monotonic()
    done = 0
    reloads = 0
    while done < 100:
        page.goto(address + "/console/kb/demo/inbox")
        reloads += 1
        cards = page.locator("[data-suggestion]")
        there = cards.count()
        assert there, f"no suggestions are left after {done}"
        # Somebody reads each; what is counted here is what the page takes.
        for at in range(min(there, 100 - done)):
            page.keyboard.press("i")
            page.wait_for_function("(left) => document.querySelectorAll('[data-suggestion]').length === left", arg=there - at - 1)
            done += 1
    seconds = time.monotonic() - begun
    left = json.loads(urllib.request.urlopen(address + kb + "/suggestions").read())
    print(f"{done} suggestions were decided with one key each in {seconds:.1f} s ({reloads} pages); {len(left['items'])} are left")
    assert seconds < 600


def main():
    chromium = driver.ready(__file__, sys.argv[1:])
    if chromium is None:
        return
    binary, limit = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder, driver.browser(chromium) as started:
        data = pathlib.Path(folder) / "data"
        file = pathlib.Path(folder) / "big.jsonl"
        file.write_text("".join(json.dumps(entry(number), ensure_ascii=False) + "\n" for number in range(ENTRIES)), "utf-8")
        for command in (["import", "--kb", "big", str(file)], ["publish", "--kb", "big", "--model", "none"]):
            done = subprocess.run([binary, "kb", *command, "--data", str(data)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        demo = driver.ROOT / "corpora" / "shop.kb.jsonl"
        for command in (["import", "--kb", "demo", str(demo)], ["publish", "--kb", "demo", "--model", "none"]):
            done = subprocess.run([binary, "kb", *command, "--data", str(data)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        server = Server(binary, data, "--model", "none", LC_ALL="C.UTF-8")
        try:
            print(processor())
            for number in range(0, 600, 2):
                post(server.address, "/v1/answer", {"kb": "big", "text": entry(number)["question"], "session": f"b-{number}"})
            context, foreign, faults = driver.visitor(started, [server.address], locale="zh-CN", viewport={"width": 1366, "height": 768})
            page = context.new_page()
            decided(page, server.address)
            opened(page, server.address, limit)
            assert not foreign and not faults, (foreign, faults)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
