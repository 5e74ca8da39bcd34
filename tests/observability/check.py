"""Do the dashboard and the alerts name what a server really shows?

usage: python3 tests/observability/check.py ZHIDA

1. `promtool` checks alerts.yml and runs alerts_test.yml.
2. The binary ZHIDA is started on a free port with an empty data directory and gets
   some traffic: questions of every kind, a handoff, a ticket, a webhook that nobody
   takes, edits, refusals. `promtool check metrics` reads its /metrics.
3. Every metric that the dashboard and the alerts name must be among them, and every
   metric of zhida's own must be on the dashboard or in an alert.
4. A Prometheus scrapes the server, and every expression of the dashboard must give
   something, as must /api/v1/rules name every alert as sound.

promtool and prometheus are Debian's (package `prometheus`): those of the machine, or
unpacked into target/observability. Where they cannot be had it says that it skips.
Grafana is not needed: the dashboard's structure is checked here.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, free_port

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# What only shows on a server with limits or with an engine for candidates, or when something is lost.
UNUSUAL = {
    "zhida_candidates_reachable",
    "zhida_candidates_searches_total",
    "zhida_candidates_waiting",
    "zhida_nodes",
    "zhida_open_knowledge_bases_budget_bytes",
    "zhida_sent_on_total",
    "zhida_tenant_questions_limit",
    "zhida_tenant_storage_bytes",
    "zhida_tenant_storage_limit_bytes",
    "up",
}
# What a dashboard shows as nothing on a server that just started.
QUIET = UNUSUAL | {"zhida_encoder_cache_hits_total", "zhida_encoder_cache_misses_total"}
# Names that stand for others (`_bucket` of a histogram and so on), or are for people.
UNSHOWN = {"zhida_build_info", "process_start_time_seconds", "process_threads", "process_virtual_memory_bytes"}


def tool(name):
    """Where one of Prometheus' programs is, or None."""
    if found := shutil.which(name):
        return found
    place = ROOT / "target" / "observability"
    unpacked = place / "root" / "usr" / "bin" / name
    if unpacked.exists():
        return str(unpacked)
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return None
    place.mkdir(parents=True, exist_ok=True)
    for step in (["apt-get", "update", "-qq"], ["apt-get", "download", "prometheus"]):
        # An update that fails may have left lists that are good enough.
        done = subprocess.run(step, cwd=place, capture_output=True, text=True)
    packages = sorted(place.glob("prometheus_*.deb"))
    if not packages:
        print("skipped: Debian's prometheus cannot be fetched:", done.stderr.strip()[-200:])
        return None
    subprocess.run(["dpkg-deb", "-x", str(packages[-1]), str(place / "root")], check=True)
    return str(unpacked) if unpacked.exists() else None


class Watched(Server):
    """One whose every route can be called."""

    def call(self, method, path, body=None, headers=None):
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


def traffic(server):
    """A little of everything that is counted."""

    def sure(method, path, body=None, status=200):
        got = server.call(method, path, body)
        assert got[0] == status, (method, path, got)
        return json.loads(got[1]) if got[1] else None

    hook = {"url": "http://127.0.0.1:9/nobody", "events": ["handoff.created"], "private": True}
    status, text = server.call("POST", "/v1/webhooks", hook)
    assert status in (200, 201), text
    for text in ["怎么退货", "发票怎么开", "转人工", "今天天气怎么样", "我填的送货地点不对", "我填的送货地点不对"]:
        sure("POST", "/v1/answer", {"text": text})
    sure("POST", "/v1/answer", {"text": " "}, status=422)
    sure("POST", "/v1/answer", {"text": "转人工", "session": "one"})
    page = sure("GET", "/v1/kbs/demo/entries?limit=1")
    entry = page["items"][0]
    etag, body = entry["etag"], entry["entry"]
    body["answer"] += "。"
    status, text = server.call("PUT", f"/v1/kbs/demo/entries/{body['id']}", body, {"If-Match": etag})
    assert status == 200, text
    assert server.call("GET", "/nowhere")[0] == 404


def names_in(expressions):
    """The metrics that expressions name."""
    words = set()
    for expression in expressions:
        # Neither what stands in quotes nor what stands behind `by`.
        bare = re.sub(r'"[^"]*"', "", expression)
        bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
        words |= set(re.findall(r"\b(?:zhida|process|up)(?:_[a-z0-9_]+)?\b", re.sub(r"\{[^}]*\}", "", bare)))
    return words - {"zhida", "process"}


def dashboard():
    """The expressions of the dashboard, and what is wrong with its structure."""
    board = json.loads((HERE / "dashboard.json").read_text())
    for field in ("title", "uid", "schemaVersion", "templating", "panels", "time"):
        assert field in board, f"dashboard.json has no {field}"
    variables = {one["name"] for one in board["templating"]["list"]}
    ids, expressions = set(), []
    taken = set()
    for panel in board["panels"]:
        title = panel["title"]
        assert panel["id"] not in ids, f"two panels have the id {panel['id']}"
        ids.add(panel["id"])
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24, f"{title} stands outside of the grid"
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{title} stands on another panel"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] in ("timeseries", "stat"), (title, panel["type"])
        assert panel["targets"], f"{title} shows nothing"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), title
        for target in panel["targets"]:
            used = set(re.findall(r"\$(?!__)(\w+)", target["expr"]))
            assert used <= variables, f"{title} uses {used - variables}, which is no variable"
            expressions.append((title, target["expr"]))
    queries = [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    return expressions, queries


def shown(expression):
    """An expression with the dashboard's variables filled in."""
    return expression.replace("$__rate_interval", "30s").replace("$instance", ".*").replace("$kb", ".*")


def through_prometheus(prometheus, server, expressions, folder):
    """Every expression of the dashboard, asked of a Prometheus that scrapes the server."""
    target = server.address.removeprefix("http://")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(HERE / "alerts.yml")],
        "scrape_configs": [{"job_name": "zhida", "static_configs": [{"targets": [target]}]}],
    }
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = [prometheus, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command)

    def ask(path, **query):
        address = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as got:
            return json.load(got)["data"]

    try:
        until = time.monotonic() + 60
        while True:
            assert time.monotonic() < until, "Prometheus has scraped nothing within a minute"
            assert process.poll() is None, "Prometheus has ended"
            time.sleep(0.5)
            try:
                scraped = ask("query", query="count_over_time(zhida_ready[1m])")["result"]
            except OSError:
                continue
            if scraped and float(scraped[0]["value"][1]) >= 4:
                break
            server.call("POST", "/v1/answer", json.dumps({"text": "怎么退货"}).encode())
        for title, expression in expressions:
            found = ask("query", query=shown(expression))["result"]
            if not found and not names_in([expression]) & QUIET:
                raise SystemExit(f"dashboard: {title} shows nothing: {shown(expression)}")
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        faults = [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] == "err"]
        assert not faults, faults
        loud = [rule["name"] for rule in rules if rule["state"] == "firing"]
        assert not loud, f"these alerts fire on a server that is well: {loud}"
        print(f"prometheus: {len(expressions)} expressions of the dashboard give something, {len(rules)} alerts are sound")
    finally:
        process.terminate()
        process.wait(30)


def main():
    binary = sys.argv[1]
    promtool, prometheus = tool("promtool"), tool("prometheus")
    if promtool is None or prometheus is None:
        print("skipped: promtool and prometheus are not here (Debian's package is `prometheus`)")
        return
    for step in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        subprocess.run([promtool, *step], cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    expressions, queries = dashboard()
    alerts = (HERE / "alerts.yml").read_text()
    tested = (HERE / "alerts_test.yml").read_text()
    for name in re.findall(r"- alert: (\w+)", alerts):
        assert f'alertname="{name}"' in tested, f"alerts_test.yml does not test {name}"
    # Everything but what people read.
    in_alerts = re.sub(r"(?m)^ *(summary|description): .*$|#.*$", "", alerts).splitlines()
    in_alerts = [line for line in in_alerts if not line.lstrip().startswith(("- alert", "- name"))]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        server = Watched(binary, folder / "data")
        try:
            traffic(server)
            until = time.monotonic() + 30
            while "\nzhida_audit_sound{" not in (text := server.call("GET", "/metrics")[1]):
                assert time.monotonic() < until, "the record of changes is not verified"
                time.sleep(0.2)
            checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            samples = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and line[0] != "#"}
            used = names_in([expression for _, expression in expressions] + queries + in_alerts)
            missing = used - samples - UNUSUAL
            assert not missing, f"the dashboard or the alerts name what no server shows: {sorted(missing)}"
            whole = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}
            named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
            forgotten = whole - named - UNSHOWN
            assert not forgotten, f"neither the dashboard nor an alert names {sorted(forgotten)}"
            through_prometheus(prometheus, server, expressions, folder)
        finally:
            server.stop()
    print("the dashboard and the alerts name what the server shows")


if __name__ == "__main__":
    main()
