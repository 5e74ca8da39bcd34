"""Can the nodes of an installation be replaced one by one, and back, while everybody works?

usage: python3 tests/cluster/upgrade.py [--short] [--shared] OLD NEW

Two nodes of the binary OLD share PostgreSQL and the releases behind HAProxy; the binary NEW
may know steps of the tables that OLD does not. Authors edit, customers ask and talk, agents
claim. One node after the other gets SIGTERM and is started again as NEW; in between both
versions run side by side, and each must serve at once what the other one's authors write.
No client may see a 5xx, and nothing that was acknowledged may be lost.

Then the way back: a node is stopped and started as OLD again. Where OLD goes on with tables
that were only added to, both versions must work side by side once more. Where it refuses
them, it must say what to do, the nodes that run must not be harmed, and NEW is started again.

--shared: the knowledge base is held by one node, and the other sends on what is asked.
--short: both versions run side by side for a moment only, as after every change of the code."""

import argparse
import collections
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from cluster import HOURS, KB, end, running, wait
from work import Asking, Work, verify_asking

# Questions a second: on a machine of two cores that does everything at once.
RATE = 20
# How long both versions run side by side, in seconds, and in the short form.
BESIDE, SHORT = 4.0, 0.5


def crosswise(cluster, rounds=6):
    """How long an edit at each node takes to be served by the other, in seconds at most."""
    longest = 0.0
    for number in range(rounds):
        here, there = (cluster.nodes[(number + step) % 2].client() for step in (0, 1))
        text = f"第{number}次{random.random()}。"
        entry = {"id": "hours", "question": "几点上班", "similar": ["客服几点开始上班"], "answer": text}
        status, _, told = here.call("PUT", f"/v1/kbs/{KB}/entries/hours", entry, if_match="*")
        assert status == 200, (status, told)
        longest = max(longest, wait(lambda: there.call("POST", "/v1/answer", HOURS)[2]["answer"]["text"] == text, "an edit does not arrive", 10))
    return longest


def version(cluster, node):
    return node.client().call("GET", "/v1/health")[2].get("version", "?")


def steps(cluster):
    """The last step of each schema's tables."""
    schemas = cluster.postgres.sql("SELECT table_schema FROM information_schema.tables WHERE table_name = '__diesel_schema_migrations' ORDER BY 1", "zhida").split()
    last = lambda schema: cluster.postgres.sql(f"SELECT max(version)::bigint FROM {schema}.__diesel_schema_migrations", "zhida")
    return {schema.removeprefix("zhida_"): int(last(schema)) for schema in schemas}


def replace(node, binary):
    """Stops a node well and starts it as another binary: how long the one and the other took."""
    began = time.monotonic()
    node.server.stop()
    stopped = time.monotonic() - began
    node.binary = binary
    return stopped, node.start()


def check(cluster, old, new, beside):
    before = steps(cluster)
    asking = Asking(cluster, threads=2)
    asking.begin(RATE)
    work = Work(cluster, 10**9)
    threads = work.run()
    time.sleep(1.0)
    print(f"both nodes are {version(cluster, cluster.nodes[0])}; the tables are at {before}")
    for node in cluster.nodes:
        stopped, started = replace(node, new)
        after = steps(cluster)
        longest = crosswise(cluster)
        time.sleep(beside)
        print(f"node {node.number} was replaced: it ended {stopped:.1f} s after SIGTERM and answered {started:.1f} s after its start; tables at {after}; "
              f"edits at each node were served by the other within {longest * 1000:.0f} ms")
    print("with a step that the old one does not know" if any(after[schema] != step for schema, step in before.items()) else "the new one knows no step that the old one does not")
    back = cluster.nodes[0]
    back.server.stop()
    back.binary = old
    try:
        back.start()
        longest = crosswise(cluster)
        time.sleep(beside)
        print(f"the way back: the old one goes on with the newer tables; edits were served by the other within {longest * 1000:.0f} ms")
        back.server.stop()
    except SystemExit as refused:
        words = [line for line in str(refused).splitlines() if "newer zhida" in line]
        assert words, f"the old one does not start and does not say why: {refused}"
        assert cluster.front().call("POST", "/v1/answer", HOURS)[0] == 200, "the node that runs was harmed"
        print(f"the way back: the old one does not start: {words[0].strip()}")
    back.binary = new
    back.start()
    with work.lock:
        work.left = 0
    for thread in threads:
        thread.join()
    asking.end()
    faults, revisions = work.verify(cluster.nodes[1].client())
    # Before the table of counts there was one, a node that ended forgot what it had counted in its last second.
    forgotten = 0 if before["access"] >= 3 else 2 * 2 * RATE
    more, told = verify_asking(cluster, asking, forgotten=forgotten)
    messages = sum(len(said) for said in work.said.values())
    seen = collections.Counter({f"answer {status}": number for status, number in asking.failed.items()}) + work.failed
    print(f"{len(work.edits)} edits, {len(work.reads)} reads, {messages} messages, {len(work.claims)} claims acknowledged; {revisions} revisions; not acknowledged: {dict(seen)}")
    print(told)
    faults += more + [f"clients saw {what} {number} times" for what, number in seen.items() if what.split()[-1][0] == "5" or what.endswith(" 0")]
    end(faults)
    print("nothing that was acknowledged was lost, and no client saw a 5xx")


def main():
    told = argparse.ArgumentParser(usage="upgrade.py [--short] [--shared] OLD NEW")
    told.add_argument("--short", action="store_true")
    told.add_argument("--shared", action="store_true")
    told.add_argument("binaries", nargs=2, type=pathlib.Path)
    args = told.parse_args()
    old, new = (str(path.resolve()) for path in args.binaries)
    with running(old, "zhida-upgrade-", nodes=2, is_shared=args.shared, in_folder=True) as cluster:
        if cluster:
            cluster.begin()
            check(cluster, old, new, SHORT if args.short else BESIDE)


if __name__ == "__main__":
    main()
