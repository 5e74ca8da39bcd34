"""Do several nodes behave as one, whatever happens to them?

usage: python3 tests/cluster/check.py ZHIDA [OPERATIONS]        (default 2000; 12000 for the long form)

Runs PostgreSQL and HAProxy (Debian's, installed where we may) and three nodes of the binary
ZHIDA, each with a data directory of its own; the second has it on a small file system, the
third is in a network namespace of its own (both for root only; else it says so) and has a
clock that is an hour ahead where libfaketime can be had. Authors edit the same entries
through the balancer, customers talk, agents claim the same handoffs, and others ask at half
the rate that they could be answered at, while a node is killed, the disk of another is full,
the third one's network is cut, and PostgreSQL loses its power. Afterwards:

- every edit that was acknowledged is in the history, once, and the edits of an entry are
  linearizable: each one that was acknowledged follows the revision that its author had seen,
  and one that began after another had ended comes after it. Revisions order the writes of an
  entry, so no search through all orders is needed: that is why the check is our own;
- every read saw a revision that was the last one at some moment while it was under way;
- every message that was acknowledged is in its conversation, once and in order;
- every handoff was claimed by exactly one agent;
- every answer that was acknowledged is in the events of one node, once, except those that a
  node with a full disk has said to lack; and the month's count of the key that asked, which
  its limit is held against, and the usage that every node tells, which invoices are made of,
  are what the events hold: exactly;
- a key that one node revokes is refused by all, an edit at one node is served by all, and no
  node answers from a release that was rolled back more than a second ago.

Prints what it saw, and how long every recovery took; where the programs cannot be had it
says that it skips."""

import json
import pathlib
import random
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from cluster import DRAFT, HOURS, KB, end, fill, running, wait
from work import Asking, Work, verify_asking

FULL = DRAFT[-1]
# In megabytes: a node warns when less than 64 can be written.
SMALL_DISK = 96


def seen_everywhere(cluster, rounds):
    """How long an edit at one node takes to be what the others answer."""
    taken, at_once = [], 0
    for number in range(rounds):
        node = cluster.nodes[number % 3]
        others = [one for one in cluster.nodes if one is not node]
        text = f"早上{number}点{random.random()}。"
        entry = {"id": "hours", "question": "几点上班", "similar": ["客服几点开始上班"], "answer": text}
        status, _, told = node.client().call("PUT", f"/v1/kbs/{KB}/entries/hours", entry, if_match="*")
        assert status == 200, (status, told)
        began = time.monotonic()
        mine = node.client().call("POST", "/v1/answer", HOURS)[2]
        assert mine["answer"]["text"] == text, "the node that was edited answers with what was before"
        wait(lambda: others[1].client().call("POST", "/v1/answer", HOURS)[2]["answer"]["text"] == text, "an edit does not arrive", 10)
        taken.append(time.monotonic() - began)
        # Who says what they have seen gets no less.
        told = others[0].client().call("POST", "/v1/answer", HOURS, zhida_min_release=mine["release"])
        assert told[0] == 200 and told[2]["answer"]["text"] == text, f"a demand for {mine['release']} was answered {told[2]}"
        at_once += 1
    return taken, at_once


def rolled_back(cluster):
    """How long after a rollback's reply a node still answered from what was rolled back."""
    author = cluster.nodes[0].client()
    entry = {"id": "hours", "question": "几点上班", "similar": ["客服几点开始上班"], "answer": "中午十二点。"}
    status, _, told = author.call("PUT", f"/v1/kbs/{KB}/entries/hours?draft=true", entry, if_match="*")
    assert status == 200, told
    status, _, job = author.call("POST", f"/v1/kbs/{KB}/releases", {"force": True}, zhida_reason="to be rolled back")
    assert status == 202, job
    wait(lambda: author.call("GET", f"/v1/jobs/{job['id']}")[2]["state"] != "running", "a publication does not end", 60)
    number = author.call("GET", f"/v1/jobs/{job['id']}")[2]["result"]["release"]
    clients = [node.client() for node in cluster.nodes]
    is_new = lambda reply: reply["release"].split("+")[0] == str(number)
    wait(lambda: all(is_new(client.call("POST", "/v1/answer", HOURS)[2]) for client in clients), "a release is not served everywhere", 30)
    stale, stopped = [], threading.Event()

    def ask(node):
        client = node.client()
        while not stopped.wait(0.1):
            began = time.monotonic()
            status, _, reply = client.call("POST", "/v1/answer", HOURS)
            assert status == 200, reply
            if is_new(reply):
                # It may be decided at any moment until it is told.
                stale.append(began)

    threads = [threading.Thread(target=ask, args=(node,)) for node in cluster.nodes]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    status, _, told = author.call("POST", f"/v1/kbs/{KB}/rollback", {"release": number - 1})
    at = time.monotonic()
    assert status == 200, told
    time.sleep(2.5)
    stopped.set()
    for thread in threads:
        thread.join()
    assert stale, "nobody was answered from the release before it was rolled back"
    return max(0.0, max(stale) - at)


class Faults:
    """What is done to the nodes while everybody works."""

    def __init__(self, cluster, asking):
        self.cluster, self.asking, self.told = cluster, asking, []
        self.front = cluster.front()

    def tell(self, text, since):
        self.told.append(f"{text}; the longest time without any answer {self.asking.gap(since, time.monotonic()) * 1000:.0f} ms")

    def kill(self, node):
        at = time.monotonic()
        node.kill()
        took = wait(lambda: self.front.call("POST", "/v1/answer", HOURS)[0] == 200, "nobody answers after a kill")
        back = node.start()
        self.tell(f"a node was killed: the balancer's next answer after {took * 1000:.0f} ms, and it was back in {back:.1f} s", at)

    def fill_disk(self, node):
        """How many answers of a node with a full disk could not be stored."""
        at, client = time.monotonic(), node.client()
        fill(node.data)
        status, _, reply = client.call("POST", "/v1/answer", HOURS)
        assert status == 200, f"a node with a full disk does not answer: {status} {reply}"
        reasons = lambda: {one["reason"] for one in client.call("GET", "/readyz")[2].get("warnings", [])}
        alarm = wait(lambda: "disk_full" in reasons(), "a full disk does not show", 30)
        # Edits at this node: kept or refused, and the history says which.
        kept = refused = 0
        for number in range(6):
            text = f"满了{number}。"
            status, _, reply = client.call("PUT", f"/v1/kbs/{KB}/entries/full", {**FULL, "answer": text}, if_match="*")
            found = self.cluster.nodes[0].client().call("GET", f"/v1/kbs/{KB}/entries/full")
            there = found[0] == 200 and found[2]["answer"] == text
            assert there == (status == 200), f"an edit at a node with a full disk was told {status} {reply}, and is {'there' if there else 'not there'}"
            kept, refused = kept + there, refused + (not there)
        (node.data / "ballast").unlink()
        back = wait(lambda: not reasons() & {"disk_full", "events_lost"}, "a disk with room again still alarms", 30)
        assert client.call("PUT", f"/v1/kbs/{KB}/entries/full", {**FULL, "answer": "有空了。"}, if_match="*")[0] == 200
        self.tell(f"a disk was full: answers went on, the alarm came after {alarm:.1f} s, {kept} edits there were kept and {refused} refused, well {back:.1f} s after there was room", at)

    def cut(self, node):
        at, within, outside = time.monotonic(), node.within(), node.client()
        node.cut(True)
        status, _, reply = within.call("POST", "/v1/answer", HOURS)
        assert status == 200, f"a node that is cut off does not answer: {status} {reply}"
        ready = []

        def says_so():
            ready[:] = [within.call("GET", "/readyz")]
            return ready[0][2].get("warnings") or ready[0][0] == 503

        lag = wait(says_so, "a node that is cut off does not say so", 60)
        node.cut(False)
        back = wait(lambda: outside.call("GET", "/readyz")[2].get("warnings") == [], "a node does not come back", 60)
        reasons = [one.get("reason") for one in ready[0][2].get("warnings", [])]
        way = "network was cut" if node.namespace else "way to PostgreSQL was cut (no network namespaces here)"
        self.tell(f"a node's {way}: it went on answering whoever reached it, said so after {lag:.1f} s ({reasons}), and was well {back:.1f} s after", at)

    def power_loss(self):
        at = time.monotonic()
        self.cluster.postgres.down("immediate")
        status = [node.client().call("POST", "/v1/answer", HOURS)[0] for node in self.cluster.nodes]
        assert status == [200, 200, 200], f"without PostgreSQL the nodes say {status}"
        time.sleep(3)
        began = time.monotonic()
        self.cluster.postgres.up()
        up = time.monotonic() - began
        read = wait(lambda: self.front.call("GET", f"/v1/kbs/{KB}/entries/e00")[0] == 200, "no author reads anything after the loss of PostgreSQL", 60)
        self.tell(f"PostgreSQL lost its power: answers went on, and it was back in {up:.1f} s; an author's first read {read:.1f} s after that", at)


def check(cluster, operations, has_small_disk):
    one, two, three = cluster.nodes
    taken, at_once = seen_everywhere(cluster, 30)
    print(f"edits at one node, answered by another: p50 {statistics.median(taken) * 1000:.0f} ms, most {max(taken) * 1000:.0f} ms, {len(taken)} edits; "
          f"with Zhida-Min-Release at once, {at_once} of {len(taken)}")
    made = cluster.make_key("ask", "short")
    short = [node.client(made["key"]) for node in cluster.nodes]
    wait(lambda: all(client.call("POST", "/v1/answer", HOURS)[0] == 200 for client in short), "a new key is not known everywhere")
    cluster.command(one, "key", "revoke", made["id"])
    took = wait(lambda: all(client.call("POST", "/v1/answer", HOURS)[0] == 401 for client in short), "a revoked key still opens a door")
    print(f"a key that was revoked is refused by all three after {took * 1000:.0f} ms")
    stale = rolled_back(cluster)
    print(f"a release was rolled back: the last answer from it was asked for {stale * 1000:.0f} ms after the rollback's reply, at three nodes asked ten times a second")
    assert stale <= 1.0, "a node answered from a release that was rolled back more than a second ago"

    asking = Asking(cluster)
    capacity = asking.capacity()
    asking.begin(capacity / 2)
    faults_done = Faults(cluster, asking)
    work = Work(cluster, operations)
    began = time.monotonic()
    threads = work.run()

    def passed(share):
        wait(lambda: work.left <= operations * (1 - share) or work.done.is_set(), "the work does not go on", 900)

    passed(0.15)
    faults_done.kill(two)
    passed(0.3)
    if has_small_disk:
        faults_done.fill_disk(two)
    else:
        print("skipped: the full disk; only root may mount a small file system")
    passed(0.45)
    faults_done.cut(three)
    passed(0.65)
    faults_done.power_loss()
    passed(0.8)
    faults_done.kill(one)
    for thread in threads:
        thread.join()
    asking.end()
    seconds = time.monotonic() - began
    for line in faults_done.told:
        print(line)
    faults, revisions = work.verify(one.client())
    messages = sum(len(said) for said in work.said.values())
    print(f"{operations} operations in {seconds:.0f} s ({'one clock an hour ahead' if cluster.faketime else 'all clocks right'}): {len(work.edits)} edits acknowledged, {len(work.reads)} reads, "
          f"{messages} messages in {len(work.said)} conversations, {len(work.claims)} claims; {revisions} revisions; not acknowledged: {dict(work.failed)}")
    more, told = verify_asking(cluster, asking, may_be_lost=10_000 if has_small_disk else 0)
    median, slow = asking.latency()
    print(f"beside that, at half of {capacity:.0f} questions a second: {told}; p50 {median * 1000:.0f} ms, p99 {slow * 1000:.0f} ms")
    end(faults + more)
    print("no acknowledged edit, message, claim, count or event was lost or made twice")


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    operations = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with running(binary, "zhida-cluster-") as cluster:
        if cluster:
            has_small_disk = cluster.mount_small(cluster.nodes[1], SMALL_DISK)
            cluster.begin()
            encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'zhida' AND ssl"
            assert int(cluster.postgres.sql(encrypted)) > 0, "no node speaks to PostgreSQL encrypted"
            check(cluster, operations, has_small_disk)


if __name__ == "__main__":
    main()
