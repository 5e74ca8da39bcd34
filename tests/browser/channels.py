"""How an operator connects channels in the console, in a real browser.

    python3 tests/browser/channels.py target/release/zhida [--shots DIR]

An operator puts the chat into a page of their own and sees it; connects a WeChat account,
is told in plain words which field is wrong and what the platform refuses, mends it, and
sees that secrets stay and are never shown; removes it, and is asked first. axe-core finds
nothing serious, nothing that is typed runs, and no request leaves the machine. With
`--shots` every page is also pictured.
"""

import http.server
import json
import pathlib
import sys
import tempfile
import threading
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import driver
from checking import Server

PAYLOAD = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
PASSWORD = "泳池边的猫 27 度，真暖和"
PLACE = "/console/admin/channels"


class Platform:
    """A platform that knows one AppSecret."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                good = asked.get("secret") == "right"
                told = {"access_token": "t", "expires_in": 7200} if good else {"errcode": 40125, "errmsg": "invalid appsecret"}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(told).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def api(address, key, method, path, body=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read() or "null")
    except urllib.error.HTTPError as fault:
        raise SystemExit(f"{method} {path}: {fault.read().decode()}") from None


def web(page, address):
    """A page of one's own: from nothing to a chat that answers."""
    page.goto(address + PLACE)
    page.get_by_text("还没有渠道").wait_for()
    page.get_by_role("link", name="添加 网页").click()
    page.get_by_label("名称").fill("site-1")
    page.get_by_label("哪些网站可以显示").fill("shop.example")
    page.get_by_role("button", name="添加").click()
    page.locator(".fault", has_text="每行写一个网站地址").wait_for()
    assert page.get_by_label("哪些网站可以显示").input_value() == "shop.example", "what was typed is lost"
    page.get_by_label("哪些网站可以显示").fill("https://Shop.example/\nhttps://m.shop.example")
    page.get_by_role("button", name="添加").click()
    page.get_by_text("只显示这一次").wait_for()
    secret = page.locator("#secret").inner_text()
    line = page.locator("#line").inner_text()
    assert len(secret) == 43 and line.startswith(f'<script async src="{address}/widget.js" data-site="zw_'), (secret, line)
    page.get_by_role("button", name="复制").last.click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="预览聊天窗口").click()
    chat = opened.value
    chat.wait_for_selector("#lines > *")
    chat.fill("#text", "几点上班")
    chat.press("#text", "Enter")
    chat.wait_for_selector("#lines .line.bot >> nth=1")
    chat.close()
    page.goto(f"{address}{PLACE}/of/site-1")
    assert secret not in page.content(), "the secret is shown again"
    page.get_by_role("button", name="检查能否连通").click()
    page.get_by_text("连接正常").wait_for()


def wechat(page, address, platform, key):
    """A WeChat account: faults in words, secrets that stay."""
    page.goto(address + PLACE)
    page.get_by_role("link", name="添加 微信公众号").click()
    page.get_by_label("名称").fill("gzh")
    page.get_by_label("AppID（开发者ID）").fill("wx1")
    page.get_by_label("Token（令牌）").fill("tok")
    page.get_by_text("更多设置").click()
    page.get_by_label("EncodingAESKey（消息加解密密钥）").fill("short")
    page.get_by_label("AppSecret（开发者密码）").fill("wrong")
    page.get_by_label("欢迎语").fill("您好" + PAYLOAD)
    page.get_by_label("接口地址").fill(platform.address)
    page.get_by_label("平台在公司内网").check()
    page.get_by_role("button", name="添加").click()
    page.get_by_text("应该正好是 43 个字符").wait_for()
    page.get_by_label("EncodingAESKey（消息加解密密钥）").fill("A" * 43)
    page.get_by_role("button", name="添加").click()
    page.get_by_text("渠道已添加").wait_for()
    assert page.locator("#address").inner_text() == f"{address}/channels/wechat/gzh"
    page.get_by_role("button", name="检查能否连通").click()
    page.get_by_text("密钥（Secret）不对").wait_for()
    page.get_by_role("textbox", name="AppSecret（开发者密码）").fill("right")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").first.wait_for()
    page.get_by_role("button", name="检查能否连通").click()
    page.get_by_text("连接正常").wait_for()
    known = api(address, key, "GET", "/v1/channels/gzh")
    assert known["secrets"] == ["aes_key", "app_secret", "token"] and known["settings"]["greeting"] == "您好" + PAYLOAD, known
    assert "right" not in page.content() and "A" * 43 not in page.content(), "a secret is shown"


def remove(page, address):
    page.goto(f"{address}{PLACE}/of/gzh")
    page.get_by_role("button", name="删除这个渠道…").click()
    page.get_by_text("还没发出的消息会丢弃").wait_for()
    page.get_by_role("link", name="取消").click()
    page.get_by_role("button", name="删除这个渠道…").click()
    page.get_by_role("button", name="确定").click()
    page.get_by_text("渠道已删除").wait_for()
    assert page.locator("a", has_text="gzh").count() == 0


def main():
    begun = driver.story(__file__)
    if begun is None:
        return
    arguments, chromium, axe = begun
    platform = Platform()
    with tempfile.TemporaryDirectory() as folder, driver.browser(chromium) as started:
        server = Server(arguments.binary, pathlib.Path(folder) / "data", LC_ALL="C.UTF-8")
        try:
            address = server.address
            key = api(address, None, "POST", "/v1/keys", {"role": "admin", "name": "story"})["key"]
            made = api(address, key, "POST", "/v1/people", {"name": "wang", "display_name": "小王", "role": "admin"})
            token = made["invitation"]["link"].split("#")[1]
            api(address, key, "POST", "/v1/setup", {"token": token, "password": PASSWORD})
            context, foreign, faults = driver.visitor(started, [address], locale="zh-CN", viewport={"width": 1366, "height": 768})
            page = context.new_page()
            page.on("dialog", lambda dialog: dialog.accept())
            page.goto(address + PLACE)
            page.wait_for_url("**/login?next=**")
            page.get_by_label("登录名").fill("wang")
            page.get_by_label("密码", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="登录").click()
            page.wait_for_url("**" + PLACE)
            web(page, address)
            print("a web page: a fault in words, the line to paste, a preview that answers")
            wechat(page, address, platform, key)
            print("a WeChat account: faults in words, mended, secrets kept and never shown")
            for size, viewport, scheme in driver.LOOKS:
                page.set_viewport_size(viewport)
                page.emulate_media(color_scheme=scheme)
                for name, place in {"list": PLACE, "new": f"{PLACE}/new?kind=wecom-kf", "web": f"{PLACE}/of/site-1", "wechat": f"{PLACE}/of/gzh"}.items():
                    page.goto(address + place)
                    driver.fits(page, axe, place, arguments.shots, f"channels-{name}", size, scheme)
            page.set_viewport_size({"width": 1366, "height": 768})
            remove(page, address)
            print("removed, after it was asked; axe-core found nothing serious")
            assert not foreign and not faults, (foreign, faults)
            print("no request left the machine")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
