"""Does the server keep to what /openapi.json says, whatever it is sent?

usage: python3 tests/contract/check.py ZHIDA [SECONDS]

Starts the binary ZHIDA on a free port with an empty data directory and an admin's key,
and lets schemathesis (PyPI, into target/contract) send it what the description allows
and what it does not, with every check, for SECONDS (180) in all: examples, edge values
of every parameter, random bodies, and chains of requests in which one uses what
another has made. Seeds are fixed. A tenant's admin goes through it once more.

Fails on any 5xx, on a status, content type or body that is not described, on an input
that is refused though it is valid, or taken though it is not. Where schemathesis cannot
be installed it says that it skips.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, from_pypi

TOOLS = ["schemathesis==4.32.*"]
SEED = 24

# Operations that would end the run or make it say nothing.
LEFT_OUT = [
    # Would revoke the key that everything is asked with, or take away what is asked.
    "revoke_key",
    "rotate_key",
    "delete_kb",
    "delete_tenant",
    # Whoever guesses has to wait longer each time, on purpose.
    "login",
    "redeem_link",
    # A job that is cancelled goes on telling how it ended, and is not "deleted".
    "cancel_job",
    # Bodies in TOML, which it cannot write; tests/it/fuzz asks these.
    "put_service",
    "test_service",
    # A stream without end.
    "follow_conversation",
    "follow_handoffs",
]


def key(binary, data, *more):
    done = subprocess.run(
        [binary, "key", "create", "--data", str(data), "--role", "admin", "--json", *more],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)["key"]


def settle(binary, data):
    """Publishes a small knowledge base `demo` in a data directory."""
    data.mkdir(parents=True, exist_ok=True)
    entries = data / "demo.jsonl"
    entries.write_text('{"id":"hours","question":"几点上班","answer":"早上九点。"}\n{"id":"refund","question":"怎么退货","answer":"七天内。"}\n')
    for step in (["import", "--kb", "demo", str(entries)], ["publish", "--kb", "demo", "--model", "none"]):
        subprocess.run([binary, "kb", step[0], "--data", str(data), *step[1:]], check=True, capture_output=True)
    entries.unlink()


def is_its_own(report):
    """Whether a report has nothing but a known fault of CPython 3.11, which parses sources for messages."""
    errors = report.count("\nRuntime Error\n")
    return "Failures:" not in report and 0 < errors == report.count("\nAST constructor recursion depth mismatch")


def run(program, server, folder, secret, seconds, phases):
    """One run; gives back whether all was well."""
    command = [str(program), "run", server.address + "/openapi.json", "--phases", phases]
    command += ["--seed", str(SEED), "--max-time", str(seconds), "--continue-on-failure", "--workers", "1"]
    command += ["-H", f"Authorization: Bearer {secret}", "--request-timeout", "30", "--no-color"]
    command += ["--suppress-health-check", "all", "--generation-database", "none"]
    for operation in LEFT_OUT:
        command += ["--exclude-operation-id", operation]
    configuration = pathlib.Path(__file__).with_name("schemathesis.toml")
    command = [command[0], "--config-file", str(configuration), *command[1:]]
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    report = program.parents[1] / "report.txt"
    report.write_text(done.stdout)
    cases = re.search(r"(\d+) generated", done.stdout)
    if done.returncode == 0 and (cases is None or int(cases[1]) < 3 * seconds):
        print("hardly anything was asked in its time:\n" + done.stdout[-2000:])
        return False
    if done.returncode != 0 and is_its_own(done.stdout):
        print("schemathesis stumbled over itself; every case that it sent was answered soundly")
        return True
    if done.returncode != 0:
        print(done.stdout[-20000:] + f"\nall of it: {report}")
    else:
        print("\n".join(done.stdout.strip().splitlines()[-12:]))
    return done.returncode == 0


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 180
    root = pathlib.Path(__file__).resolve().parents[2]
    venv = root / "target" / "contract"
    if from_pypi(venv, TOOLS, "schemathesis") is None:
        return
    program = venv / "bin" / "schemathesis"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = folder / "data"
        server = Server(binary, data, "--model", "none", RUST_LOG="warn,zhida=error")
        secret = key(binary, data, "--name", "contract")
        phases = "examples,coverage,fuzzing,stateful"
        try:
            sound = run(program, server, folder, secret, seconds * 2 // 3, phases)
            # Another tenant's admin, with a knowledge base of the same name.
            subprocess.run([binary, "tenant", "create", "--data", str(data), "acme"], check=True, capture_output=True)
            settle(binary, data / "tenants" / "acme")
            secret = key(binary, data, "--name", "contract", "--tenant", "acme")
            sound = run(program, server, folder, secret, seconds // 3, phases) and sound
        finally:
            log = server.stop()
        faults = [line for line in log.splitlines() if '"level":"ERROR"' in line or "panicked" in line]
        assert not faults, "the server logged faults of its own:\n" + "\n".join(faults[:20])
        if not sound:
            raise SystemExit("the server does not keep to /openapi.json")
    print("the server keeps to /openapi.json")


if __name__ == "__main__":
    main()
