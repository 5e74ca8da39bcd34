#!/usr/bin/env python3
"""What do a million stored conversations cost?

    python3 benches/conversations.py [--zhida target/release/zhida] [--conversations 1000000]

Makes a data directory with one knowledge base, has a server take one conversation of three
messages, multiplies it in the database file, and tells: bytes on disk, memory of the server, the
time of a message in a conversation that is there and in a new one, and how long it takes until
old conversations are gone.
"""

import argparse
import json
import os
import random
import re
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

KB = [
    {"id": "refund", "question": "退款多久到账", "answer": "原路退回，1 到 3 个工作日到账。"},
    {"id": "invoice", "question": "怎么开电子发票", "answer": "订单完成后在“我的发票”里申请。"},
    {"id": "cod", "question": "支持货到付款吗", "answer": "部分地区支持。"},
]
TEXTS = ["怎么开电子发票", "那要多久呢", "退款多久到账"]
DAY = 24 * 3600 * 1000


class Server:
    def __init__(self, zhida, data):
        command = [zhida, "serve", "--data", data, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening on (http://\S+)", line)
            if found:
                self.url = found.group(1)
                break
        else:
            raise SystemExit("the server does not start")
        # Somebody has to read on, or the server stops at a full pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def say(self, session, text):
        body = json.dumps({"text": text, "session": session, "kb": "demo"}).encode()
        request = urllib.request.Request(
            self.url + "/v1/answer", body, {"content-type": "application/json"})
        start = time.perf_counter()
        with urllib.request.urlopen(request) as reply:
            reply.read()
        return (time.perf_counter() - start) * 1000

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def multiply(path, count):
    """Copies the one conversation in the file until there are `count` of them."""
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=OFF")
    names = lambda table: [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
    first = base.execute("SELECT key FROM conversations LIMIT 1").fetchone()[0]
    own = [name for name in names("conversations") if name not in ("key", "id", "last_at", "started_at")]
    said = [name for name in names("lines") if name != "conversation"]
    now = int(time.time() * 1000)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {first} + {count} - 1)"
    base.execute(
        f"{numbers} INSERT INTO conversations (key, id, last_at, started_at, {', '.join(own)}) "
        f"SELECT i, 'u-' || i, {now} - (i % 1000) * 60000, {now} - (i % 1000) * 60000, "
        f"{', '.join('c.' + name for name in own)} FROM n, conversations c WHERE c.key = {first}")
    base.execute(
        f"{numbers} INSERT INTO lines (conversation, {', '.join(said)}) "
        f"SELECT i, {', '.join('l.' + name for name in said)} FROM n, lines l WHERE l.conversation = {first}")
    base.commit()
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    return first


def told(what, times):
    times = sorted(times)
    print(f"{what}: median {statistics.median(times):.1f} ms, 95th percentile {times[len(times) * 95 // 100]:.1f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--zhida", default="target/release/zhida")
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=500)
    args = parser.parse_args()
    zhida = os.path.abspath(args.zhida)
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        kb = os.path.join(folder, "kb.jsonl")
        with open(kb, "w") as file:
            file.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in KB)
        for command in (["kb", "import", "--kb", "demo", kb], ["kb", "publish", "--kb", "demo"]):
            subprocess.run([zhida, *command[:2], "--data", data, *command[2:]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = Server(zhida, data)
        for text in TEXTS:
            server.say("first", text)
        few = [server.say(f"few-{i}", TEXTS[0]) for i in range(args.messages)]
        told("a message when there are few conversations", few)
        small = server.memory()
        server.stop()
        path = os.path.join(data, "conversations.db")
        base = sqlite3.connect(path)
        base.execute("DELETE FROM lines WHERE conversation IN (SELECT key FROM conversations WHERE id LIKE 'few-%')")
        base.execute("DELETE FROM conversations WHERE id LIKE 'few-%'")
        base.commit()
        base.close()
        begin = time.perf_counter()
        first = multiply(path, args.conversations)
        size = os.path.getsize(path)
        print(f"{args.conversations} conversations of {len(TEXTS)} messages: {size / 2**20:.0f} MiB on disk, "
              f"{size / args.conversations:.0f} bytes each (made in {time.perf_counter() - begin:.0f} s)")
        server = Server(zhida, data)
        dice = random.Random(1)
        known = [server.say(f"u-{first + 1 + dice.randrange(args.conversations - 1)}", TEXTS[0]) for _ in range(args.messages)]
        told("a message in one of them", known)
        told("a message in a new one", [server.say(f"new-{i}", TEXTS[0]) for i in range(args.messages)])
        print(f"memory of the server: {server.memory():.0f} MiB, and {small:.0f} MiB with few conversations")
        # A fiftieth is older than what is kept (180 days).
        old = args.conversations // 50
        base = sqlite3.connect(path, timeout=60)
        base.execute(f"UPDATE conversations SET last_at = last_at - {200 * DAY}, started_at = started_at - {200 * DAY} "
                     f"WHERE key BETWEEN {first + 1} AND {first + old}")
        base.commit()
        count = lambda: base.execute("SELECT count(*) FROM conversations WHERE last_at < ?", (int(time.time() * 1000) - 190 * DAY,)).fetchone()[0]
        begin, left, slow = time.perf_counter(), count(), []
        while left and time.perf_counter() - begin < 600:
            slow.append(server.say(f"new-{dice.randrange(args.messages)}", TEXTS[0]))
            time.sleep(0.02)
            left = count()
        print(f"{old} old ones: {old - left} were gone after {time.perf_counter() - begin:.0f} s")
        told("a message meanwhile", slow)
        server.stop()


if __name__ == "__main__":
    main()
