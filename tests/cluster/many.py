"""Do many tenants fit, though no node holds all of them?

usage: python3 tests/cluster/many.py ZHIDA [TENANTS] [MEMORY_MIB]        (default 40 tenants, 40 MiB for each of three nodes)

Runs PostgreSQL (Debian's, installed where we may) and three nodes of the binary ZHIDA that
share the knowledge bases of TENANTS tenants, one each, two nodes to hold each, with a budget
for what is open that none of them could keep all in. Customers ask whatever node comes.
Then a node is killed. Afterwards:

- every question was answered for its own tenant, by the answer that only that tenant has;
- no node ever had more open than it may, but for what the last question opened;
- after the kill no question failed at a node that lives.

Prints what it saw as Markdown; where the programs cannot be had it says that it skips."""

import json
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Postgres, Server, free_port
from cluster import Client, quantile, wait

QUESTIONS = [("几点上班", "客服几点开始上班"), ("怎么退货", "东西不想要了怎么退"), ("运费谁出", "退回去的邮费谁承担")]


def entries(tenant):
    lines = ({"id": f"e{at}", "question": asked, "similar": [other], "answer": f"{tenant}的答复{at}。"} for at, (asked, other) in enumerate(QUESTIONS))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


class Node:
    def __init__(self, binary, folder, number, postgres, memory):
        self.port = free_port()
        data = folder / f"node{number}"
        data.mkdir()
        self.server = Server(binary, data, "--releases", f"file://{folder}/releases", "--model", "none", "--log", "json", "--replicas", "2", "--memory-mib", str(memory),
                             "--node-url", f"http://127.0.0.1:{self.port}", listen=f"127.0.0.1:{self.port}", ZHIDA_DATABASE=postgres.address("zhida"), ZHIDA_LANG="en")

    def client(self, key):
        return Client(f"127.0.0.1:{self.port}", key)

    def resident(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def tenant(client, name):
    """Makes a tenant with its knowledge base, and a key that may ask it."""
    def done(status, told, *good):
        assert status in good, (name, status, told)
        return told
    done(*client.call("POST", "/v1/tenants", {"name": name})[::2], 201)
    key = done(*client.call("POST", "/v1/keys", {"role": "admin", "tenant": name, "name": "author"})[::2], 201)["key"]
    own = Client(client.address, key)
    sent = {"authorization": f"Bearer {key}", "content-type": "application/octet-stream"}
    file = urllib.request.Request(f"http://{client.address}/v1/kbs/faq/import?format=jsonl", entries(name).encode(), sent)
    with urllib.request.urlopen(file) as imported:
        assert imported.status == 200
    job = done(*own.call("POST", "/v1/kbs/faq/releases", {})[::2], 202)
    def over():
        told = own.call("GET", f"/v1/jobs/{job['id']}")[2]
        assert told["state"] != "failed", told
        return told["state"] == "done"
    wait(over, f"{name} is not published", 60)
    return key


def asked(clients, keys, names, rounds, dice):
    """Questions of random tenants to random nodes; how long each took."""
    took = []
    for _ in range(rounds):
        name, (at, (text, _)) = dice.choice(names), dice.choice(list(enumerate(QUESTIONS)))
        client = dice.choice(clients)
        client.key = keys[name]
        began = time.monotonic()
        status, _, told = client.call("POST", "/v1/answer", {"text": text})
        took.append(time.monotonic() - began)
        assert status == 200 and told["answer"]["text"] == f"{name}的答复{at}。", (name, status, told)
    return took


def main():
    binary = sys.argv[1]
    tenants, memory = int(sys.argv[2]) if len(sys.argv) > 2 else 40, int(sys.argv[3]) if len(sys.argv) > 3 else 40
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="zhida-many-") as name:
        folder = pathlib.Path(name)
        postgres = Postgres.start(folder)
        if postgres is None:
            print("skipped: no PostgreSQL can be had here")
            return
        nodes = []
        try:
            postgres.sql("CREATE DATABASE zhida")
            (folder / "releases").mkdir()
            nodes = [Node(binary, folder, number, postgres, memory) for number in (1, 2, 3)]
            # The first key closes the door for whoever has none.
            operator = nodes[0].client("").call("POST", "/v1/keys", {"role": "admin", "name": "operator"})[2]["key"]
            first = nodes[0].client(operator)
            wait(lambda: len(first.call("GET", "/v1/nodes")[2].get("items", [])) == 3, "the nodes do not know each other")
            began = time.monotonic()
            keys = {f"t{number:04}": tenant(first, f"t{number:04}") for number in range(tenants)}
            made = time.monotonic() - began
            names = list(keys)
            budget = memory << 20
            status = [node.client(operator) for node in nodes]
            open_ = lambda: [client.call("GET", "/v1/nodes")[2] for client in status]
            clients = [node.client(None) for node in nodes]
            took, most = [], 0
            for _ in range(10):
                took += asked(clients, keys, names, tenants, dice)
                # What had to go is closed twice a second.
                time.sleep(1)
                most = max(most, *(told["bytes"] for told in open_()))
            assert most <= budget, f"{most} bytes were open, {budget} may be"
            held = [told["open"] for told in open_()]
            resident = [node.resident() for node in nodes]
            warm = dice.sample(names, max(1, tenants // 10))
            asked(clients, keys, warm, 5 * len(warm), dice)
            quick = asked(clients, keys, warm, 200, dice)
            nodes[2].server.process.send_signal(signal.SIGKILL)
            nodes[2].server.process.wait()
            after = asked(clients[:2], keys, names, 2 * tenants, dice)
            print(f"{tenants} tenants with a knowledge base each, made in {made:.0f} s; three nodes, each may have {memory} MiB open, two hold each.\n")
            print("| | questions | p50 ms | p99 ms |\n| --- | --- | --- | --- |")
            for what, times in (("any tenant, any node", took), ("a tenth of the tenants", quick), ("after a node was killed", after)):
                print(f"| {what} | {len(times)} | {1000 * statistics.median(times):.1f} | {1000 * quantile(times, 0.99):.1f} |")
            metrics = [client.call("GET", "/metrics")[2]["text"] for client in status[:2]]
            def total(line):
                return sum(int(row.rsplit(" ", 1)[1]) for text in metrics for row in text.splitlines() if row.startswith(line))
            sent, turns = total('zhida_sent_on_total{outcome="answered"}'), [total(f'zhida_knowledge_base_turns_total{{turn="{turn}"}}') for turn in ("opened", "closed")]
            assert sent and turns[1], "nothing was sent on, or nothing had to be closed"
            print(f"\nOpen at the nodes before the kill: {held} of {tenants}; at most {most / 2**20:.0f} MiB by estimate; resident {[round(one) for one in resident]} MiB. "
                  f"Two nodes sent on {sent} requests, opened {turns[0]} knowledge bases because they were asked for, and closed {turns[1]}.")
        finally:
            for node in nodes:
                if node.server.process.poll() is None:
                    node.server.process.kill()
                    node.server.process.wait()
            postgres.down("immediate")


if __name__ == "__main__":
    main()
