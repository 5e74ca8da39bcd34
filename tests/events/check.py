"""Does DuckDB read the Parquet files of the events, and count the same?

usage: python3 tests/events/check.py ZHIDA [VENV]

Starts the binary ZHIDA on a free port, asks questions, says what they were
worth, stops it, has `zhida events compact --today` make the file of the day,
and compares what DuckDB finds in it with `zhida stats` and `zhida usage`: totals,
decisions, reasons, channels, sessions, feedback and the types of the columns. DuckDB comes
from PyPI into VENV (target/duckdb); where that is not possible it says that it skips.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, from_pypi

ENTRIES = """\
{"id":"hours","question":"几点上班","similar":["客服几点开始上班"],"answer":"早上九点。","topic":"服务"}
{"id":"invoice","question":"怎么开电子发票","similar":["发票在哪里开"],"answer":"在“我的发票”里申请。","topic":"发票"}
{"id":"refund","question":"退款多久到账","similar":["钱什么时候退回来"],"answer":"1 到 3 个工作日。","topic":"退款"}
"""

QUESTIONS = ["几点上班", "发票在哪里开", "退款多久到账", "你们老板是谁", "转人工", "谢谢", "几点上班，打13812345678"]


def post(address, path, body):
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def serve(binary, data):
    """Asks, says what it was worth, and stops."""
    server = Server(binary, data, "--model", "none")
    for number in range(70):
        asked = {"text": QUESTIONS[number % len(QUESTIONS)], "kb": "shop", "channel": ["web", "wechat"][number % 2]}
        if number % 3:
            asked["session"] = f"s{number // 3}"
        reply = post(server.address, "/v1/answer", asked)
        if number % 5 == 0:
            said = {"trace_id": reply["trace_id"], "solved": number % 2 == 0, "rating": 1 + number % 5}
            post(server.address, "/v1/feedback", said)
            post(server.address, "/v1/feedback", said)
    server.stop()


def main():
    binary = sys.argv[1]
    venv = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "target/duckdb")
    python = from_pypi(venv, ["duckdb==1.*"], "DuckDB")
    if python is None:
        return
    if pathlib.Path(sys.prefix).resolve() != venv.resolve():
        sys.exit(subprocess.run([str(python), __file__, binary, str(venv)]).returncode)
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        data = str(pathlib.Path(folder) / "data")

        def zhida(*command):
            done = subprocess.run(
                [binary, *command, "--data", data], capture_output=True, text=True, env={**os.environ, "ZHIDA_MODEL": "none"}
            )
            assert done.returncode == 0, (command, done.stderr)
            return done.stdout

        entries = pathlib.Path(folder) / "shop.jsonl"
        entries.write_text(ENTRIES)
        zhida("kb", "import", "--kb", "shop", str(entries))
        zhida("kb", "publish", "--kb", "shop")
        serve(binary, data)
        before = json.loads(zhida("stats", "--kb", "shop", "--by", "channel", "--json"))
        made = json.loads(zhida("events", "compact", "--today", "--json"))
        after = json.loads(zhida("stats", "--kb", "shop", "--by", "channel", "--json"))
        assert before == after, "the figures of segments and of the Parquet file differ"
        assert made["events"] >= 84, made

        def ask(sql):
            return duckdb.sql(sql.replace("EVENTS", f"'{data}/events/*/events.parquet'")).fetchall()

        counts = after["all"]["counts"]
        chat = "reason IN ('no_text', 'no_question', 'small_talk', 'closed')"
        told = dict(ask(f"SELECT decision, count(*) FROM EVENTS WHERE kind = 'decision' AND NOT {chat} GROUP BY 1"))
        assert told.get("answer", 0) == counts["answered"], (told, counts)
        assert told.get("handoff", 0) == counts["handed_off"], (told, counts)
        reasons = dict(
            ask(f"SELECT reason, count(*) FROM EVENTS WHERE decision = 'handoff' AND kind = 'decision' AND NOT {chat} GROUP BY 1")
        )
        assert reasons == counts["handed_off_by_reason"], (reasons, counts)
        channels = dict(ask(f"SELECT channel, count(*) FROM EVENTS WHERE kind = 'decision' AND NOT {chat} GROUP BY 1"))
        assert channels == {group["key"]: group["counts"]["questions"] for group in after["groups"]}, channels
        usage = json.loads(zhida("usage", "--json"))
        assert ask("SELECT count(*) FROM EVENTS WHERE kind = 'decision'") == [(usage["questions"],)] == [(70,)]
        said = ask(
            "SELECT count(*), count(*) FILTER (solved), sum(rating) FROM "
            "(SELECT DISTINCT trace_id, solved, rating FROM EVENTS WHERE kind = 'feedback')"
        )[0]
        assert said == (counts["rated"], counts["said_solved"], counts["stars"]), (said, counts)
        types = {name: kind for name, kind, *_ in ask("DESCRIBE SELECT * FROM EVENTS")}
        assert types["at"] == "TIMESTAMP WITH TIME ZONE", types
        assert (types["confidence"], types["solved"], types["text"]) == ("DOUBLE", "BOOLEAN", "VARCHAR"), types
        day = ask("SELECT count(*) FROM EVENTS WHERE abs(epoch_ms(\"at\") - epoch_ms(now())) > 3600000")
        assert day == [(0,)], "moments are moments"
        assert ask("SELECT count(*) FROM EVENTS WHERE text LIKE '%13812345678%'") == [(0,)]
        assert ask("SELECT count(*) FROM EVENTS WHERE text = '几点上班，打[电话]'") == [(10,)]
        print(f"DuckDB {duckdb.__version__}: {made['events']} events, the same totals")


if __name__ == "__main__":
    main()
