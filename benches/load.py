"""What does a server bear, and what becomes of it when there is more?

usage: python3 benches/load.py [--seconds 60] [--soak 900] [--rate N] [--zhida FILE] [-- MORE SERVE FLAGS]
       python3 benches/load.py --short                       for CI: under a minute, and it fails when something is wrong

Starts `zhida serve` with the demo on a free port and an empty data directory, finds how many questions a second it
answers (its capacity), and then sends 1, 2 and 10 times as many for --seconds each. Meanwhile an author edits, a probe
asks for /healthz, and an agent looks at the queue of handoffs: an overload must not take them along. Then 500 slow
clients, 2,000 idle connections and 200 half-sent bodies; with --soak, half of the capacity for so many seconds, with
memory and descriptors at both ends; last SIGTERM, after which whatever was accepted must still be replied to.

Arrivals are open-loop: they come at random moments (Poisson) whether or not earlier ones were answered, and a latency
counts from the moment at which the request was due, not from when a connection was free (so there is no coordinated
omission). wrk and hey, which Debian has, are closed-loop, and vegeta and oha come from no package registry here; hence
a sender of our own, load/sender.rs, which rustc compiles at the first run. It runs on the same machine as the server and
takes its share of it, so a machine of its own for each would bear more. Prints one Markdown table."""
import argparse, itertools, json, os, platform, random, re, select, signal, socket, subprocess, sys, tempfile, threading, time
import resource, urllib.error, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONNECTIONS = 800  # of the sender, at most
SEEDS = itertools.count(1)
BEFORE = ["", "请问", "你好，", "想问一下", "麻烦问下", "急，", "我想知道", "老师，", "在吗，", "客服，"]
BEHIND = ["", "呢", "？谢谢", "，在线等", "啊", "，求解答", "？", "，帮我看看", "呀", "，急"]


def questions():
    """Requests in random order: those of the demo's own set, each said in a hundred ways, so that next to none is asked twice."""
    with open(f"{ROOT}/corpora/shop.queries.jsonl", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines if line.strip()]
    texts = [f"{before}{text.rstrip('？?。')}{behind}" for text in texts for before in BEFORE for behind in BEHIND]
    random.Random(1).shuffle(texts)
    return [request("POST", "/v1/answer", {"text": text}) for text in texts]


def request(method, path, body=None, **headers):
    data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(data)}"]
    lines += ["content-type: application/json"] if data else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


class Connection:
    """One request at a time over a socket that does not block."""

    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.read, self.due, self.sent = b"", None, None

    def send(self, due, data):
        self.due, self.sent, self.read = due, time.monotonic(), b""
        try:
            return self.socket.send(data) == len(data)
        except OSError:
            return False

    def receive(self):
        """The status when the response is whole, None when it is not yet, 0 when the connection broke."""
        try:
            more = self.socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return 0
        if not more:
            return 0
        self.read += more
        head = self.read.find(b"\r\n\r\n")
        if head < 0:
            return None
        at = self.read.lower().find(b"content-length:", 0, head)
        length = int(self.read[at + 15 : self.read.find(b"\r\n", at)]) if at >= 0 else 0
        return int(self.read[9:12]) if len(self.read) >= head + 4 + length else None


def sender():
    """The program that sends: compiled once, with nothing but the Rust toolchain."""
    source, program = f"{ROOT}/benches/load/sender.rs", f"{ROOT}/target/load/sender"
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(program), exist_ok=True)
        subprocess.run(["rustc", "-O", "--edition", "2024", source, "-o", program], check=True)
    return program


def load(address, rate, seconds, closed=0):
    """All that was sent in some seconds: (moment, seconds, status, seconds that the sender was late) each, and how many were never replied to."""
    with tempfile.NamedTemporaryFile() as requests:
        for text in questions():
            requests.write(b"%d\n" % len(text) + text)
        requests.flush()
        how = [f"{address[0]}:{address[1]}", str(rate or 1), str(seconds), str(closed or CONNECTIONS), str(next(SEEDS)), "1" if closed else "0", requests.name]
        told = subprocess.run([sender(), *how], check=True, capture_output=True, text=True).stdout
    lines = [tuple(map(float, line.split())) for line in told.splitlines()]
    return sorted((due, took, int(status), late) for due, took, status, late in lines if status), sum(1 for line in lines if not line[2])


def share(values, of):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * of))] if values else float("nan")


class Server:
    def __init__(self, binary, more=()):
        self.folder = tempfile.TemporaryDirectory()
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", f"{self.folder.name}/data", *more]
        self.log = open(f"{self.folder.name}/log", "w+")
        environment = {**os.environ, "RUST_LOG": "warn,zhida=warn"}
        self.process = subprocess.Popen(command, stderr=self.log, env=environment)
        until = time.monotonic() + 120
        while True:
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit("the server does not start:\n" + open(self.log.name).read()[-2000:])
            found = re.search(r"listening on http://([\d.]+):(\d+)", open(self.log.name).read())
            if found:
                break
            time.sleep(0.1)
        self.address = (found[1], int(found[2]))

    def call(self, method, path, body=None, headers=None, timeout=30):
        data = None if body is None else json.dumps(body).encode()
        url = f"http://{self.address[0]}:{self.address[1]}{path}"
        asked = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=timeout) as got:
                return got.status, json.loads(got.read() or b"null") if "metrics" not in path else got.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError as failed:
            return 0, str(failed)

    def memory(self):
        """Resident bytes in MiB, and open descriptors."""
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Sideline(threading.Thread):
    """Authors, probes and agents beside the customers, and the memory that it all takes."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.over, self.took, self.wrong, self.peak = server, False, {}, [], 0.0
        self.edits, self.curve, self.began = 0, [], time.monotonic()

    def one(self, name, *call, ok=(200,)):
        start = time.monotonic()
        status, body = self.server.call(*call)
        self.took.setdefault(name, []).append(time.monotonic() - start)
        if status not in ok:
            self.wrong.append(f"{name}: {status} {str(body)[:200]}")
        return body

    def run(self):
        while not self.over:
            self.one("health", "GET", "/healthz")
            self.one("queue", "GET", "/v1/handoffs?state=waiting")
            page = self.one("author", "GET", "/v1/kbs/demo/entries?limit=1")
            if isinstance(page, dict):
                stored = page["items"][0]
                entry = {**stored["entry"], "answer": f"{stored['entry']['answer'].split('〔')[0]}〔{self.edits}〕"}
                path = f"/v1/kbs/demo/entries/{entry['id']}"
                self.one("edit", "PUT", path, entry, {"if-match": stored["etag"]}, ok=(200,))
                self.edits += 1
            now = self.server.memory()[0]
            self.peak = max(self.peak, now)
            if time.monotonic() - self.began >= 60 * len(self.curve):
                self.curve.append(round(now))
            time.sleep(0.2)

    def stop(self):
        self.over = True
        self.join()
        return self


def recovery(server, calm):
    """Seconds until ten questions in a row are answered as in calm: in four times its p99, or 50 ms."""
    start, well = time.monotonic(), 0
    while well < 10:
        if time.monotonic() - start > 60:
            return float("inf")
        asked = time.monotonic()
        status, _ = server.call("POST", "/v1/answer", {"text": "发票怎么开"})
        well = well + 1 if status == 200 and time.monotonic() - asked < max(4 * calm, 0.05) else 0
        time.sleep(0.02)
    return time.monotonic() - start


def phase(server, name, rate, seconds, calm):
    side = Sideline(server)
    side.start()
    done, lost = load(server.address, rate, seconds)
    back = recovery(server, calm)
    side.stop()
    good = [took for _, took, status, _ in done if status == 200]
    refused = sum(1 for _, _, status, _ in done if status == 429)
    other = [status for _, _, status, _ in done if status not in (200, 429)]
    return {
        "load": name, "sent": (len(done) + lost) / seconds, "answered": len(good) / seconds,
        "p50": share(good, 0.5), "p99": share(good, 0.99), "refused": refused / max(1, len(done) + lost),
        "late": share([late for *_, late in done], 0.99), "failed": len(other) + lost, "5xx": sum(1 for status in other if status >= 500), "memory": side.peak, "back": back,
        "edit": share(side.took.get("edit", []), 0.99), "health": share(side.took.get("health", []), 0.99),
        "queue": share(side.took.get("queue", []), 0.99), "wrong": side.wrong, "edits": side.edits, "curve": side.curve,
    }


def crowd(server, slow, idle, half, seconds):
    """Connections that keep a server busy with nothing; what it does meanwhile, and how many it has closed."""
    held = []

    def hold(count, first):
        made = 0
        for _ in range(count):
            try:
                one = socket.create_connection(server.address, timeout=5)
                one.sendall(first)
                one.setblocking(False)
            except OSError:
                continue
            held.append((first, one))
            made += 1
        return made

    before = server.memory()[0]
    counts = hold(idle, b""), hold(half, request("POST", "/v1/answer", {"text": "半" * 300})[:-400]), hold(slow, b"GET /he")
    side = Sideline(server)
    side.start()
    took, failed, start = [], 0, time.monotonic()
    while time.monotonic() - start < seconds:
        # The slow ones send one more byte of a header a second.
        for first, one in held:
            if first == b"GET /he":
                try:
                    one.send(b"x")
                except OSError:
                    pass
        beat = time.monotonic()
        while time.monotonic() - beat < 1:
            asked = time.monotonic()
            status, _ = server.call("POST", "/v1/answer", {"text": "发票怎么开"})
            took.append(time.monotonic() - asked)
            failed += status != 200
            time.sleep(0.05)
    side.stop()
    closed = {b"": 0}
    for first, one in held:
        try:
            while one.recv(4096):
                pass
            gone = True
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        closed[first] = closed.get(first, 0) + gone
        one.close()
    time.sleep(2)
    after = server.memory()
    return {"counts": counts, "p50": share(took, 0.5), "p99": share(took, 0.99), "failed": failed, "closed": sum(closed.values()),
            "memory": side.peak, "before": before, "after": after[0], "descriptors": after[1], "wrong": side.wrong}


def farewell(server, count):
    """SIGTERM while requests wait: how many of those that were accepted were replied to, and how it ended."""
    batch = request("POST", "/v1/answer/batch", {"items": [{"text": f"第{n}次退货运费谁出"} for n in range(64)]})
    open_ = [Connection(server.address) for _ in range(count)]
    sent = [one for one in open_ if one.send(0, batch)]
    until = time.monotonic() + 5
    while time.monotonic() < until:
        text = server.call("GET", "/metrics")[1]
        numbers = re.findall(r'zhida_(?:in_flight|waiting)\{pool="questions"\} ([\d.]+)', text)
        ready = len(select.select([one.socket for one in sent], [], [], 0)[0])
        if sum(map(float, numbers)) + ready >= len(sent):
            break
        time.sleep(0.005)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    statuses = []
    for one in sent:
        status = None
        while status is None and time.monotonic() - start < 30:
            select.select([one.socket], [], [], 1)
            status = one.receive()
        statuses.append(status or 0)
    code = server.process.wait(30)
    return {"accepted": len(sent), "replied": sum(1 for status in statuses if status), "code": code, "took": time.monotonic() - start,
            "statuses": {status: statuses.count(status) for status in sorted(set(statuses))}}


def processor():
    names = re.findall(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read()) if os.path.exists("/proc/cpuinfo") else []
    return names[0] if names else platform.processor()


def milliseconds(seconds):
    return f"{1000 * seconds:.0f}" if seconds >= 0.01 else f"{1000 * seconds:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zhida", default=f"{ROOT}/target/release/zhida")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--soak", type=float, default=0)
    parser.add_argument("--rate", type=float, help="take this for the capacity, in questions a second")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("more", nargs="*", help="further flags of `zhida serve`, behind --")
    asked = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    seconds = 5 if asked.short else asked.seconds
    server = Server(asked.zhida, asked.more)
    version = server.call("GET", "/healthz")[1]["version"]
    faults = []
    try:
        # As many clients as keep every permit busy, and few enough that none is turned away.
        cores = os.cpu_count() or 1
        load(server.address, 0, 2, closed=2 * cores)
        done, _ = load(server.address, 0, 3 if asked.short else 10, closed=2 * cores)
        capacity = asked.rate or sum(1 for _, _, status, _ in done if status == 200) / (3 if asked.short else 10)
        calm, _ = load(server.address, max(5, capacity / 10), 2 if asked.short else 5)
        calm = share([took for _, took, *_ in calm], 0.99)
        rest = server.memory()
        rows = []
        for times in (1, 10) if asked.short else (1, 2, 10):
            rows.append(phase(server, f"{times}×", capacity * times, seconds, calm))
        crowded = crowd(server, *((100, 300, 50, 4) if asked.short else (500, 2000, 200, 30)))
        soaked = None
        if asked.soak:
            first = server.memory()
            soaked = phase(server, f"soak, {asked.soak:.0f} s", capacity / 2, asked.soak, calm)
            soaked["ends"] = first, server.memory()
            rows.append(soaked)
        left = farewell(server, 8 if asked.short else 24)
    finally:
        if server.process.poll() is None:
            server.process.kill()
    print(f"zhida {version}, {processor()}, {cores} cores (the senders' too); capacity {capacity:.0f} questions a second; at rest {rest[0]:.0f} MiB, {rest[1]} descriptors\n")
    head = ["load", "sent /s", "answered /s", "p50 ms", "p99 ms", "sender late p99 ms", "refused", "other failures", "memory MiB", "recovered in s", "edit p99 ms", "health p99 ms", "queue p99 ms"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for row in rows:
        cells = [row["load"], f"{row['sent']:.0f}", f"{row['answered']:.0f}", milliseconds(row["p50"]), milliseconds(row["p99"]), milliseconds(row["late"]), f"{100 * row['refused']:.1f} %",
                 str(row["failed"]), f"{row['memory']:.0f}", f"{row['back']:.1f}", milliseconds(row["edit"]), milliseconds(row["health"]), milliseconds(row["queue"])]
        print("| " + " | ".join(cells) + " |")
        faults += [f"{row['load']}: {fault}" for fault in row["wrong"][:5]]
        if row["5xx"] or row["failed"] > 0.001 * row["sent"] * seconds:
            faults.append(f"{row['load']}: {row['5xx']} replies are 5xx, {row['failed']} are neither answers nor refusals")
        if row["back"] > 5:
            faults.append(f"{row['load']}: recovered in {row['back']:.1f} s")
        if row["edits"] < 1:
            faults.append(f"{row['load']}: no edit came through")
        if row["memory"] > 2 * rest[0] + 256:
            faults.append(f"{row['load']}: {row['memory']:.0f} MiB after {rest[0]:.0f} MiB")
    idle, half, slow = crowded["counts"]
    print(f"\n{slow} slow clients, {idle} idle connections and {half} half-sent bodies: answers p50 {milliseconds(crowded['p50'])} ms, p99 {milliseconds(crowded['p99'])} ms, "
          f"{crowded['failed']} failed; {crowded['before']:.0f} → {crowded['memory']:.0f} MiB, afterwards {crowded['after']:.0f} MiB and {crowded['descriptors']} descriptors; {crowded['closed']} were closed by the server.")
    faults += [f"crowd: {fault}" for fault in crowded["wrong"][:5]]
    if crowded["failed"] or crowded["descriptors"] > rest[1] + 100:
        faults.append(f"crowd: {crowded['failed']} questions failed, {crowded['descriptors']} descriptors stayed open")
    if soaked:
        (m0, d0), (m1, d1) = soaked["ends"]
        print(f"Soak: {m0:.0f} → {m1:.0f} MiB, {d0} → {d1} descriptors, {soaked['edits']} edits; MiB minute by minute: {' '.join(map(str, soaked['curve']))}.")
    print(f"SIGTERM: {left['replied']} of {left['accepted']} accepted requests were replied to ({left['statuses']}); exit {left['code']} after {left['took']:.1f} s.")
    if left["replied"] != left["accepted"] or left["code"] != 0:
        faults.append(f"SIGTERM: {left}")
    for fault in faults:
        print("fault:", fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
