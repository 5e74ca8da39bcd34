"""What does keeping every decision as an event cost those who ask?

usage: python3 benches/keeping.py [--rounds 40] [--block 100] [--zhida FILE] [-- MORE SERVE FLAGS]

Starts three `zhida serve` over one data directory with the demo: one that keeps events, and two with --read-only, which
keep none. Each is asked the same --block questions, one after the other by one client, in an order that turns with every
round; that is repeated --rounds times, with generation 2 and with generation 1 alone, which is quicker, so that keeping weighs
more. No question comes twice at a server, so nothing is answered from a memory. Says the p50 and p95 of each, and the
change of the p50 with a 95 % interval (bootstrap over the rounds, of the median of the rounds' changes): of the one that keeps
events against the first that does not, and of the two that do not against each other, which is what chance and the
machine do. What else a server does that may write is in the first figure too, so it is an upper bound. Also checks that
the one kept all of its decisions and the others none. Needs Python 3.9; exits 1 when the interval lies above 5 %."""
import argparse, http.client, json, os, random, re, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOAL = 0.05


class Server:
    def __init__(self, binary, data, log, *flags):
        self.log = open(log, "w+")
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", data, *flags]
        self.process = subprocess.Popen(command, stderr=self.log, env={**os.environ, "RUST_LOG": "warn,zhida=warn"})
        until = time.monotonic() + 180
        while not (found := re.search(r"listening on http://([\d.]+):(\d+)", open(log).read())):
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit("the server does not start:\n" + open(log).read()[-2000:])
            time.sleep(0.1)
        self.connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=60)

    def ask(self, body):
        """Seconds until the whole reply is there."""
        data = json.dumps(body, ensure_ascii=False).encode()
        start = time.perf_counter()
        self.connection.request("POST", "/v1/answer", data, {"content-type": "application/json"})
        reply = self.connection.getresponse()
        reply.read()
        took = time.perf_counter() - start
        if reply.status != 200:
            sys.exit(f"{reply.status} for {body}")
        return took

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def kept(data):
    """Decisions in the segments of a data directory."""
    count = 0
    for folder, _, files in os.walk(os.path.join(data, "events")):
        for name in files:
            if name.endswith(".seg"):
                with open(os.path.join(folder, name), "rb") as lines:
                    count += sum(b'"decision"' in line for line in lines)
    return count


def interval(changes, dice):
    draws = sorted(statistics.median(dice.choices(changes, k=len(changes))) for _ in range(2000))
    return draws[50], draws[1949]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zhida", default=f"{ROOT}/target/release/zhida")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--block", type=int, default=100)
    parser.add_argument("more", nargs="*", help="further flags of `zhida serve`, behind --")
    asked = parser.parse_args()
    with open(f"{ROOT}/corpora/shop.queries.jsonl", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines if line.strip()]
    dice = random.Random(5)
    names = ["keeps events", "keeps none", "keeps none, too"]
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        servers = []
        try:
            servers.append(Server(asked.zhida, data, os.path.join(folder, "log0"), *asked.more))
            for number in (1, 2):
                servers.append(Server(asked.zhida, data, os.path.join(folder, f"log{number}"), "--read-only", *asked.more))
            print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; {asked.rounds} rounds of {asked.block} questions")
            print("| generation | server | p50 ms | p95 ms | change of the p50 |\n| --- | --- | --- | --- | --- |")
            sent, worst = 0, -1.0
            for generation in (2, 1):
                took = [[] for _ in servers]
                for turn in range(-2, asked.rounds):
                    block = [{"text": f"{dice.choice(texts)}{dice.randrange(10**9)}", "generation": generation} for _ in range(asked.block)]
                    sent += len(block)
                    rows = {}
                    for place in range(3):
                        at = (turn + place) % 3
                        rows[at] = [servers[at].ask(body) for body in block]
                    # The first rounds warm up.
                    if turn >= 0:
                        for at, row in rows.items():
                            took[at].append(row)
                changes = lambda one, other: [statistics.median(a) / statistics.median(b) - 1 for a, b in zip(took[one], took[other])]
                for at, name in enumerate(names):
                    every = sorted(one for row in took[at] for one in row)
                    against = {0: 1, 2: 1}.get(at)
                    told = "–"
                    if against is not None:
                        own = changes(at, against)
                        low, high = interval(own, dice)
                        told = f"{100 * statistics.median(own):+.1f} % ({100 * low:+.1f} to {100 * high:+.1f})"
                        worst = max(worst, low) if at == 0 else worst
                    print(f"| {generation} | {name} | {1000 * every[len(every) // 2]:.2f} | {1000 * every[int(len(every) * 0.95)]:.2f} | {told} |", flush=True)
            # The first start asks nothing of itself; every decision of the one server is there, and no other.
            found = kept(data)
        finally:
            for server in servers:
                server.stop()
    print(f"{found} decisions were kept of {sent}; load {os.getloadavg()[0]:.1f}")
    if found != sent or worst > GOAL:
        sys.exit(f"decisions kept: {found} of {sent}; the change of the p50 is at least {100 * worst:.1f} %")


if __name__ == "__main__":
    main()
