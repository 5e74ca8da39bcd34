"""Do several nodes behave as one, whatever happens to them?

usage: python3 tests/cluster/check.py ZHIDA [OPERATIONS]        (default 2000; 12000 for the long form)

Runs PostgreSQL and HAProxy (Debian's, installed where we may) and three nodes of the binary
ZHIDA, each with a data directory of its own; the third has a clock that is an hour ahead
where libfaketime can be had. Authors edit the same entries through the balancer, customers
talk, and agents claim the same handoffs, while a node is killed, another is cut off from the
database, and PostgreSQL loses its power. Afterwards:

- every edit that was acknowledged is in the history, once, and the edits of an entry are
  linearizable: each one that was acknowledged follows the revision that its author had seen,
  and one that began after another had ended comes after it. Revisions order the writes of an
  entry, so no search through all orders is needed: that is why the check is our own;
- every read saw a revision that was the last one at some moment while it was under way;
- every message that was acknowledged is in its conversation, once and in order;
- every handoff was claimed by exactly one agent;
- a key that one node revokes is refused by all, and an edit at one node is served by all.

Prints what it saw as Markdown; where the programs cannot be had it says that it skips."""

import collections
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Postgres, Server, free_port, from_debian

ENTRIES = 24
LINES = "".join(
    json.dumps({"id": f"e{n:02}", "question": f"第{n}号商品怎么退货", "answer": f"第{n}号：第0版。"}, ensure_ascii=False) + "\n" for n in range(ENTRIES)
) + json.dumps({"id": "hours", "question": "几点上班", "similar": ["客服几点开始上班"], "answer": "早上九点。"}, ensure_ascii=False) + "\n"


class Wire:
    """The way from one node to PostgreSQL; it can be cut, and then nothing comes through and nothing is closed."""

    def __init__(self, to):
        self.to, self.is_cut, self.listener = to, False, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.to)
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    def carry(self, one, other):
        try:
            while data := one.recv(65536):
                while self.is_cut:
                    time.sleep(0.05)
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Client:
    """One client of an address, with one connection that is made anew when it breaks."""

    def __init__(self, address, key):
        self.address, self.key, self.connection = address, key, None

    def call(self, method, path, body=None, **headers):
        """The status, the headers and what it says; status 0 when nothing came back."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=20)
            data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
            sent = {"authorization": f"Bearer {self.key}", **({"content-type": "application/json"} if data else {})}
            sent.update({name.replace("_", "-"): value for name, value in headers.items()})
            self.connection.request(method, path, data, sent)
            reply = self.connection.getresponse()
            text = reply.read()
            try:
                told = json.loads(text) if text else {}
            except ValueError:
                told = {"text": text.decode(errors="replace")}
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, told
        except (OSError, http.client.HTTPException):
            if self.connection:
                self.connection.close()
            self.connection = None
            return 0, {}, {}


class Node:
    def __init__(self, cluster, number):
        self.cluster, self.number, self.port = cluster, number, free_port()
        self.data = cluster.folder / f"node{number}"
        self.data.mkdir()
        self.wire = Wire(str(cluster.postgres.data / ".s.PGSQL.5432"))
        self.environment = {}
        if number == 3 and cluster.faketime:
            self.environment = {"LD_PRELOAD": cluster.faketime, "FAKETIME": "+3600s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.server = None

    @property
    def url(self):
        return f"postgres://zhida@127.0.0.1:{self.wire.port}/zhida"

    def start(self):
        started = time.monotonic()
        self.server = Server(self.cluster.binary, self.data, "--releases", self.cluster.releases, "--default-kb", "t", "--log", "json",
                             listen=f"127.0.0.1:{self.port}", ZHIDA_DATABASE=self.url, ZHIDA_LANG="en", **self.environment)
        return time.monotonic() - started

    def client(self):
        return Client(f"127.0.0.1:{self.port}", self.cluster.key)

    def kill(self):
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()


class Cluster:
    def __init__(self, binary, folder, postgres):
        self.binary, self.folder, self.postgres = binary, folder, postgres
        self.releases = f"file://{folder}/releases"
        (folder / "releases").mkdir()
        found = list(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")) if from_debian("faketime", "faketime") else []
        self.faketime = str(found[0]) if found else None
        postgres.sql("CREATE DATABASE zhida")
        self.key = None
        self.nodes = [Node(self, number) for number in (1, 2, 3)]
        first = self.nodes[0]
        (folder / "t.jsonl").write_text(LINES)
        self.command(first, "kb", "import", "--kb", "t", str(folder / "t.jsonl"))
        self.command(first, "kb", "publish", "--kb", "t", "--model", "none", "--releases", self.releases)
        self.key = json.loads(self.command(first, "key", "create", "--role", "admin", "--name", "check", "--json"))["key"]
        made = [self.command(first, "key", "create", "--role", "agent", "--name", f"agent{number}", "--json") for number in range(3)]
        self.agents = [json.loads(text)["key"] for text in made]
        self.started = [node.start() for node in self.nodes]
        self.port = free_port()
        servers = "\n".join(f"    server n{node.number} 127.0.0.1:{node.port} check inter 300ms fall 1 rise 1" for node in self.nodes)
        (folder / "haproxy.cfg").write_text(f"""
global
    maxconn 500
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option redispatch
    retries 2
frontend front
    bind 127.0.0.1:{self.port}
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /readyz
{servers}
""")
        self.haproxy = subprocess.Popen([from_debian("haproxy", "haproxy"), "-f", str(folder / "haproxy.cfg")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        front = self.front()
        wait(lambda: front.call("GET", "/healthz")[0] == 200, "the balancer finds no node")

    def front(self):
        return Client(f"127.0.0.1:{self.port}", self.key)

    def command(self, node, *args):
        done = subprocess.run([self.binary, *args, "--data", str(node.data)], capture_output=True, text=True, env={**os.environ, "ZHIDA_DATABASE": node.url, "ZHIDA_LANG": "en"})
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return done.stdout

    def stop(self):
        self.haproxy.kill()
        for node in self.nodes:
            if node.server and node.server.process.poll() is None:
                node.server.process.kill()
                node.server.process.wait()


def wait(is_so, what, seconds=30.0):
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"fault: {what}, after {seconds:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - began


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def seen_everywhere(cluster, rounds):
    """How long an edit at one node takes to be what the others answer."""
    taken, at_once = [], 0
    for number in range(rounds):
        node = cluster.nodes[number % 3]
        others = [one for one in cluster.nodes if one is not node]
        text = f"早上{number}点{random.random()}。"
        entry = {"id": "hours", "question": "几点上班", "similar": ["客服几点开始上班"], "answer": text}
        status, _, told = node.client().call("PUT", "/v1/kbs/t/entries/hours", entry, if_match="*")
        assert status == 200, (status, told)
        began = time.monotonic()
        mine = node.client().call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})[2]
        assert mine["answer"]["text"] == text, "the node that was edited answers with what was before"
        # Who says what they have seen gets no less.
        told = others[0].client().call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"}, zhida_min_release=mine["release"])
        assert told[0] == 200 and told[2]["answer"]["text"] == text, f"a demand for {mine['release']} was answered {told[2]}"
        at_once += 1
        wait(lambda: others[1].client().call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})[2]["answer"]["text"] == text, "an edit does not arrive", 10)
        taken.append(time.monotonic() - began)
    return taken, at_once


class Work:
    """What everybody does meanwhile, and what was acknowledged of it."""

    def __init__(self, cluster, operations):
        self.cluster, self.left, self.lock = cluster, operations, threading.Lock()
        self.edits, self.reads, self.said, self.claims = [], [], collections.defaultdict(list), []
        self.failed = collections.Counter()
        self.waiting, self.done = [], threading.Event()

    def take(self):
        with self.lock:
            self.left -= 1
            if self.left < 0:
                self.done.set()
            return self.left >= 0

    def author(self, seed):
        dice, client = random.Random(seed), self.cluster.front()
        while self.take():
            entry = f"e{dice.randrange(ENTRIES):02}"
            began = time.monotonic()
            status, headers, told = client.call("GET", f"/v1/kbs/t/entries/{entry}")
            ended = time.monotonic()
            if status != 200:
                self.failed[f"read {status}"] += 1
                time.sleep(0.05)
                continue
            seen = int(headers["etag"].strip('"'))
            self.reads.append((entry, began, ended, seen))
            if not self.take():
                return
            text = f"{entry}-{seed}-{len(self.edits)}-{dice.random()}"
            began = time.monotonic()
            status, headers, _ = client.call("PUT", f"/v1/kbs/t/entries/{entry}", {**told, "answer": text}, if_match=f'"{seen}"')
            ended = time.monotonic()
            if status == 200:
                self.edits.append((entry, began, ended, seen, int(headers["etag"].strip('"')), text))
            else:
                self.failed[f"edit {status}"] += 1
                if status not in (412,):
                    time.sleep(0.05)

    def customer(self, seed):
        dice, client, number = random.Random(seed), self.cluster.front(), 0
        while self.take():
            session = f"c{seed}-{number // 8}"
            number += 1
            text = "转人工" if number % 8 == 5 else f"第{dice.randrange(ENTRIES)}号商品怎么退货"
            key = f"{seed}-{number}"
            while True:
                status, _, told = client.call("POST", f"/v1/conversations/{session}/messages", {"text": text, "kb": "t"}, idempotency_key=key)
                if status in (200, 202):
                    with self.lock:
                        self.said[session].append((key, text))
                        if text == "转人工" and status == 200:
                            self.waiting.append(session)
                    break
                # It may have arrived: the same one again, under the same name, until somebody says so.
                self.failed[f"message {status}"] += 1
                time.sleep(0.1)

    def agent(self, seed):
        dice, client = random.Random(seed), Client(f"127.0.0.1:{self.cluster.port}", self.cluster.agents[seed])
        while not self.done.is_set():
            status, _, told = client.call("GET", "/v1/handoffs?state=waiting&limit=10")
            items = told.get("items", []) if status == 200 else []
            if not items:
                time.sleep(0.05)
                continue
            handoff = dice.choice(items[:3])["id"]
            if not self.take():
                return
            began = time.monotonic()
            status, _, told = client.call("POST", f"/v1/handoffs/{handoff}/claim", {})
            if status == 200:
                self.claims.append((handoff, f"agent{seed}", began, time.monotonic()))
            elif status != 409:
                self.failed[f"claim {status}"] += 1

    def run(self):
        threads = [threading.Thread(target=self.author, args=(seed,)) for seed in range(3)]
        threads += [threading.Thread(target=self.customer, args=(seed,)) for seed in range(3)]
        threads += [threading.Thread(target=self.agent, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        return threads


def verify(cluster, work):
    """What is wrong with what is there afterwards."""
    faults = []
    client = cluster.nodes[0].client()
    history = []
    before = None
    while True:
        query = f"&before={before}" if before else ""
        status, _, told = client.call("GET", f"/v1/kbs/t/history?limit=500{query}")
        assert status == 200, told
        if not told["revisions"]:
            break
        history += told["revisions"]
        before = history[-1]["number"]
    numbers = [one["number"] for one in history]
    if len(set(numbers)) != len(numbers):
        faults.append("two revisions have one number")
    if sorted(numbers) != list(range(min(numbers), max(numbers) + 1)):
        faults.append("the numbers of revisions have holes")
    by_entry = collections.defaultdict(list)
    for entry, began, ended, seen, became, text in work.edits:
        by_entry[entry].append((became, seen, began, ended, text))
    known = set(numbers)
    for entry, edits in by_entry.items():
        edits.sort()
        for became, seen, began, ended, text in edits:
            if became not in known:
                faults.append(f"edit {became} of {entry} was acknowledged and is not in the history")
        for (became, _, began, ended, _), (later, seen, next_began, next_ended, _) in zip(edits, edits[1:]):
            if seen < became:
                faults.append(f"edit {later} of {entry} follows {seen}, although {became} was there")
            if next_ended < began:
                faults.append(f"edit {later} of {entry} ended before {became} began")
    for entry, began, ended, seen in work.reads:
        # Those that had ended before the read began had happened; those that began after its end had not.
        newest = max((became for became, _, _, edit_ended, _ in by_entry[entry] if edit_ended < began), default=0)
        future = min((became for became, _, edit_began, _, _ in by_entry[entry] if edit_began > ended), default=None)
        if seen < newest or (future is not None and seen >= future):
            faults.append(f"a read of {entry} saw {seen}, between {newest} and {future}")
    lost = 0
    for session, said in work.said.items():
        status, _, told = client.call("GET", f"/v1/conversations/{session}")
        heard = [turn["text"] for turn in told.get("turns", []) if turn["role"] == "customer"] if status == 200 else []
        if heard != [text for _, text in said]:
            lost += 1
            if lost < 4:
                faults.append(f"conversation {session}: said {[text for _, text in said]}, kept {heard}")
    owners = collections.defaultdict(set)
    for handoff, agent, _, _ in work.claims:
        owners[handoff].add(agent)
    faults += [f"handoff {handoff} was claimed by {sorted(agents)}" for handoff, agents in owners.items() if len(agents) > 1]
    return faults, len(history)


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    operations = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with tempfile.TemporaryDirectory(prefix="zhida-cluster-") as name:
        folder = pathlib.Path(name)
        postgres = Postgres.start(folder) if from_debian("haproxy", "haproxy") else None
        if postgres is None:
            print("skipped: PostgreSQL and HAProxy cannot be had here")
            return
        cluster = Cluster(binary, folder, postgres)
        try:
            check(cluster, operations)
        finally:
            cluster.stop()
            postgres.down("immediate")


def check(cluster, operations):
    one, two, three = cluster.nodes
    taken, at_once = seen_everywhere(cluster, 30)
    print(f"edits at one node, answered by another: p50 {statistics.median(taken) * 1000:.0f} ms, most {max(taken) * 1000:.0f} ms, {len(taken)} edits; "
          f"with Zhida-Min-Release at once, {at_once} of {len(taken)}")
    made = json.loads(cluster.command(one, "key", "create", "--role", "ask", "--name", "short", "--json"))
    short = [Client(f"127.0.0.1:{node.port}", made["key"]) for node in cluster.nodes]
    wait(lambda: all(client.call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})[0] == 200 for client in short), "a new key is not known everywhere")
    cluster.command(one, "key", "revoke", made["id"])
    took = wait(lambda: all(client.call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})[0] == 401 for client in short), "a revoked key still opens a door")
    print(f"a key that was revoked is refused by all three after {took * 1000:.0f} ms")

    work = Work(cluster, operations)
    began = time.monotonic()
    threads = work.run()
    told = []

    def passed(share):
        wait(lambda: work.left <= operations * (1 - share) or work.done.is_set(), "the work does not go on", 900)

    passed(0.15)
    two.kill()
    at = time.monotonic()
    client = cluster.front()
    wait(lambda: client.call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})[0] == 200, "nobody answers after a kill")
    told.append(f"a node was killed: the balancer's next answer after {(time.monotonic() - at) * 1000:.0f} ms, and it was back in {two.start():.1f} s")
    passed(0.35)
    three.wire.is_cut = True
    at = time.monotonic()
    cut = three.client()
    status, _, reply = cut.call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})
    assert status == 200, f"a node that is cut off does not answer: {status} {reply}"
    lag = wait(lambda: cut.call("GET", "/readyz")[2].get("warnings") or cut.call("GET", "/readyz")[0] == 503, "a node that is cut off does not say so", 60)
    ready = cut.call("GET", "/readyz")
    three.wire.is_cut = False
    back = wait(lambda: not cut.call("GET", "/readyz")[2].get("warnings"), "a node does not come back", 60)
    told.append(f"a node was cut off: it went on answering, said so after {lag:.1f} s ({[one.get('reason') for one in ready[2].get('warnings', [])]}), and was well {back:.1f} s after")
    passed(0.6)
    cluster.postgres.down("immediate")
    status = [node.client().call("POST", "/v1/answer", {"text": "几点上班", "kb": "t"})[0] for node in cluster.nodes]
    assert status == [200, 200, 200], f"without PostgreSQL the nodes say {status}"
    time.sleep(3)
    at = time.monotonic()
    cluster.postgres.up()
    up = time.monotonic() - at
    wait(lambda: client.call("GET", "/v1/kbs/t/entries/e00")[0] == 200, "no author reads anything after the loss of PostgreSQL", 60)
    told.append(f"PostgreSQL lost its power: answers went on, and it was back in {up:.1f} s; an author's first read {time.monotonic() - at - up:.1f} s after that")
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    for line in told:
        print(line)
    faults, revisions = verify(cluster, work)
    messages = sum(len(said) for said in work.said.values())
    print(f"{operations} operations in {seconds:.0f} s ({'one clock an hour ahead' if cluster.faketime else 'all clocks right'}): {len(work.edits)} edits acknowledged, {len(work.reads)} reads, "
          f"{messages} messages in {len(work.said)} conversations, {len(work.claims)} claims; {revisions} revisions; not acknowledged: {dict(work.failed)}")
    for fault in faults[:20]:
        print("fault:", fault)
    if faults:
        raise SystemExit(f"{len(faults)} faults")
    print("no acknowledged edit, message or claim was lost or made twice")


if __name__ == "__main__":
    main()
