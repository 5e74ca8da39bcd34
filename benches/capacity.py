"""What does one core answer, and what does a phrasing take in memory?

usage: python3 benches/capacity.py [--zhida FILE] [--seconds 10] [--keep FOLDER] [N ...]        without N: 1000 10000 100000

Makes knowledge bases of N phrasings as publish.py does (with --keep they stay, and are taken as they are the next time), and
serves each with one permit on one core, while a sender on another core asks as fast as eight clients can that wait for each
reply: questions of corpora/, said in many ways, that are not in the knowledge base; they wait for as long as it takes. Then the
same in conversations, a message a question, in SQLite; with the smallest N also on PostgreSQL where that can be had (its server has the other cores), with the bytes
that it keeps and the processor time that it takes for each. Memory is what the process has resident after the questions.
Needs Linux with two cores or more. Prints Markdown; the page *Capacity* of the README is made from it."""
import argparse, atexit, collections, json, os, pathlib, re, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/benches")
sys.path.insert(0, f"{ROOT}/tests")
import load
import publish
from checking import Postgres, Server

TRADES = ["shop", "bank", "telecom", "travel", "hospital"]


def bodies(sessions):
    """Questions of all own sets, each in a hundred ways; with `sessions`, messages of so many conversations."""
    texts = [json.loads(line)["text"] for trade in TRADES for line in open(f"{ROOT}/corpora/{trade}.queries.jsonl", encoding="utf-8")]
    told = [f"{before}{text.rstrip('？?。')}{behind}" for behind in load.BEHIND for before in load.BEFORE for text in texts]
    named = ({"text": text, "kb": "bench"} if not sessions else {"text": text, "kb": "bench", "session": f"c{at % sessions}-{at // (20 * sessions)}"} for at, text in enumerate(told))
    return [load.request("POST", "/v1/answer", body) for body in named]


def answered(address, seconds, requests):
    """Answers a second, and the median and 99th percentile in ms."""
    with tempfile.NamedTemporaryFile() as file:
        for text in requests:
            file.write(b"%d\n" % len(text) + text)
        file.flush()
        command = ["taskset", "-c", "1", load.sender(), address, "1", str(seconds), "8", "1", "1", file.name]
        lines = [tuple(map(float, line.split())) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]
    took = [one[1] for one in lines if one[2] == 200]
    if len(took) <= 0.99 * len(lines):
        others = collections.Counter(int(one[2]) for one in lines if one[2] != 200)
        sys.exit(f"{len(lines) - len(took)} of {len(lines)} were not answered: {dict(others)}")
    return len(took) / seconds, 1e3 * load.share(took, 0.5), 1e3 * load.share(took, 0.99)


class Served:
    def __init__(self, binary, data, **environment):
        pinned = tempfile.NamedTemporaryFile("w", prefix="zhida-", delete=False)
        pinned.write(f'#!/bin/sh\nexec taskset -c 0 "{binary}" "$@"\n')
        pinned.close()
        os.chmod(pinned.name, 0o755)
        self.server = Server(pinned.name, data, "--max-in-flight", "1", "--queue-ms", "20000", "--default-kb", "bench", "--log", "json", RUST_LOG="warn", **environment)
        os.unlink(pinned.name)
        # Whatever ends this ends what it has started.
        atexit.register(self.server.process.kill)
        self.address = self.server.address.removeprefix("http://")

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.server.process.pid}/status").read())[1]) / 1024


def processes(folder):
    """PostgreSQL's processes, the one first that has started the others."""
    head = int((folder / "postmaster.pid").read_text().splitlines()[0])
    return [head, *map(int, subprocess.run(["pgrep", "-P", str(head)], capture_output=True, text=True).stdout.split())]


def ticks(pids):
    """Seconds of processor time that some processes have taken, and those that they had started and that have ended."""
    total = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue  # It has ended, and counts with the one that had started it.
        total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zhida", default=publish.ZHIDA)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--keep")
    parser.add_argument("sizes", nargs="*", type=int)
    asked = parser.parse_args()
    publish.ZHIDA = asked.zhida
    sizes = asked.sizes or [1_000, 10_000, 100_000]
    first, shared = None, None
    print(f"{load.processor()}; zhida on one core, the sender on another\n")
    print("| phrasings | MiB when open | MiB after the questions | bytes a phrasing | answers /s | p50 ms | p99 ms | messages /s in conversations | p50 ms | p99 ms |\n|" + " --- |" * 10, flush=True)
    with tempfile.TemporaryDirectory() as place:
        for size in sizes:
            data = f"{asked.keep or place}/{size}"
            if not os.path.isdir(f"{data}/kbs/bench/releases/1"):
                os.makedirs(data, exist_ok=True)
                file = f"{place}/kb.jsonl"
                with open(file, "w", encoding="utf-8") as out:
                    out.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in publish.entries(size))
                publish.run("kb", "import", "--data", data, "--kb", "bench", file)
                publish.run("kb", "publish", "--data", data, "--kb", "bench")
            served = Served(asked.zhida, data)
            opened = served.resident()
            alone, told = answered(served.address, asked.seconds, bodies(0)), None
            resident = served.resident()
            told = answered(served.address, asked.seconds, bodies(500))
            served.server.stop()
            first = first or (size, opened)
            each = "" if size == first[0] else f"{(opened - first[1]) * 2**20 / (size - first[0]):,.0f}"
            print(f"| {size:,} | {opened:.0f} | {resident:.0f} | {each} | {alone[0]:.0f} | {alone[1]:.1f} | {alone[2]:.1f} | {told[0]:.0f} | {told[1]:.1f} | {told[2]:.1f} |", flush=True)
            if size == sizes[0]:
                shared = on_server(asked, data, pathlib.Path(place) / "server")
    if shared:
        (rate, median, late), size, used = shared
        print(f"\nConversations on PostgreSQL, {sizes[0]:,} phrasings: {rate:.0f} messages a second, p50 {median:.1f} ms, p99 {late:.1f} ms; it keeps {size:,.0f} bytes and takes {1e3 * used:.2f} ms of processor time for each.")


def on_server(asked, data, folder):
    """Messages a second with the records on PostgreSQL, and what it keeps and takes for each."""
    folder.mkdir()
    postgres = Postgres.start(folder)
    if postgres is None:
        return None
    try:
        postgres.sql("CREATE DATABASE zhida")
        copy = f"{folder}/data"
        subprocess.run(["cp", "-a", data, copy], check=True)
        url = postgres.address("zhida")
        publish.run("store", "copy", "--to", url, "--data", copy)
        served = Served(asked.zhida, copy, ZHIDA_DATABASE=url)
        measure = lambda: (int(postgres.sql("SELECT pg_database_size('zhida')")), int(postgres.sql("SELECT count(*) FROM zhida_conversations.lines", "zhida")), ticks(processes(postgres.data)))
        before = measure()
        told = answered(served.address, asked.seconds, bodies(500))
        after = measure()
        # Idle connections are closed with the server; their time must be read before.
        served.server.stop()
        # A question and its reply are two lines.
        messages = (after[1] - before[1]) / 2
        return told, (after[0] - before[0]) / messages, (after[2] - before[2]) / messages
    finally:
        postgres.down("immediate")


if __name__ == "__main__":
    main()
