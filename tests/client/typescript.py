"""Does a typed client for TypeScript come out of /openapi.json, and does the example with it work?

usage: python3 tests/client/typescript.py ZHIDA

Starts the binary ZHIDA on a free port, has openapi-typescript make types of what it
says of itself, compiles tests/client/example.ts strictly against them and runs it.
The tools come from npm into target/typescript; where that is not possible it says that
it skips.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, from_npm

TOOLS = ["openapi-typescript@7", "openapi-fetch@0.17", "typescript@5", "@types/node@20"]
# Fields with a default may be left out; an object without named fields may hold anything.
TYPES = ["--default-non-nullable", "false", "--empty-objects-unknown"]
OPTIONS = {
    "strict": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "types": ["node"],
    "outDir": "out",
    "noEmitOnError": True,
}


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    root = pathlib.Path(__file__).resolve().parents[2]
    tools = root / "target" / "typescript"
    if not from_npm(tools, TOOLS, "the client for TypeScript"):
        return

    def run(*command):
        done = subprocess.run(command, cwd=tools, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with tempfile.TemporaryDirectory() as folder:
        server = Server(str(binary), pathlib.Path(folder) / "data", "--model", "none")
        try:
            with urllib.request.urlopen(server.address + "/openapi.json") as reply:
                (tools / "openapi.json").write_bytes(reply.read())
            run("node_modules/.bin/openapi-typescript", "openapi.json", "-o", "zhida.ts", *TYPES)
            shutil.copy(root / "tests" / "client" / "example.ts", tools)
            (tools / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "files": ["example.ts"]}))
            package = json.loads((tools / "package.json").read_text())
            (tools / "package.json").write_text(json.dumps({**package, "type": "module"}))
            run("node_modules/.bin/tsc", "-p", ".")
            said = [json.loads(line) for line in run("node", "out/example.js", server.address).splitlines()]
        finally:
            server.stop()
    decisions = [one["decision"] for one in said]
    assert decisions[0] in ("answer", "clarify") and decisions[-1] == "handoff", said
    if decisions[0] == "clarify":
        assert decisions[1] == "answer" and said[1]["entry"], said
    print("the client for TypeScript works:", ", ".join(decisions))


if __name__ == "__main__":
    main()
