"""How long does publishing take, and how much memory, as a knowledge base grows?

usage: python3 benches/publish.py [--keep FOLDER] [N ...]        after `cargo build --release`; without N: 1000 10000 100000

Makes a knowledge base of N phrasings, up to 2.4 million, from those in corpora/: the questions of a chain of shops, banks and so on,
asked of one branch after the other. With a data directory in a temporary folder: imports it, publishes it, publishes it again with one
entry changed, rolls back, and asks the server. Times are wall times, memory is the peak of the process (VmHWM). With --keep the data
directories stay; `cargo bench --bench large -- FOLDER/N/kbs/bench/releases/1` then says what the links between vectors cost
in recall and in decisions, and what they save. Needs Python 3.9 and Linux, nothing else."""
import json, os, re, signal, socket, subprocess, sys, tempfile, time, urllib.request, zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ZHIDA = os.path.join(ROOT, "target/release/zhida")
# Branches of a chain, each with answers of its own: what a knowledge base of millions of phrasings is made of.
CITIES = "北京 上海 广州 深圳 杭州 南京 苏州 成都 重庆 武汉 长沙 西安 郑州 青岛 济南 天津 沈阳 大连 厦门 福州 合肥 昆明 南宁 贵阳 太原 兰州 宁波 无锡 佛山 东莞".split()
ROADS = "中山路 人民路 解放路 建设路 和平街 长江路 黄河路 新华街 文化路 朝阳街 学院路 花园路 光明街 胜利路 友谊街 春风路 湖滨路 江南道 龙泉路 金桥街".split()
TRADES = {"shop": "店", "bank": "支行", "telecom": "营业厅", "travel": "门市", "hospital": "院区"}
BEFORE = ["", "请问", "你好，", "想问一下", "", "麻烦问下", "急，", "", "我想知道", "老师，"]
BEHIND = ["", "呢", "", "？谢谢", "，在线等", "", "啊", "，求解答", "？", "，帮我看看"]


def entries(n):
    """Entries with n phrasings: those of corpora/, then each once more for every branch, said in other ways."""
    count = 0
    base = {k: [json.loads(l) for l in open(f"{ROOT}/corpora/{k}.kb.jsonl", encoding="utf-8")] for k in TRADES}
    for r in range(1 + len(CITIES) * len(ROADS)):
        for trade, kb in base.items():
            branch = "" if r == 0 else CITIES[r % len(CITIES)] + ROADS[r * 7 // len(CITIES) % len(ROADS)] + TRADES[trade]
            for e in kb:
                p = [e["question"]] + e["similar"]
                for i, t in enumerate(p):
                    # Numbers without a pattern that are the same everywhere.
                    d = zlib.crc32(f"{r} {t}".encode())
                    if r == 0:
                        p[i] = f"{t}（{TRADES[trade]}）"
                    elif d % 3 == 0:
                        p[i] = f"{BEFORE[d // 3 % 10]}{t.rstrip('？?。')}，{branch}{BEHIND[d // 30 % 10]}"
                    else:
                        p[i] = f"{BEFORE[d // 3 % 10]}{branch}{t.rstrip('？?。')}{BEHIND[d // 30 % 10]}"
                p = list(dict.fromkeys(p))[: n - count]
                if not p:
                    return
                count += len(p)
                yield {"id": f"{trade}-{r}-{e['id']}", "question": p[0], "similar": p[1:], "answer": f"{branch}{e['answer']}"}


def run(*args):
    """Wall seconds, peak MiB and the output of a command."""
    start = time.time()
    p = subprocess.Popen([ZHIDA, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0
    while p.poll() is None:
        try:
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{p.pid}/status").read()).group(1)))
        except (OSError, AttributeError):
            pass
        time.sleep(0.02)
    out, err = p.communicate()
    if p.returncode:
        sys.exit(f"{' '.join(args)}: {err}")
    return time.time() - start, peak / 1024, out + err


def served(data, kb):
    """Seconds until the first answer, its time and that of the next ones in ms, and the server's memory in MiB."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    start = time.time()
    p = subprocess.Popen([ZHIDA, "serve", "--data", data, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(text):
        body = json.dumps({"kb": kb, "text": text}).encode()
        r = urllib.request.Request(f"http://127.0.0.1:{port}/v1/answer", body, {"content-type": "application/json"})
        t = time.time()
        urllib.request.urlopen(r).read()
        return (time.time() - t) * 1e3

    try:
        while True:
            try:
                first = ask("东西不想要了还能退吗")
                break
            except OSError:
                if p.poll() is not None:
                    sys.exit("the server does not start")
                time.sleep(0.05)
        opened = time.time() - start
        more = sorted(ask(f"{q}{i}") for i, q in enumerate(["卡丢了怎么办", "话费什么时候到账", "发票抬头写错了", "多久能发货"] * 25))
        memory = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p.pid}/status").read()).group(1)) / 1024
        return opened, first, more[len(more) // 2], more[int(len(more) * 0.99)], memory
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait()


def size_of(folder):
    """MiB of all files below a folder."""
    return sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(folder) for f in files) / (1 << 20)


def main():
    given = sys.argv[1:]
    keep = None
    if given[:1] == ["--keep"]:
        keep, given = os.path.abspath(given[1]), given[2:]
    sizes = [int(a) for a in given] or [1_000, 10_000, 100_000]
    print("| phrasings | import s | publish s | MiB | release MiB | again, one entry changed s | MiB | rollback ms | start to first answer s | answer p50 ms | p99 ms | server MiB |")
    print("|" + " --- |" * 12)
    for n in sizes:
        with tempfile.TemporaryDirectory() as d:
            data, file, kb = f"{keep}/{n}" if keep else f"{d}/data", f"{d}/kb.jsonl", "bench"
            rows = list(entries(n))
            write = lambda: open(file, "w", encoding="utf-8").write("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in rows))
            write()
            place = ["--data", data, "--kb", kb]
            imported, _, _ = run("kb", "import", *place, file)
            first, peak, _ = run("kb", "publish", *place)
            rows[0]["similar"] = rows[0]["similar"] + ["这是新加的一个说法"]
            write()
            run("kb", "import", *place, file)
            again, more, _ = run("kb", "publish", *place)
            told = run("kb", "rollback", *place, "1")[2]
            back = float(re.search(r"([\d.]+) ms", told).group(1))
            opened, _, p50, p99, memory = served(data, kb)
            print(f"| {n:,} | {imported:.1f} | {first:.1f} | {peak:.0f} | {size_of(f'{data}/kbs/{kb}/releases/1'):.0f} | {again:.1f} | {more:.0f} | {back:.1f} | {opened:.1f} | {p50:.1f} | {p99:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
