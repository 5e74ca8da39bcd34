"""How long does publishing take, and how much memory, as a knowledge base grows?

usage: python3 benches/publish.py [N ...]        after `cargo build --release`; without N: 1000 10000 100000

Makes a knowledge base of N phrasings from those in corpora/ (as benches/pipeline.rs does), and with a data directory in a
temporary folder: imports it, publishes it, publishes it again with one entry changed, rolls back, and asks the server. Times are
wall times, memory is the peak of the process (VmHWM). Needs Python 3.9 and Linux, nothing else."""
import json, os, re, signal, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ZHIDA = os.path.join(ROOT, "target/release/zhida")
PLACES = {"shop": "（商城）", "bank": "（银行）", "telecom": "（通讯）"}


def entries(n):
    count, r = 0, 0
    base = {k: [json.loads(l) for l in open(f"{ROOT}/corpora/{k}.kb.jsonl", encoding="utf-8")] for k in PLACES}
    while True:
        for name, kb in base.items():
            for e in kb:
                p = [e["question"]] + e["similar"]
                if r == 0:
                    p = [t + PLACES[name] for t in p]
                else:
                    p = [f"{name}{r} {a}，{b}" for a, b in zip(p, p[1:] + p[:1])]
                p = p[: n - count]
                if not p:
                    return
                count += len(p)
                yield {"id": f"{name}-{r}-{e['id']}", "question": p[0], "similar": p[1:], "answer": e["answer"]}
        r += 1


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


sizes = [int(a) for a in sys.argv[1:]] or [1_000, 10_000, 100_000]
print("| phrasings | import s | publish s | MiB | again, one entry changed s | rollback ms | start to first answer s | answer p50 ms | p99 ms | server MiB |")
print("|" + " --- |" * 10)
for n in sizes:
    with tempfile.TemporaryDirectory() as d:
        data, file, kb = f"{d}/data", f"{d}/kb.jsonl", "bench"
        rows = list(entries(n))
        write = lambda: open(file, "w", encoding="utf-8").write("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in rows))
        write()
        place = ["--data", data, "--kb", kb]
        imported, _, _ = run("kb", "import", *place, file)
        first, peak, _ = run("kb", "publish", *place)
        rows[0]["similar"] = rows[0]["similar"] + ["这是新加的一个说法"]
        write()
        run("kb", "import", *place, file)
        again, _, _ = run("kb", "publish", *place)
        told = run("kb", "rollback", *place, "1")[2]
        back = float(re.search(r"([\d.]+) ms", told).group(1))
        opened, _, p50, p99, memory = served(data, kb)
        print(f"| {n:,} | {imported:.1f} | {first:.1f} | {peak:.0f} | {again:.1f} | {back:.1f} | {opened:.1f} | {p50:.1f} | {p99:.1f} | {memory:.0f} |", flush=True)
