"""Several nodes on one PostgreSQL behind HAProxy, and what can be done to them."""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import TLS, Postgres, Server, free_port, from_debian

KB = "t"
ENTRIES = 24
DRAFT = [{"id": f"e{n:02}", "question": f"第{n}号商品怎么退货", "answer": f"第{n}号：第0版。"} for n in range(ENTRIES)]
DRAFT.append({"id": "hours", "question": "几点上班", "similar": ["客服几点开始上班"], "answer": "早上九点。"})
DRAFT.append({"id": "full", "question": "仓库放不下了怎么办", "answer": "换大的。"})
LINES = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in DRAFT)
HOURS = {"text": "几点上班", "kb": KB}


def wait(is_so, what, seconds=30.0):
    """How long it took until something was so."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"fault: {what}, after {seconds:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - began


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Wire:
    """The way from one node to PostgreSQL, its socket or its port; it can be cut, and then nothing comes through and nothing is closed."""

    def __init__(self, to, host="127.0.0.1"):
        self.to, self.is_cut, self.listener = to, False, socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.socket(socket.AF_UNIX if isinstance(self.to, str) else socket.AF_INET)
            try:
                far.connect(self.to)
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    def carry(self, one, other):
        try:
            while data := one.recv(65536):
                while self.is_cut:
                    time.sleep(0.05)
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Namespace:
    """A network of its own that one cable leads into; None from `make` where that is not allowed."""

    @classmethod
    def make(cls):
        if os.geteuid() != 0 or not from_debian("ip", "iproute2"):
            return None
        try:
            return cls()
        except subprocess.CalledProcessError as refused:
            print(f"no network namespaces here: {refused.stderr.strip()[-200:]}")
            return None

    def __init__(self):
        self.remove_abandoned()
        self.name, self.cable = self.named(os.getpid())
        # By the process: two of them at the same addresses would take each other's packets.
        block = os.getpid() % (1 << 14)
        self.outside, self.inside = (f"10.203.{block >> 6}.{(block & 63) << 2 | host}" for host in (1, 2))
        try:
            self.ip("netns", "add", self.name)
            self.ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            self.ip("addr", "add", f"{self.outside}/30", "dev", self.cable)
            self.ip("link", "set", self.cable, "up")
            for command in (["addr", "add", f"{self.inside}/30", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
                self.ip("-n", self.name, *command)
        except subprocess.CalledProcessError:
            self.remove()
            raise

    @staticmethod
    def ip(*args):
        subprocess.run(["ip", *args], check=True, capture_output=True, text=True)

    def cut(self, is_cut):
        self.ip("link", "set", self.cable, "down" if is_cut else "up")

    def enter(self):
        """Moves the thread that calls into it."""
        with open(f"/run/netns/{self.name}") as place:
            if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def remove(self):
        self.remove_of(os.getpid())

    @staticmethod
    def named(process):
        """What the network and the cable of a check are called."""
        return f"zhida{process}", f"zh{process}"

    @classmethod
    def remove_of(cls, process):
        name, cable = cls.named(process)
        subprocess.run(["ip", "link", "del", cable], capture_output=True)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)

    @classmethod
    def remove_abandoned(cls):
        """Removes those of checks that were killed and could not do it themselves."""
        for place in pathlib.Path("/run/netns").glob("zhida*"):
            process = place.name.removeprefix("zhida")
            if process.isdigit() and not pathlib.Path(f"/proc/{process}").exists():
                cls.remove_of(process)


class Client:
    """One client of an address, with one connection that is made anew when it breaks."""

    def __init__(self, address, key):
        self.address, self.key, self.connection = address, key, None

    def call(self, method, path, body=None, **headers):
        """The status, the headers and what it says; status 0 when nothing came back."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=20)
            data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
            sent = {"authorization": f"Bearer {self.key}", **({"content-type": "application/json"} if data else {})}
            sent.update({name.replace("_", "-"): value for name, value in headers.items()})
            self.connection.request(method, path, data, sent)
            reply = self.connection.getresponse()
            text = reply.read()
            try:
                told = json.loads(text) if text else {}
            except ValueError:
                told = {"text": text.decode(errors="replace")}
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, told
        except (OSError, http.client.HTTPException):
            if self.connection:
                self.connection.close()
            self.connection = None
            return 0, {}, {}


class Within(Client):
    """A client who is in a node's own network."""

    def __init__(self, namespace, port, key):
        super().__init__(f"127.0.0.1:{port}", key)
        self.namespace = namespace

    def call(self, *args, **headers):
        told = []

        def there():
            self.namespace.enter()
            # A connection of another thread is in this network as well.
            told.append(super(Within, self).call(*args, **headers))

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        return told[0]


class Node:
    def __init__(self, cluster, number):
        self.cluster, self.number, self.port, self.binary = cluster, number, free_port(), cluster.binary
        self.data = cluster.folder / f"node{number}"
        self.data.mkdir()
        self.namespace = cluster.namespace if number == 3 else None
        # Where all others reach it, also the one in a network of its own.
        self.host = self.namespace.inside if self.namespace else cluster.namespace.outside if cluster.namespace else "127.0.0.1"
        postgres = cluster.postgres
        # The second of three speaks to it encrypted.
        self.is_encrypted = number == 2 and cluster.is_harmed
        to = ("127.0.0.1", postgres.port) if self.is_encrypted else postgres.socket
        self.wire = Wire(to, self.namespace.outside if self.namespace else "127.0.0.1")
        self.environment = {}
        if number == 3 and cluster.faketime:
            self.environment = {"LD_PRELOAD": cluster.faketime, "FAKETIME": "+3600s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.server = None

    @property
    def url(self):
        if self.is_encrypted:
            return f"postgres://zhida@localhost:{self.wire.port}/zhida?sslmode=verify-full&sslrootcert={TLS / 'one.crt'}"
        return f"postgres://zhida@{self.namespace.outside if self.namespace else '127.0.0.1'}:{self.wire.port}/zhida"

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def start(self):
        """Starts it, and says how long that took."""
        started = time.monotonic()
        before = ["ip", "netns", "exec", self.namespace.name] if self.namespace else []
        listen = f"{'0.0.0.0' if self.cluster.namespace else '127.0.0.1'}:{self.port}"
        # All hold the knowledge base, or one does, and the others send on what is asked.
        sharing = ["--node-url", f"http://{self.address}", "--replicas", "1" if self.cluster.is_shared else str(len(self.cluster.nodes))]
        self.server = Server(self.binary, self.data, *self.cluster.releases, "--default-kb", KB, "--log", "json", *sharing,
                             listen=listen, before=before, ZHIDA_DATABASE=self.url, ZHIDA_LANG="en", **self.environment)
        return time.monotonic() - started

    def client(self, key=None):
        return Client(self.address, key or self.cluster.key)

    def within(self):
        """A client whom a cut of the network does not cut off from it."""
        return Within(self.namespace, self.port, self.cluster.key) if self.namespace else self.client()

    def cut(self, is_cut):
        """Cuts its network, or else its way to PostgreSQL, or mends it."""
        if self.namespace:
            self.namespace.cut(is_cut)
        else:
            self.wire.is_cut = is_cut

    def kill(self):
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()


class Cluster:
    def __init__(self, binary, folder, postgres, nodes=3, is_shared=False, in_folder=False):
        self.is_shared, self.binary, self.folder, self.postgres, self.is_harmed = is_shared, binary, folder, postgres, nodes > 2
        # Where they share a folder they are told so; releases lie in PostgreSQL otherwise.
        self.releases = ["--releases", f"file://{folder}/releases"] if in_folder else []
        (folder / "releases").mkdir()
        found = list(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")) if nodes > 2 and from_debian("faketime", "faketime") else []
        self.faketime = str(found[0]) if found else None
        self.namespace = Namespace.make() if nodes > 2 else None
        postgres.sql("CREATE DATABASE zhida")
        self.key, self.mounted = None, []
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]
        self.haproxy = None

    def begin(self):
        """Publishes the knowledge base, starts the nodes and the balancer."""
        first = self.nodes[0]
        (self.folder / "t.jsonl").write_text(LINES)
        # Commands are given on this machine, not in the network of a node.
        self.command(first, "kb", "import", "--kb", KB, str(self.folder / "t.jsonl"))
        self.command(first, "kb", "publish", "--kb", KB, "--model", "none", *self.releases)
        self.key = self.make_key("admin", "check")["key"]
        self.agents = [self.make_key("agent", f"agent{number}")["key"] for number in range(3)]
        self.started = [node.start() for node in self.nodes]
        self.port = free_port()
        # One that is killed or cut off takes its requests with it; one that ends well finishes
        # them, and what comes on a connection that it closes goes to another one.
        gone = " on-marked-down shutdown-sessions" if self.is_harmed else ""
        again = "" if self.is_harmed else "retry-on conn-failure empty-response"
        servers = "\n".join(f"    server n{node.number} {node.address} check inter 300ms fall 1 rise 1{gone}" for node in self.nodes)
        (self.folder / "haproxy.cfg").write_text(f"""
global
    maxconn 500
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout check 1s
    option redispatch
    retries 3
    {again}
frontend front
    bind 127.0.0.1:{self.port}
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /readyz
{servers}
""")
        self.haproxy = subprocess.Popen([from_debian("haproxy", "haproxy"), "-f", str(self.folder / "haproxy.cfg")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        front = self.front()
        wait(lambda: front.call("GET", "/healthz")[0] == 200, "the balancer finds no node")

    def make_key(self, role, name):
        return json.loads(self.command(self.nodes[0], "key", "create", "--role", role, "--name", name, "--json"))

    def front(self, key=None):
        return Client(f"127.0.0.1:{self.port}", key or self.key)

    def command(self, node, *args, binary=None):
        done = subprocess.run([binary or node.binary, *args, "--data", str(node.data)], capture_output=True, text=True,
                              env={**os.environ, "ZHIDA_DATABASE": node.url, "ZHIDA_LANG": "en"})
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return done.stdout

    def mount_small(self, node, megabytes):
        """Puts a small file system where a node's data directory is; whether that is allowed."""
        if os.geteuid() != 0:
            return False
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(node.data)], capture_output=True)
        if done.returncode == 0:
            self.mounted.append(node.data)
        return done.returncode == 0

    def stop(self):
        if self.haproxy:
            self.haproxy.kill()
        for node in self.nodes:
            if node.server and node.server.process.poll() is None:
                node.server.process.kill()
                node.server.process.wait()
        for place in self.mounted:
            subprocess.run(["umount", "-l", str(place)], capture_output=True)
        if self.namespace:
            self.namespace.remove()


def fill(folder):
    """Takes all room that is left in a folder's file system."""
    free = shutil.disk_usage(folder).free
    with open(folder / "ballast", "wb", buffering=0) as ballast:
        for size in (1 << 20, 4096, 1):
            try:
                while ballast.write(b"x" * size) == size:
                    pass
            except OSError:
                pass
    return free


@contextlib.contextmanager
def running(binary, prefix, **how):
    """A cluster that has not begun, and is gone afterwards; None, having said so, where its programs cannot be had."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = pathlib.Path(name)
        postgres = Postgres.start(folder, free_port()) if from_debian("haproxy", "haproxy") else None
        if postgres is None:
            print("skipped: PostgreSQL and HAProxy cannot be had here")
            yield None
            return
        cluster = Cluster(binary, folder, postgres, **how)
        try:
            yield cluster
        finally:
            cluster.stop()
            postgres.down("immediate")


def end(faults):
    """Prints the first faults, and ends the check if there are any."""
    for fault in faults[:20]:
        print("fault:", fault)
    if faults:
        raise SystemExit(f"{len(faults)} faults")
