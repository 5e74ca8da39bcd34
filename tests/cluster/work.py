"""What everybody does with a cluster meanwhile, and whether anything of it was lost."""

import binascii
import collections
import datetime
import json
import random
import statistics
import threading
import time

from cluster import ENTRIES, HOURS, KB, Client, quantile


class Work:
    """Authors edit, customers talk, agents claim; and what was acknowledged of it."""

    def __init__(self, cluster, operations):
        self.cluster, self.left, self.lock = cluster, operations, threading.Lock()
        self.edits, self.reads, self.said, self.claims = [], [], collections.defaultdict(list), []
        self.failed = collections.Counter()
        self.waiting, self.done = [], threading.Event()

    def take(self):
        with self.lock:
            self.left -= 1
            if self.left < 0:
                self.done.set()
            return self.left >= 0

    def author(self, seed, client=None):
        dice, client = random.Random(seed), client or self.cluster.front()
        while self.take():
            entry = f"e{dice.randrange(ENTRIES):02}"
            began = time.monotonic()
            status, headers, told = client.call("GET", f"/v1/kbs/{KB}/entries/{entry}")
            ended = time.monotonic()
            if status != 200:
                self.failed[f"read {status}"] += 1
                time.sleep(0.05)
                continue
            seen = int(headers["etag"].strip('"'))
            self.reads.append((entry, began, ended, seen))
            if not self.take():
                return
            text = f"{entry}-{seed}-{len(self.edits)}-{dice.random()}"
            began = time.monotonic()
            status, headers, _ = client.call("PUT", f"/v1/kbs/{KB}/entries/{entry}", {**told, "answer": text}, if_match=f'"{seen}"')
            ended = time.monotonic()
            if status == 200:
                self.edits.append((entry, began, ended, seen, int(headers["etag"].strip('"')), text))
            else:
                self.failed[f"edit {status}"] += 1
                if status not in (412,):
                    time.sleep(0.05)

    def customer(self, seed):
        dice, client, number = random.Random(seed), self.cluster.front(), 0
        while self.take():
            session = f"c{seed}-{number // 8}"
            number += 1
            text = "转人工" if number % 8 == 5 else f"第{dice.randrange(ENTRIES)}号商品怎么退货"
            key = f"{seed}-{number}"
            while True:
                status, _, told = client.call("POST", f"/v1/conversations/{session}/messages", {"text": text, "kb": KB}, idempotency_key=key)
                if status in (200, 202):
                    with self.lock:
                        self.said[session].append((key, text))
                        if text == "转人工" and status == 200:
                            self.waiting.append(session)
                    break
                # It may have arrived: the same one again, under the same name, until somebody says so.
                self.failed[f"message {status}"] += 1
                time.sleep(0.1)

    def agent(self, seed):
        dice, client = random.Random(seed), Client(f"127.0.0.1:{self.cluster.port}", self.cluster.agents[seed])
        while not self.done.is_set():
            status, _, told = client.call("GET", "/v1/handoffs?state=waiting&limit=10")
            items = told.get("items", []) if status == 200 else []
            if not items:
                time.sleep(0.05)
                continue
            handoff = dice.choice(items[:3])["id"]
            if not self.take():
                return
            began = time.monotonic()
            status, _, told = client.call("POST", f"/v1/handoffs/{handoff}/claim", {})
            if status == 200:
                self.claims.append((handoff, f"agent{seed}", began, time.monotonic()))
            elif status != 409:
                self.failed[f"claim {status}"] += 1

    def run(self):
        threads = [threading.Thread(target=self.author, args=(seed,)) for seed in range(3)]
        threads += [threading.Thread(target=self.customer, args=(seed,)) for seed in range(3)]
        threads += [threading.Thread(target=self.agent, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        return threads

    def verify(self, client):
        """What is wrong with what is there afterwards, and how many revisions there are."""
        faults, history, before = [], [], None
        while True:
            query = f"&before={before}" if before else ""
            status, _, told = client.call("GET", f"/v1/kbs/{KB}/history?limit=500{query}")
            assert status == 200, told
            if not told["revisions"]:
                break
            history += told["revisions"]
            before = history[-1]["number"]
        numbers = [one["number"] for one in history]
        if len(set(numbers)) != len(numbers):
            faults.append("two revisions have one number")
        if sorted(numbers) != list(range(min(numbers), max(numbers) + 1)):
            faults.append("the numbers of revisions have holes")
        by_entry = collections.defaultdict(list)
        for entry, began, ended, seen, became, text in self.edits:
            by_entry[entry].append((became, seen, began, ended, text))
        known = set(numbers)
        for entry, edits in by_entry.items():
            edits.sort()
            for became, seen, began, ended, text in edits:
                if became not in known:
                    faults.append(f"edit {became} of {entry} was acknowledged and is not in the history")
            for (became, _, began, ended, _), (later, seen, next_began, next_ended, _) in zip(edits, edits[1:]):
                if seen < became:
                    faults.append(f"edit {later} of {entry} follows {seen}, although {became} was there")
                if next_ended < began:
                    faults.append(f"edit {later} of {entry} ended before {became} began")
        for entry, began, ended, seen in self.reads:
            # Those that had ended before the read began had happened; those that began after its end had not.
            newest = max((became for became, _, _, edit_ended, _ in by_entry[entry] if edit_ended < began), default=0)
            future = min((became for became, _, edit_began, _, _ in by_entry[entry] if edit_began > ended), default=None)
            if seen < newest or (future is not None and seen >= future):
                faults.append(f"a read of {entry} saw {seen}, between {newest} and {future}")
        lost = 0
        for session, said in self.said.items():
            status, _, told = client.call("GET", f"/v1/conversations/{session}")
            heard = [turn["text"] for turn in told.get("turns", []) if turn["role"] == "customer"] if status == 200 else []
            if heard != [text for _, text in said]:
                lost += 1
                if lost < 4:
                    faults.append(f"conversation {session}: said {[text for _, text in said]}, kept {heard}")
        owners = collections.defaultdict(set)
        for handoff, agent, _, _ in self.claims:
            owners[handoff].add(agent)
        faults += [f"handoff {handoff} was claimed by {sorted(agents)}" for handoff, agents in owners.items() if len(agents) > 1]
        return faults, len(history)


class Asking:
    """Customers who ask through the balancer at a steady rate, and what they were told."""

    def __init__(self, cluster, threads=4):
        made = cluster.make_key("ask", "load")
        self.cluster, self.key, self.id, self.threads = cluster, made["key"], made["id"], threads
        self.told, self.failed, self.lock = [], collections.Counter(), threading.Lock()
        self.stopped, self.running, self.rate = threading.Event(), [], None
        front = cluster.front(self.key)
        wait_for = time.monotonic() + 10
        while front.call("POST", "/v1/answer", HOURS)[0] != 200:
            assert time.monotonic() < wait_for, "a new key is not known"
        # That one counts as well, and perhaps others before it that were refused do not.
        self.asked_before = 1

    def one(self, client):
        began = time.monotonic()
        status, _, reply = client.call("POST", "/v1/answer", HOURS)
        with self.lock:
            if status == 200:
                self.told.append((began, time.monotonic(), reply["trace_id"]))
            else:
                self.failed[status] += 1

    def capacity(self, seconds=2.0):
        """Questions a second that these clients get answered when each asks as soon as it was answered."""
        until, before = time.monotonic() + seconds, len(self.told)

        def ask():
            client = self.cluster.front(self.key)
            while time.monotonic() < until:
                self.one(client)

        threads = [threading.Thread(target=ask) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (len(self.told) - before) / seconds

    def begin(self, rate):
        """Asks so many questions a second from now on."""
        self.rate = rate

        def ask(number):
            client, due = self.cluster.front(self.key), time.monotonic() + number / rate
            while not self.stopped.wait(max(0.0, due - time.monotonic())):
                self.one(client)
                # Who had to wait for an answer does not make up for it.
                due = max(due + self.threads / rate, time.monotonic())

        self.running = [threading.Thread(target=ask, args=(number,)) for number in range(self.threads)]
        for thread in self.running:
            thread.start()

    def end(self):
        self.stopped.set()
        for thread in self.running:
            thread.join()

    def gap(self, since, until):
        """The longest time in a span during which nobody was answered."""
        ends = sorted(ended for _, ended, _ in self.told if since <= ended <= until)
        return max((later - one for one, later in zip([since, *ends], [*ends, until])), default=until - since)

    def latency(self):
        taken = [ended - began for began, ended, _ in self.told]
        return statistics.median(taken), quantile(taken, 0.99)


def decisions(data):
    """The trace ids of a key's decisions in a node's own store of events, by key."""
    found = collections.defaultdict(list)
    for segment in data.glob("events/*/*.seg"):
        for line in segment.read_bytes().splitlines():
            if line[8:9] == b" " and int(line[:8], 16) == binascii.crc32(line[9:]):
                event = json.loads(line[9:])
                if event["kind"] == "decision":
                    found[event.get("key")].append(event["trace_id"])
    return found


def lately():
    # Days are those of China, and a node whose clock is ahead may be in the next one.
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
    return f"from={today - datetime.timedelta(days=1)}&to={today + datetime.timedelta(days=1)}"


def figures(cluster):
    """How many decisions the figures of each node are about, and which nodes they lack."""
    found = []
    for node in cluster.nodes:
        status, _, told = node.client().call("GET", f"/v1/kbs/{KB}/stats?{lately()}")
        assert status == 200, told
        counts = told["all"]["counts"]
        found.append((counts["questions"] + counts["chat"] + counts["choices"], told["missing_nodes"]))
    return found


def counted(cluster, key):
    """What is known of a key's questions: of the month, and by /v1/usage of each node."""
    month = cluster.postgres.sql(f"SELECT coalesce(sum(count), 0) FROM zhida_access.questions WHERE key = '{key}'", "zhida")
    usages = []
    for node in cluster.nodes:
        status, _, told = node.client().call("GET", f"/v1/usage?{lately()}")
        assert status == 200, told
        usages.append((sum(row["questions"] for row in told["items"] if row["key"] == key), told["lost"]))
    return int(month), usages


def verify_asking(cluster, asking, may_be_lost=0, forgotten=0):
    """What is wrong with the counts of what was asked."""
    stored, everybodys = collections.Counter(), set()
    for node in cluster.nodes:
        found = decisions(node.data)
        stored.update(found[asking.id])
        everybodys.update(trace for traces in found.values() for trace in traces)
    acknowledged = [trace for _, _, trace in asking.told]
    faults = [f"decision {trace} is in the events {times} times" for trace, times in stored.items() if times > 1]
    missing = [trace for trace in acknowledged if trace not in stored]
    # What was asked last counts a second later.
    expected, last = len(stored), None
    until = time.monotonic() + 10
    while time.monotonic() < until:
        last = counted(cluster, asking.id)
        month, usages = last
        if month >= expected + len(missing) - forgotten and all(usage[0] >= expected for usage in usages):
            break
        time.sleep(0.1)
    month, usages = last
    lost = usages[0][1]
    if len(missing) > may_be_lost or len(missing) > lost:
        faults.append(f"{len(missing)} acknowledged decisions are in no events; the usage says that {lost} are lost")
    if any(usage[0] != expected for usage in usages):
        faults.append(f"the nodes' usage says {[usage[0] for usage in usages]}, the events {expected}")
    if len(set(usages)) > 1:
        faults.append(f"the nodes say different things: {usages}")
    # What was answered without being stored counts from memory, and goes with it.
    if not expected - forgotten <= month <= expected + lost or (not missing and not forgotten and month != expected):
        faults.append(f"the month counts {month}, the events {expected} and {lost} lost")
    # A node that has just come back is one of them a second after it answers.
    until, whole = time.monotonic() + 10, (len(everybodys), [])
    while (about := figures(cluster)) != [whole] * len(cluster.nodes) and time.monotonic() < until:
        time.sleep(0.2)
    if any(one != whole for one in about):
        faults.append(f"the nodes' figures are about {about}, the events of all have {len(everybodys)}")
    unheard = expected + len(missing) - len(acknowledged) - asking.asked_before
    if not 0 <= unheard <= sum(asking.failed.values()):
        faults.append(f"{unheard} decisions are counted that nobody asked for; {dict(asking.failed)} failed")
    told = (f"{len(acknowledged) + asking.asked_before} questions acknowledged at {asking.rate:.0f} a second, {unheard} more decided whose answer did not arrive; "
            f"the month counts {month}, each node's usage {usages[0][0]}, the figures of each are about {about[0][0]} decisions of all; not stored {len(missing)}; not acknowledged: {dict(asking.failed)}")
    return faults, told
