"""What do many tenants cost, and what becomes slow first?

usage: python3 benches/tenants.py [--zhida FILE] [--tenants 1000] [--steps 4] [--files]        after `cargo build --release`

Makes tenants with a small knowledge base each, over the API, on two nodes and a PostgreSQL server (with --files on one node and
SQLite), all on this machine. After every step it tells what a tenant took to make, what all of them take on the server and in
the nodes (memory, threads, descriptors), what looking after them costs while nobody asks, how fast any of them is answered, and
how soon an edit at one node is what the other answers. Then a node starts anew. Without the encoder: what is measured is what
surrounds an answer. Prints Markdown."""
import argparse, os, pathlib, random, statistics, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests"), str(ROOT / "tests" / "cluster")]
from capacity import processes, ticks
from checking import Postgres, Server, free_port
from cluster import Client, quantile, wait
from many import QUESTIONS, asked, tenant


def private(ids):
    """MiB that belong to some processes; what they share is divided among them."""
    total = 0
    for one in ids:
        try:
            text = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(text.split("\nPss:")[1].split()[0])
    return total / 1024


class Node:
    def __init__(self, binary, folder, number, postgres):
        self.binary, self.folder, self.number, self.postgres, self.port = binary, folder, number, postgres, free_port()
        self.data = folder / f"node{number}"
        self.data.mkdir()
        self.start()

    def start(self):
        more, environment = [], {"ZHIDA_LANG": "en"}
        if self.postgres:
            more = ["--replicas", "2", "--node-url", f"http://127.0.0.1:{self.port}"]
            environment["ZHIDA_DATABASE"] = self.postgres.address("zhida")
        began = time.monotonic()
        self.server = Server(self.binary, self.data, "--model", "none", "--memory-mib", "400", "--log", "json", *more,
                             listen=f"127.0.0.1:{self.port}", RUST_LOG="warn", **environment)
        client = self.client(None)
        wait(lambda: client.call("GET", "/readyz")[2].get("status", "starting") != "starting", f"node {self.number} is not open", 300)
        return time.monotonic() - began

    def client(self, key):
        return Client(f"127.0.0.1:{self.port}", key)

    @property
    def id(self):
        return self.server.process.pid

    def held(self):
        """Threads and descriptors."""
        return len(os.listdir(f"/proc/{self.id}/task")), len(os.listdir(f"/proc/{self.id}/fd"))


def edited(nodes, keys, count, dice):
    """Milliseconds from an edit at one node until another one answers it; every other edit puts back what was there."""
    took, (asks, other) = [], QUESTIONS[0]
    for turn in range(count // 2):
        name = dice.choice(list(keys))
        writer, reader = nodes[0].client(keys[name]), nodes[-1].client(keys[name])
        reader.call("POST", "/v1/answer", {"text": asks})
        for answer in (f"{name}的新答复{turn}。", f"{name}的答复0。"):
            seen = writer.call("GET", "/v1/kbs/faq/entries/e0")[1]["etag"]
            status, _, told = writer.call("PUT", "/v1/kbs/faq/entries/e0", {"question": asks, "similar": [other], "answer": answer}, if_match=seen)
            assert status == 200, (status, told)
            began = time.monotonic()
            wait(lambda: reader.call("POST", "/v1/answer", {"text": asks})[2].get("answer", {}).get("text") == answer, "an edit is not seen", 120)
            took.append(1e3 * (time.monotonic() - began))
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zhida", default=str(ROOT / "target/release/zhida"))
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--files", action="store_true", help="one node and SQLite")
    given = parser.parse_args()
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="zhida-tenants-") as name:
        folder = pathlib.Path(name)
        postgres = None if given.files else Postgres.start(folder)
        if postgres:
            postgres.sql("CREATE DATABASE zhida")
        elif not given.files:
            return print("skipped: no PostgreSQL can be had here")
        nodes = [Node(given.zhida, folder, number, postgres) for number in range(1, 2 if given.files else 3)]
        try:
            operator = nodes[0].client("").call("POST", "/v1/keys", {"role": "admin", "name": "operator"})[2]["key"]
            time.sleep(2)
            first, keys = nodes[0].client(operator), {}
            print("| tenants | one more takes | on the server | its processes | a node: memory, threads, descriptors | nobody asks: node, server | answers p50 / p99 | an edit elsewhere p50 / most |\n" + "| --- " * 8 + "|", flush=True)
            for step in range(1, given.steps + 1):
                goal, before = given.tenants * step // given.steps, len(keys)
                began = time.monotonic()
                for number in range(before, goal):
                    keys[f"t{number:05}"] = tenant(first, f"t{number:05}")
                made = (time.monotonic() - began) / (goal - before)
                # Connections that nobody used for so long are closed by the nodes.
                clients = [node.client(None) for node in nodes]
                # Whoever asks any tenant opens it there.
                asked(clients, keys, list(keys), 2 * goal, dice)
                took = [1e3 * one for one in asked(clients, keys, list(keys), 1000, dice)]
                seen = edited(nodes, keys, 20, dice)
                of_server = processes(postgres.data) if postgres else []
                work = lambda: (ticks([nodes[0].id]), ticks(of_server))
                begun = work()
                time.sleep(20)
                idle = [(after - before) / 20 for before, after in zip(begun, work())]
                if postgres:
                    tables, size = postgres.sql("SELECT count(*), pg_database_size(current_database()) >> 20 FROM pg_class", "zhida").split("|")
                    on_server = f"{tables} relations, {size} MiB"
                    resident = f"{len(of_server)}, {private(of_server):.0f} MiB"
                else:
                    on_server = resident = "–"
                threads, files = nodes[0].held()
                print(f"| {goal} | {1e3 * made:.0f} ms | {on_server} | {resident} | {private([nodes[0].id]):.0f} MiB, {threads}, {files} | {100 * idle[0]:.0f} %, {100 * idle[1]:.0f} % of a core "
                      f"| {statistics.median(took):.1f} / {quantile(took, 0.99):.0f} ms | {statistics.median(seen):.0f} / {max(seen):.0f} ms |", flush=True)
            nodes[0].server.stop()
            print(f"\nA node that starts anew is ready after {nodes[0].start():.1f} s.")
        finally:
            for node in nodes:
                if node.server.process.poll() is None:
                    node.server.process.kill()
                    node.server.process.wait()
            if postgres:
                postgres.down("immediate")


if __name__ == "__main__":
    main()
