"""What an operator does in the console, in a real browser: lets programs and people in, and turns them out.

    python3 tests/browser/admin.py target/release/zhida [--shots DIR]

The link of the first start makes the first admin; a key is made in the page, used, rotated
and revoked, and the audit tells of it; somebody is invited, signs in and sees what the role
allows and no more; a webhook is tried; a tenant is made and removed by typing its name;
one's own password is changed. axe-core finds nothing serious on any page, names that are
markup stay text, and no request leaves the machine.
"""

import json
import pathlib
import re
import sys
import tempfile
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server

PAYLOAD = "<img src=x onerror=\"document.title='ran'\">"
PASSWORD = "前台的绿萝又长高了 3 厘米"
OTHER = "二楼会议室的钟慢了 5 分钟"
ADMIN = "/console/admin"
PAGES = ["", "/health", "/keys", "/people", "/channels", "/webhooks", "/usage", "/audit", "/audit?verify=1", "/settings", "/tenants", "/tenants/acme"]


def asked(address, key, text="支持七天无理由退货吗"):
    """The status of a question with a key."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(address + "/v1/answer", json.dumps({"text": text, "kb": "demo"}).encode(), headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status
    except urllib.error.HTTPError as fault:
        return fault.code


def first_admin(page, server):
    link = re.search(r"https?://\S+/setup#\S+", "".join(server.lines))
    assert link, "the first start prints a link:\n" + "".join(server.lines)
    page.goto(link[0])
    page.get_by_label("登录名").fill("wang")
    for label in page.locator("input[type=password]").all():
        label.fill(PASSWORD)
    page.locator("#send, button[type=submit]").first.click()
    page.wait_for_url(re.compile(r"/(console)?$"))


def shown_once(page):
    return page.locator("#secret").inner_text()


def keys(page, address):
    """A key is made, used, rotated and revoked."""
    page.goto(address + ADMIN + "/keys")
    page.get_by_label("名称（谁在用").fill("官网" + PAYLOAD)
    page.get_by_label("demo").check()
    page.get_by_role("button", name="生成密钥").click()
    key = shown_once(page)
    assert key.startswith("zk_") and asked(address, key) == 200, key
    page.reload()
    assert key not in page.content(), "it is shown once"
    assert page.locator("td").get_by_role("link", name="官网").count() == 1, "loading the page again makes no second key"
    page.locator("td").get_by_role("link", name="官网").first.click()
    page.get_by_label("旧密钥还能用多久").select_option("0s")
    page.get_by_role("button", name="更换").click()
    other = shown_once(page)
    assert (asked(address, key), asked(address, other)) == (401, 200)
    row = page.locator("tr", has_text="官网").filter(has=page.get_by_role("button", name="吊销")).first
    row.get_by_role("button", name="吊销").click()
    page.get_by_text("密钥已吊销").wait_for()
    assert asked(address, other) == 401, "at once"
    page.goto(address + ADMIN + "/audit?action=revoke_key")
    page.locator("td", has_text="吊销密钥").first.wait_for()
    page.goto(address + ADMIN + "/audit?verify=1")
    page.get_by_text("没有被改动。").wait_for()


def people(started, page, address, allowed):
    """Somebody is invited, and sees what an author sees."""
    page.goto(address + ADMIN + "/people")
    page.get_by_label("登录名").fill("li")
    page.get_by_label("姓名（别人看到的）").fill("小李" + PAYLOAD)
    page.get_by_label("角色").select_option("author")
    page.get_by_role("button", name="添加").click()
    link = shown_once(page)
    context, foreign, faults = driver.visitor(started, allowed, locale="zh-CN", viewport={"width": 1366, "height": 768})
    other = context.new_page()
    other.goto(link)
    for label in other.locator("input[type=password]").all():
        label.fill(OTHER)
    other.locator("#send, button[type=submit]").first.click()
    other.wait_for_url(re.compile(r"/(console)?$"))
    other.goto(address + "/console")
    menu = other.locator("nav.places")
    assert menu.get_by_role("link", name="统计").count() == 1 and menu.get_by_role("link", name="管理").count() == 0
    for place in ["", "/keys", "/people", "/audit", "/tenants"]:
        got = other.goto(address + ADMIN + place)
        assert got.status == 403, (place, got.status)
    other.goto(address + "/console/me")
    assert other.title() != "ran" and other.get_by_text("作者").first.is_visible()
    # Turned out, they are gone at once.
    page.goto(address + ADMIN + "/people")
    page.get_by_role("link", name="小李").click()
    page.get_by_label("停用").check()
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").wait_for()
    other.goto(address + "/console")
    other.wait_for_url("**/login?next=**")
    assert not foreign and not faults, (foreign, faults)
    context.close()


def webhook(page, address, site):
    page.goto(address + ADMIN + "/webhooks")
    page.get_by_label("地址", exact=True).fill(site.address + "/hook")
    page.get_by_label("名称").fill(PAYLOAD)
    page.get_by_label("地址在内网").check()
    page.get_by_role("button", name="添加").click()
    assert shown_once(page).startswith("whsec_")
    page.get_by_role("button", name="试一下").click()
    # The site knows no POST.
    page.get_by_text("没有送到").wait_for(timeout=30_000)
    page.get_by_role("button", name="删除").click()
    page.get_by_text("已删除").wait_for()
    # One stays for the looks at every page.
    page.get_by_label("地址", exact=True).fill("https://crm.example/hook")
    page.get_by_label("名称").fill(PAYLOAD)
    page.get_by_role("button", name="添加").click()
    page.locator("#secret").wait_for()


def tenants(page, address):
    page.goto(address + ADMIN + "/tenants")
    page.get_by_label("名称").fill("Not Sound!")
    page.get_by_role("button", name="新建").click()
    assert page.get_by_role("alert").count() and page.get_by_label("名称").input_value() == "Not Sound!"
    for name in ("acme", "gone"):
        page.goto(address + ADMIN + "/tenants")
        page.get_by_label("名称").fill(name)
        page.get_by_label("每月提问").fill("1000")
        page.get_by_role("button", name="新建").click()
        page.get_by_text("租户已建立").wait_for()
    page.get_by_role("link", name="gone").click()
    assert page.get_by_label("每月提问").input_value() == "1000"
    page.get_by_label("请输入租户名称确认").fill("gone")
    page.get_by_role("button", name="删除租户").click()
    page.get_by_text("租户已删除").wait_for()


def settings(page, address):
    """The flags stand there with where they come from; what is kept is changed, and counts at once."""
    page.goto(address + "/console")
    page.get_by_role("link", name="管理", exact=True).click()
    page.get_by_role("link", name="设置", exact=True).click()
    row = page.locator("tr", has=page.locator("code", has_text="--listen"))
    assert row.get_by_text("命令行").count() == 1 and row.get_by_text("127.0.0.1:").count() == 1, row.inner_text()
    page.get_by_label("原话保留（天）").fill("90")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存，马上生效").wait_for()
    assert page.request.get(address + "/v1/retention").json()["text_days"] == 90
    page.goto(address + ADMIN + "/audit")
    page.get_by_text("what is kept").first.wait_for()


def own_password(page, address):
    page.goto(address + "/console/me")
    page.get_by_label("现在的密码").fill("不是这个，随便写的一个")
    page.get_by_label("新密码（").fill(OTHER)
    page.get_by_label("再输一遍").fill(OTHER)
    page.get_by_role("button", name="换密码").click()
    page.get_by_role("alert").get_by_text("密码不对").wait_for()
    page.get_by_label("现在的密码").fill(PASSWORD)
    page.get_by_label("新密码（").fill(OTHER)
    page.get_by_label("再输一遍").fill(OTHER)
    page.get_by_role("button", name="换密码").click()
    page.get_by_text("密码已换").wait_for()


def look(page, address, axe, shots):
    def name(place):
        short = place.replace("?", "-").removeprefix("/console/").replace("/", "-").strip("-")
        return f"operator-{short or 'home'}"

    places = [(name(place), place) for place in ["/console", "/console/me", *(ADMIN + path for path in PAGES)]]
    return max(driver.opened(page, address, places, axe, shots, *how) for how in driver.resized(page))



def main():
    begun = driver.story(__file__)
    if begun is None:
        return
    arguments, chromium, axe = begun
    site = driver.Site()
    with tempfile.TemporaryDirectory() as folder, driver.browser(chromium) as started:
        server = Server(arguments.binary, pathlib.Path(folder) / "data", LC_ALL="C.UTF-8")
        try:
            address = server.address
            context, foreign, faults = driver.visitor(started, [address], locale="zh-CN", viewport={"width": 1366, "height": 768})
            page = context.new_page()
            page.on("dialog", lambda dialog: dialog.accept())
            first_admin(page, server)
            keys(page, address)
            print("a key was made, used, rotated and revoked; the audit tells of it and is whole")
            people(started, page, address, [address])
            print("somebody was invited, saw what an author sees, and was turned out")
            webhook(page, address, site)
            tenants(page, address)
            settings(page, address)
            own_password(page, address)
            slowest = look(page, address, axe, arguments.shots)
            print(f"axe-core found nothing serious; the slowest page opened in {slowest[0] * 1000:.0f} ms ({slowest[1]})")
            assert not foreign and not faults, (foreign, faults)
            print("no request left the machine")
        finally:
            server.stop()
            site.stop()


if __name__ == "__main__":
    main()
