"""Does a client that somebody else's generator makes of /openapi.json work?

usage: python3 tests/client/check.py ZHIDA [VENV]

Starts the binary ZHIDA on a free port with an empty data directory, validates
what it says of itself with openapi-spec-validator, has openapi-python-client
make a client of it, and uses that: import, publish, answer, edit, roll back,
and what is refused. The tools come from PyPI into VENV (target/client); where
that is not possible it says that it skips. Also asks a hundred questions at
once, all of which must be answered.
"""

import asyncio
import contextlib
import gzip
import importlib
import io
import json
import pathlib
import runpy
import subprocess
import sys
import tempfile
import time
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, from_pypi

TOOLS = ["openapi-python-client==0.29.*", "openapi-spec-validator==0.9.*", "python-dateutil==2.9.*"]

PICTURES = [f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp")]

ENTRIES = """\
{"id":"hours","question":"几点上班","similar":["客服几点开始上班"],"answer":"早上九点。","topic":"服务"}
{"id":"invoice","question":"怎么开电子发票","similar":["发票在哪里开"],"answer":"在“我的发票”里申请。","topic":"发票"}
{"id":"refund","question":"退款多久到账","similar":["钱什么时候退回来"],"answer":"1 到 3 个工作日。","topic":"退款"}
"""


def main():
    binary = sys.argv[1]
    root = pathlib.Path(__file__).resolve().parents[2]
    venv = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else root / "target" / "client"
    python = from_pypi(venv, TOOLS, "the generator of clients")
    if python is None:
        return
    if pathlib.Path(sys.prefix).resolve() != venv.resolve():
        # The rest needs what was just installed.
        raise SystemExit(subprocess.run([str(python), __file__, binary, str(venv)]).returncode)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        server = Server(binary, folder / "data", "--model", "none")
        try:
            first_start(server.lines)
            make_client(server, venv, folder)
            sys.path.insert(0, str(folder / "client"))
            use_client(server)
            example(server)
            asyncio.run(burst(server))
        finally:
            server.stop()
    print("the generated client works")


def first_start(lines):
    """Without a terminal the first start says what it does."""
    told = "".join(line for line in lines if line.startswith("zhida: "))
    for words in ["importing the demo", "publishing demo", "published demo as release 1"]:
        assert words in told, told


def make_client(server, venv, folder):
    import httpx
    from openapi_spec_validator import validate

    document = httpx.get(server.address + "/openapi.json").json()
    try:
        validate(document)
    except Exception as fault:
        # The message may hold all of the document.
        raise SystemExit(f"/openapi.json is not valid: {str(fault)[:500]}") from None
    (folder / "openapi.json").write_text(json.dumps(document))
    config = {"package_name_override": "zhida_client", "project_name_override": "client", "post_hooks": []}
    # The generator knows neither TOML nor workbooks nor pictures; all are files like any other.
    workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    config["content_type_overrides"] = dict.fromkeys(["application/toml", workbook, *PICTURES], "application/octet-stream")
    (folder / "config.json").write_text(json.dumps(config))
    command = [str(venv / "bin" / "openapi-python-client"), "generate", "--fail-on-warning", "--meta", "none"]
    command += ["--path", str(folder / "openapi.json"), "--config", str(folder / "config.json")]
    command += ["--output-path", str(folder / "client" / "zhida_client")]
    (folder / "client").mkdir()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def call(name, *args, **named):
    module = importlib.import_module("zhida_client.api.default." + name)
    return module.sync_detailed(*args, **named)


def use_client(server):
    zhida = importlib.import_module("zhida_client")
    models = importlib.import_module("zhida_client.models")
    types = importlib.import_module("zhida_client.types")
    client = zhida.Client(base_url=server.address)

    def ask(text, **fields):
        return call("answer", client=client, body=models.AnswerRequest(text=text, **fields))

    assert call("health", client=client).parsed.status == "ok"
    assert call("readiness", client=client).parsed.status == models.ReadinessStatus.READY

    file = types.File(payload=ENTRIES.encode(), file_name="kb.jsonl")
    done = call("import_kb", "shop", client=client, body=file, format_="jsonl")
    assert done.status_code == 200 and not done.parsed.dry_run, done
    job = call("publish_kb", "shop", client=client, body=models.PublishRequest())
    assert job.status_code == 202, job
    until = time.monotonic() + 60
    while (now := call("get_job", job.parsed.id, client=client).parsed).state == models.JobState.RUNNING:
        assert time.monotonic() < until, now
        time.sleep(0.05)
    assert now.state == models.JobState.DONE and now.result["release"] == 1, now

    got = ask("几点上班", kb="shop", explain=True).parsed
    assert got.decision == models.Decision.ANSWER and got.reason == models.Reason.EXACT_QUESTION, got
    assert got.answer.entry == "hours" and got.answer.text == "早上九点。" and got.handoff is None, got
    assert got.explain.tokens, got
    got = ask("转人工", kb="shop").parsed
    assert got.decision == models.Decision.HANDOFF and got.handoff.reason == models.Reason.REQUESTED, got
    batch = models.BatchRequest(items=[models.AnswerRequest(text="发票在哪里开", kb="shop")])
    [item] = call("answer_batch", client=client, body=batch).parsed.items
    assert item.answer.entry == "invoice", item

    page = call("list_entries", "shop", client=client, topic="退款").parsed
    assert [one.entry.id for one in page.items] == ["refund"], page
    entry = call("get_entry", "shop", "hours", client=client)
    entry.parsed.answer = "早上八点。"
    body = models.SentEntry.from_dict(entry.parsed.to_dict())
    etag = entry.headers["etag"]
    assert call("put_entry", "shop", "hours", client=client, body=body, if_match=etag).status_code == 200
    assert ask("几点上班", kb="shop").parsed.answer.text == "早上八点。"
    assert [one.release for one in call("list_releases", "shop", client=client).parsed.items] == [1]
    rolled = call("rollback_kb", "shop", client=client, body=models.WantedRelease(release=1))
    assert rolled.parsed.current == 1
    exported = call("export_kb", "shop", client=client, format_="jsonl")
    assert exported.parsed.payload.read().decode().count("\n") == 3

    got = ask("几点上班", kb="typo")
    assert got.status_code == 404 and got.parsed.type_ == "/problems/unknown-kb", got
    assert sorted(got.parsed.known) == ["demo", "shop"], got
    got = ask("\u200b")
    assert got.status_code == 422 and got.parsed.type_ == "/problems/blank-text", got

    # A packed body, which the client's own library sends as it is.
    packed = gzip.compress(json.dumps({"text": "几点上班", "kb": "shop"}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    got = client.get_httpx_client().post("/v1/answer", content=packed, headers=headers)
    assert got.status_code == 200 and got.json()["decision"] == "answer", got.text


def example(server):
    """What the documents show, on the knowledge base that was just made."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), unittest.mock.patch("sys.argv", ["example.py", server.address]):
        runpy.run_path(str(pathlib.Path(__file__).with_name("example.py")))
    assert told.getvalue() == "几点上班 answer hours\n转人工 handoff None\n", told.getvalue()


async def burst(server):
    """A hundred customers at once."""
    import httpx

    async with httpx.AsyncClient(base_url=server.address, limits=httpx.Limits(max_connections=100)) as client:
        texts = [f"第{number}次下的单，还没付款的订单怎么取消" for number in range(100)]
        asked = [client.post("/v1/answer", json={"text": text}, timeout=30) for text in texts]
        start = time.monotonic()
        statuses = [got.status_code for got in await asyncio.gather(*asked)]
        print(f"100 questions at once in {time.monotonic() - start:.2f} s")
    assert statuses == [200] * 100, statuses


if __name__ == "__main__":
    main()
