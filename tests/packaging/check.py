"""Does what `zhida setup` prints run zhida?

usage: python3 tests/packaging/check.py ZHIDA

1. systemd: `systemd-analyze verify` accepts the unit and `security` finds it locked down;
   the server tells a socket of systemd's kind that it is ready, and then it answers; under
   strace it makes no system call that the unit's filter refuses.
2. Kubernetes: kubernetes-validate accepts the manifests for one pod and for several, with a
   bucket and with a shared volume, strictly; every container has probes or ends by itself, is
   not root and cannot write its root; every variable is one that the server reads, and what
   several pods are called is what they call each other.
3. Compose: compose_spec accepts both files, and what it starts first makes a key once.
4. Image: `zhida setup image` is built by buildah without network; the program in it starts
   as its user with a root that it cannot write, answers, keeps its data in /data, and a
   second start goes on with them.

What cannot be had is said and skipped.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import free_port, from_pypi

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = "10001"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def sound(*command, **options):
    done = run(*command, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def answers(address):
    """Whether a server is ready."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def systemd(zhida, folder):
    if not shutil.which("systemd-analyze"):
        print("skipped: the unit needs systemd-analyze")
        return
    text = sound(zhida, "setup", "systemd")
    unit = folder / "zhida.service"
    # The program that it starts must be there.
    unit.write_text(text.replace("/usr/local/bin/zhida serve", f"{zhida} serve"))
    done = run("systemd-analyze", "verify", str(unit))
    assert done.returncode == 0 and not done.stderr.strip(), done.stdout + done.stderr
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout[-2000:]
    level = done.stdout.strip().splitlines()[-1]
    print("systemd:", level.split("→")[-1].strip())


def ready(zhida, folder):
    """The word to systemd, and the system calls on the way."""
    path = folder / "notify"
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(path))
    told.settimeout(120)
    port = free_port()
    command = [zhida, "serve", "--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}"]
    strace = shutil.which("strace")
    calls = folder / "calls"
    if strace:
        # Detached, so that what we end is the server and not who looks on.
        command = [strace, "-D", "-f", "-qq", "-o", str(calls), *command]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": str(path)})
    try:
        assert told.recv(64) == b"READY=1"
        assert answers(f"http://127.0.0.1:{port}"), "it says that it is ready before it answers"
    finally:
        server.terminate()
        server.wait(60)
    print("systemd: told when it was ready")
    if not strace or not shutil.which("systemd-analyze"):
        print("skipped: no strace, so the filter of system calls is not compared")
        return
    used = set()
    for line in calls.read_text(errors="replace").splitlines():
        call = line.split(None, 1)[1].split("(")[0] if " " in line else ""
        if call.isidentifier():
            used.add(call)
    allowed = members("@system-service") - members("@privileged") - members("@resources")
    # What a start needs before the filter holds, and what systemd itself does.
    refused = used - allowed - {"execve", "exit", "exit_group"}
    # SQLite gives its files to whoever has the database, but only as root, which the unit never is.
    refused -= {"fchown"} if os.geteuid() == 0 else set()
    assert not refused, f"the unit's filter refuses {sorted(refused)}"
    print(f"systemd: {len(used)} kinds of system calls, all of them allowed")


def members(group):
    """The system calls of one of systemd's groups."""
    found = set()
    for line in sound("systemd-analyze", "syscall-filter", group).splitlines()[1:]:
        name = line.strip()
        if name.startswith("#") or not name:
            continue
        found |= members(name) if name.startswith("@") else {name}
    return found


def kubernetes(zhida, folder):
    python = from_pypi(ROOT / "target" / "packaging" / "venv", ["kubernetes-validate", "compose-spec"], "kubernetes-validate")
    if not python:
        return
    for name, options in SETUPS.items():
        documents = manifests(python, zhida, folder / "kubernetes.yaml", options)
        pods(zhida, documents)
        if name != "one pod":
            several(documents, options[-1] if "--releases" in options else "database")
        print(f"kubernetes, {name}: accepted, {len(documents)} documents")
    refused = run(zhida, "setup", "kubernetes", "--nodes", "2", "--releases", "file:///data/releases")
    assert refused.returncode == 1 and "file:///releases" in refused.stderr, refused.stderr
    compose = folder / "compose.yaml"
    read = "import sys; from compose_spec import PyCompose; c = PyCompose.from_yaml(open(sys.argv[1]).read()); c.validate(); print(*c.service_names())"
    for more in ([], ["--several"]):
        compose.write_text(sound(zhida, "setup", "compose", *more))
        print("compose", *more, "accepted:", sound(python, "-c", read, compose).strip())


SETUPS = {
    "one pod": [],
    "several": ["--nodes", "3"],
    "several and a shared volume": ["--nodes", "3", "--releases", "file:///releases"],
    "several and a bucket": ["--nodes", "3", "--releases", "s3://bucket/zhida"],
}


def manifests(python, zhida, place, options):
    """The documents that are printed, by kind and name."""
    place.write_text(sound(zhida, "setup", "kubernetes", "--image", "registry.example/zhida:9", *options))
    sound(python.parent / "kubernetes-validate", "--strict", "--quiet", place)
    documents = json.loads(sound(python, "-c", "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))", place))
    return {(document["kind"], document["metadata"]["name"]): document["spec"] for document in documents}


def pods(zhida, documents):
    """What is so for one pod and for several."""
    assert {kind for kind, _ in documents} - {"PersistentVolumeClaim"} == {"Service", "StatefulSet", "PodDisruptionBudget"}, documents.keys()
    pods = documents["StatefulSet", "zhida"]
    assert ("Service", pods["serviceName"]) in documents
    spec, labels = pods["template"]["spec"], pods["template"]["metadata"]["labels"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]
    selectors = [one["selector"] for (kind, _), one in documents.items() if kind == "Service"]
    for selector in (*selectors, pods["selector"]["matchLabels"], documents["PodDisruptionBudget", "zhida"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items(), (selector, labels)
    known = sound(zhida, "serve", "--help")
    volumes = {one["name"] for one in spec["volumes"]} | {one["metadata"]["name"] for one in pods["volumeClaimTemplates"]}
    for container in spec["initContainers"] + spec["containers"]:
        assert container["image"] == "registry.example/zhida:9"
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"] and not locked["allowPrivilegeEscalation"]
        assert locked["capabilities"]["drop"] == ["ALL"]
        assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
        assert {one["name"] for one in container["volumeMounts"]} <= volumes, container["volumeMounts"]
        for variable in container.get("env", []):
            assert variable["name"] == "POD_NAME" or f"[env: {variable['name']}" in known, variable
        # What it runs is something that the program knows.
        help_of = [argument for argument in container["args"] if not argument.startswith("-")]
        help_of = sound(zhida, *help_of[: 2 if help_of[0] == "key" else 1], "--help")
        for flag in (argument for argument in container["args"] if argument.startswith("-")):
            assert f"{flag} " in help_of or f"{flag}\n" in help_of, flag
    probes = spec["containers"][0]
    assert probes["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert probes["livenessProbe"]["httpGet"]["path"] == probes["startupProbe"]["httpGet"]["path"] == "/healthz"


def several(documents, place):
    """What pods share, how they reach each other, and how they go one by one."""
    pods = documents["StatefulSet", "zhida"]
    spec = pods["template"]["spec"]
    container = spec["containers"][0]
    assert pods["replicas"] == 3 and pods["updateStrategy"]["type"] == "RollingUpdate"
    assert documents["PodDisruptionBudget", "zhida"]["maxUnavailable"] == 1
    env = {variable["name"]: variable for variable in container["env"]}
    # Stable names, also of a pod that is not ready: events lie on its own disk.
    nodes = documents["Service", pods["serviceName"]]
    assert nodes["clusterIP"] == "None" and nodes["publishNotReadyAddresses"]
    port = container["ports"][0]
    assert nodes["ports"][0]["targetPort"] == port["name"] and nodes["ports"][0]["port"] == port["containerPort"]
    assert env["ZHIDA_NODE_URL"]["value"] == f"http://$(POD_NAME).{pods['serviceName']}:{port['containerPort']}"
    assert env["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    names = [variable["name"] for variable in container["env"]]
    assert names.index("POD_NAME") < names.index("ZHIDA_NODE_URL"), "it is put in only if it stands before"
    # Nothing secret stands in the file, and both containers work on the same records.
    database = env["ZHIDA_DATABASE"]["valueFrom"]["secretKeyRef"]
    assert spec["initContainers"][0]["env"][0] == env["ZHIDA_DATABASE"] and database["key"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert env["ZHIDA_SECRET_KEY_FILE"]["value"].startswith(mounts["secret-key"] + "/")
    releases = env["ZHIDA_RELEASES"]["value"]
    claims = [one["accessModes"] for (kind, _), one in documents.items() if kind == "PersistentVolumeClaim"]
    assert releases == place and ("envFrom" in container) == place.startswith("s3:")
    if place.startswith("file:"):
        assert place == f"file://{mounts['releases']}" and claims == [["ReadWriteMany"]]
    else:
        assert "releases" not in mounts and not claims
    # The grace is enough for what happens after the signal: README, Upgrading.
    assert spec["terminationGracePeriodSeconds"] > int(env["ZHIDA_SHUTDOWN_DELAY"]["value"]) + 10 + 10
    terms = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert terms[0]["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert terms[0]["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= pods["template"]["metadata"]["labels"].items()


def first_key(zhida, folder):
    """What Kubernetes and Compose do before the server starts."""
    command = [zhida, "key", "create", "--first", "--role", "admin", "--data", str(folder / "keyed")]
    key = sound(*command).strip()
    assert key.startswith("zk_"), key
    assert sound(*command) == "", "a second start makes no second key"
    print("first key: made once")


def image(zhida, folder):
    if not shutil.which("buildah"):
        print("skipped: the image needs Debian's buildah")
        return
    place = folder / "image"
    sound(zhida, "setup", "image", place)
    refused = run(zhida, "setup", "image", place)
    assert refused.returncode == 1 and "not empty" in refused.stderr + refused.stdout, refused.stderr
    libraries = sorted(path.name for path in (place / "root").rglob("*") if ".so" in path.name)
    buildah = ["buildah", "--storage-driver", "vfs", "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
    isolated = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    name = "localhost/zhida:check"
    sound(*buildah, "build", "--network", "none", "-t", name, str(place), env=isolated)
    # Where programs cannot be run isolated, as in some containers, that is said.
    container = sound(*buildah, "from", name, env=isolated).strip()
    tried = run(*buildah, "run", container, "--", "/usr/bin/zhida", "--version", env=isolated)
    if tried.returncode != 0:
        print("skipped: the image is built, and cannot be run here:", tried.stderr.strip()[-200:])
        return
    data = folder / "volume"
    data.mkdir()
    os.chown(data, int(USER), int(USER))
    scratch = folder / "scratch"
    scratch.mkdir()
    os.chown(scratch, int(USER), int(USER))
    mounts = ["--volume", f"{data}:/data", "--volume", f"{scratch}:/tmp"]
    sound(*buildah, "run", *mounts, "--user", USER, container, "--", "/usr/bin/zhida", "key", "create", "--first", "--role", "admin", env=isolated)
    for start in ("first", "second"):
        port = free_port()
        command = [*buildah, "run", "--network", "host", *mounts, "--user", f"{USER}:{USER}", "--cap-drop", "all", container, "--"]
        server = subprocess.Popen(
            [*command, "/usr/bin/zhida", "serve", "--listen", f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True, env=isolated
        )
        said = []
        for line in server.stderr:
            said.append(line)
            if "listening on" in line:
                break
        else:
            raise SystemExit("the image does not start:\n" + "".join(said))
        assert answers(f"http://127.0.0.1:{port}"), said
        published = any("publishing demo" in line for line in said)
        assert published == (start == "first"), said
        # buildah hands signals on to what it runs.
        server.terminate()
        server.wait(60)
    owners = {(data / name).stat().st_uid for name in ("zhida.db", "access.db")}
    assert owners == {int(USER)}, owners
    size = sum(path.stat().st_size for path in (place / "root").rglob("*") if path.is_file())
    print(f"image: {size / 1e6:.0f} MB, {', '.join(libraries)}; started twice as {USER}")


def main():
    zhida = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        systemd(zhida, folder)
        ready(zhida, folder)
        first_key(zhida, folder)
        kubernetes(zhida, folder)
        image(zhida, folder)
    print("packaging: 5 passed, 0 failed")


main()
