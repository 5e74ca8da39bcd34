"""What does encryption cost: of a client, of PostgreSQL, of one node that sends a question on to another?

usage: python3 benches/tls.py [--rounds 40] [--block 50] [--zhida FILE]        after `cargo build --release`

Starts what is compared at the same time, and asks each the same number of questions of corpora/, none twice at a server, one after the
other by one client, in an order that turns with every round:

- one server in the clear and one with --tls-cert, over a connection that is kept, and with a new connection for every question;
- messages of conversations with the records on one PostgreSQL: through its socket, over TCP, and over TCP with sslmode=verify-full;
- two nodes that speak to each other in the clear, and two that do not: a question that the asked node holds and one that it sends on.

Prints the p50 of each and the change with a 95 % interval (bootstrap over the rounds, of the median of the rounds' differences).
Everything is on this machine, so no network adds to it. Needs Python 3.9 and PostgreSQL from Debian (without it the last two are
left out, which it says)."""
import argparse, http.client, itertools, json, os, pathlib, random, ssl, statistics, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests")]
from checking import TLS, Postgres, Server, free_port
from keeping import interval
from load import processor

TRUST = ssl.create_default_context(cafile=str(TLS / "one.crt"))
ENCRYPTED = ["--tls-cert", str(TLS / "one.crt"), "--tls-key", str(TLS / "one.key")]
TEXTS = [json.loads(line)["text"] for line in open(ROOT / "corpora/shop.queries.jsonl", encoding="utf-8")]
NUMBERS = itertools.count()
DICE = random.Random(5)


class Asked:
    """A server that one client asks; `fresh` opens a connection for each question, `talks` makes it a message of a conversation."""

    def __init__(self, server, fresh=False, talks=False):
        self.place, self.is_encrypted = server.address.split("//")[1], server.address.startswith("https")
        self.fresh, self.talks, self.connection = fresh, talks, None

    def ask(self):
        """Seconds until the whole reply is there."""
        number = next(NUMBERS)
        body = {"text": f"{DICE.choice(TEXTS)}{number}", **({"session": f"c{number // 20}"} if self.talks else {})}
        data, start = json.dumps(body, ensure_ascii=False).encode(), time.perf_counter()
        if self.connection is None:
            port = int(self.place.split(":")[-1])
            self.connection = http.client.HTTPSConnection("localhost", port, context=TRUST) if self.is_encrypted else http.client.HTTPConnection("127.0.0.1", port)
        self.connection.request("POST", "/v1/answer", data, {"content-type": "application/json"})
        reply = self.connection.getresponse()
        told = reply.read()
        if self.fresh:
            self.connection.close()
            self.connection = None
        if reply.status != 200:
            sys.exit(f"{reply.status}: {told.decode()}")
        return time.perf_counter() - start


def compared(what, arms, rounds, block):
    """Rows of arms, each told against one that is named."""
    took = {name: [] for name in arms}
    for turn in range(-2, rounds):
        names = list(arms)
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            row = statistics.median(arms[name][0].ask() for _ in range(block))
            # The first rounds warm up.
            if turn >= 0:
                took[name].append(1e3 * row)
    for name, (_, against) in arms.items():
        told = "–"
        if against:
            own = [one - other for one, other in zip(took[name], took[against])]
            low, high = interval(own, DICE)
            told = f"{statistics.median(own):+.2f} ms ({low:+.2f} to {high:+.2f}) against {against}"
        print(f"| {what} | {name} | {statistics.median(took[name]):.2f} | {told} |", flush=True)


def sends_on(first, second):
    """Of two nodes the one that holds what is asked, and the other one, which sends it on."""
    def sent(server):
        asked = Asked(server)
        asked.ask()
        asked.connection.request("GET", "/metrics")
        lines = asked.connection.getresponse().read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("zhida_sent_on_total"))
    until = time.monotonic() + 60
    while True:
        senders = [server for server in (first, second) if sent(server) > 0]
        if len(senders) == 1:
            return (first if senders[0] is second else second), senders[0]
        if time.monotonic() > until:
            sys.exit(f"{len(senders)} of two nodes send on what they are asked")
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zhida", default=str(ROOT / "target/release/zhida"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--block", type=int, default=50)
    given = parser.parse_args()
    running = []

    def server(data, *options, **environment):
        running.append(Server(given.zhida, data, *options, "--log", "json", RUST_LOG="warn", **environment))
        return running[-1]

    def node(data, port, *options, **environment):
        encrypted = bool(options)
        url = f"{'https://localhost' if encrypted else 'http://127.0.0.1'}:{port}"
        running.append(Server(given.zhida, data, "--node-url", url, "--replicas", "1", *options, "--log", "json",
                              listen=f"127.0.0.1:{port}", RUST_LOG="warn", **environment))
        return running[-1]

    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {given.rounds} rounds of {given.block} questions\n")
    print("| | | p50 ms | change |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="zhida-tls-") as name:
        folder, postgres = pathlib.Path(name), None
        try:
            clear, encrypted = server(folder / "clear"), server(folder / "encrypted", *ENCRYPTED)
            compared("a client", {
                "in the clear": (Asked(clear), None),
                "encrypted": (Asked(encrypted), "in the clear"),
                "in the clear, a new connection each": (Asked(clear, fresh=True), None),
                "encrypted, a new connection each": (Asked(encrypted, fresh=True), "in the clear, a new connection each"),
            }, given.rounds, given.block)
            port = free_port()
            postgres = Postgres.start(folder, port)
            if postgres is None:
                return print("skipped: without PostgreSQL nothing is said of it and of nodes")
            for base in ("socket", "tcp", "tls", "nodes", "secret"):
                postgres.sql(f"CREATE DATABASE {base}")
            tcp = f"postgres://zhida@localhost:{port}/"
            safe = f"?sslmode=verify-full&sslrootcert={TLS / 'one.crt'}"
            talk = {where: Asked(server(folder / where, ZHIDA_DATABASE=url), talks=True)
                    for where, url in (("socket", postgres.address("socket")), ("tcp", f"{tcp}tcp"), ("tls", f"{tcp}tls{safe}"))}
            compared("messages, PostgreSQL", {
                "by its socket": (talk["socket"], None),
                "by TCP": (talk["tcp"], "by its socket"),
                "by TCP, encrypted": (talk["tls"], "by TCP"),
            }, given.rounds, given.block)
            here = lambda base: {"ZHIDA_DATABASE": postgres.address(base)}
            open_nodes = [node(folder / f"open{number}", free_port(), **here("nodes")) for number in (1, 2)]
            safe_nodes = [node(folder / f"safe{number}", free_port(), *ENCRYPTED, "--node-ca", str(TLS / "one.crt"), **here("secret")) for number in (1, 2)]
            (holds, sends), (holds_safely, sends_safely) = sends_on(*open_nodes), sends_on(*safe_nodes)
            compared("two nodes", {
                "in the clear, held": (Asked(holds), None),
                "in the clear, sent on": (Asked(sends), "in the clear, held"),
                "encrypted, held": (Asked(holds_safely), None),
                "encrypted, sent on": (Asked(sends_safely), "encrypted, held"),
            }, given.rounds, given.block)
        finally:
            for one in running:
                one.process.kill()
                one.process.wait()
            if postgres:
                postgres.down("immediate")


if __name__ == "__main__":
    main()
