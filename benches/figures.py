"""Makes the tables of quality in README.md, README.zh-CN.md and corpora/README.md again.

usage: python3 benches/figures.py OUT [--dev FOLDER] [--write] [--again]        after `cargo build --release`

Asks every labelled set to its knowledge base at the goals of 2, 5 and 10 %, with the calibration that has not seen it
(`zhida eval --leave-out`), and the sets of details; compares with thresholds (`zhida eval thresholds`). Reports and evidence go
to OUT. With --write the tables are put in place; otherwise, and in any case where a table could not be found, nothing is
changed and what would be is printed. FOLDER holds the sets that are made from published corpora and are not part of the
repository: {bank,general,assistant,shop}.kb.jsonl and .queries.jsonl; their rows stay as they are without it.
Figures in the text are not touched: the end of the output lists what it states. Needs Python 3.9, nothing else."""
import argparse, concurrent.futures, json, os, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ZHIDA = os.path.join(ROOT, "target/release/zhida")
GOALS = (0.02, 0.05, 0.1)
# Name, of the development sets or not, row in the tables, what the calibration must not have seen.
SETS = [
    ("my-shop", False, "our shop", ["my-shop"]),
    ("my-bank", False, "our bank", ["my-bank", "bank"]),
    ("my-telecom", False, "our telecom", ["my-telecom"]),
    ("my-travel", False, "our travel", ["my-travel"]),
    ("my-hospital", False, "our hospital", ["my-hospital"]),
    ("bank", True, "dev bank", ["bank", "my-bank"]),
    ("general", True, "dev general", ["general"]),
    ("assistant", True, "dev assistant", ["assistant"]),
    ("shop", True, "dev shop", ["my-shop"]),
]
DETAILS = ("details", "details-unseen")
# Written after everything was chosen, and learned from by nothing.
TRADES = ("insurance", "education", "government", "express", "utility", "software")


def evaluate(folder, name, goal, out, leave_out=(), stem=None):
    to = f"{out}/{goal}"
    os.makedirs(to, exist_ok=True)
    command = [ZHIDA, "eval", "--kb", f"{folder}/{stem or name}.kb.jsonl", "--queries", f"{folder}/{stem or name}.queries.jsonl",
               "--max-wrong", str(goal), "--out", f"{to}/{name}", "--evidence", f"{to}/{name}.jsonl"]
    for x in leave_out:
        command += ["--leave-out", x]
    p = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if p.returncode:
        sys.exit(f"{' '.join(command)}: {p.stderr}")


def percent(x):
    return f"{100 * x:.1f}"


def wrong(r, digits):
    if not r["answered"]:
        return "–"
    low, high = r["intervals"]["wrong_rate"]
    return f"{percent(r['wrong_rate'])} ({100 * low:.{digits}f}–{100 * high:.{digits}f})"


def worth(reports):
    """Rows of the main table, at 5 %."""
    for g in "12":
        r = reports[0.05][g]
        c, k = r["coverage_at_precision"], r["recall_at"]
        yield [percent(k["1"]), percent(k["5"]), f"{r['auroc']:.3f}", percent(c["0.90"]), percent(c["0.95"]), percent(r["answer_rate"]),
               wrong(r, 0), percent(r["false_answer_rate"]), f"{r['ece']:.3f}", percent(r["clarify_rate"])]


def breaks(r, goal):
    return bool(r["answered"]) and r["intervals"]["wrong_rate"][0] > goal


def kept(reports):
    """Rows of the table of goals; a goal is broken where the whole interval lies beyond it."""
    for g in "12":
        row = []
        for goal in GOALS:
            r = reports[goal][g]
            x = wrong(r, 1)
            row += [f"**{x}**" if breaks(r, goal) else x, percent(r["coverage"]), percent(r["false_answer_rate"])]
        yield row + [f"{reports[0.05][g]['ece']:.3f}"]


def details(predictions):
    """A row of the table of details: how many changed questions are answered wrongly, and how many of the others rightly."""
    def count(name, *tags):
        lines = [p for p in predictions[name] if all(t in p["tags"] for t in tags)]
        return sum(p["decision"] == "answer" for p in lines)
    seen, unseen = DETAILS
    kinds = ("number", "opposite", "role", "kind", "aspect")
    return [str(x) for x in [count(seen, "changed"), count(seen, "same"), count(unseen, "changed"),
                             *[count(unseen, "changed", k) for k in kinds], count(unseen, "same")]]


def lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(l) for l in f]


def cells(line):
    return [c.strip() for c in line.strip().strip("|").split("|")]


class Document:
    def __init__(s, path):
        s.path = path
        s.lines = open(os.path.join(ROOT, path), encoding="utf-8").read().split("\n")
        s.changed = 0

    def table(s, *words):
        """Where the rows begin of the table whose header has all the words."""
        found = [i for i, l in enumerate(s.lines) if l.startswith("|") and all(w in l for w in words) and s.lines[i + 1].startswith("| ---")]
        if len(found) != 1:
            sys.exit(f"{s.path}: {len(found)} tables have a header with {', '.join(words)}; name one in benches/figures.py")
        return found[0] + 2

    def put(s, i, keep, new):
        """Replaces all cells of a row but the first `keep`."""
        old = s.lines[i].strip().strip("|").split("|")
        if len(old) != keep + len(new):
            sys.exit(f"{s.path}:{i + 1}: the row has {len(old)} cells, not {keep + len(new)}")
        line = "|" + "|".join(old[:keep] + [f" {c} " for c in new]) + "|"
        s.changed += line != s.lines[i]
        s.lines[i] = line

    def row(s, start, name):
        """Where the row of a set is; the number of questions behind it and asterisks around it are not its name."""
        for i in range(start, len(s.lines)):
            if not s.lines[i].startswith("|"):
                sys.exit(f"{s.path}: the table at line {start + 1} has no row {name}")
            if cells(s.lines[i])[0].split(" (")[0].strip("*") == name:
                return i

    def save(s):
        open(os.path.join(ROOT, s.path), "w", encoding="utf-8").write("\n".join(s.lines))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out"); a.add_argument("--dev"); a.add_argument("--write", action="store_true")
    a.add_argument("--again", action="store_true", help="only the tables, from what an earlier run left in OUT")
    a = a.parse_args()
    ours = os.path.join(ROOT, "corpora")
    sets = [s for s in SETS if a.dev or not s[1]]
    if not a.again:
        jobs = [(a.dev if dev else ours, name, goal, a.out, unseen, name.removeprefix("my-")) for goal in GOALS for name, dev, _, unseen in sets]
        jobs += [(ours, name, 0.05, a.out) for name in (*DETAILS, *TRADES)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for job in [pool.submit(evaluate, *j) for j in jobs]:
                job.result()
    reports = {name: {goal: json.load(open(f"{a.out}/{goal}/{name}/report.json"))["generations"] for goal in GOALS} for name, *_ in sets}

    english, chinese, corpora = (Document(p) for p in ("README.md", "README.zh-CN.md", "corpora/README.md"))
    for doc, header in ((english, ("| set (questions)", "AUROC")), (chinese, ("| 测试集（题数）", "AUROC"))):
        start = doc.table(*header)
        for name, _, row, _ in sets:
            at = doc.row(start, row)
            for k, new in enumerate(worth(reports[name])):
                doc.put(at + k, 2, new)
    start = corpora.table("| set | gen. | goal 2 %")
    for name, _, row, _ in sets:
        at = corpora.row(start, row)
        for k, new in enumerate(kept(reports[name])):
            corpora.put(at + k, 2, new)
    start = corpora.table("| trade (questions)")
    trades = {name: {0.05: json.load(open(f"{a.out}/0.05/{name}/report.json"))["generations"]} for name in TRADES}
    for name in TRADES:
        at = corpora.row(start, name)
        for k, (new, g) in enumerate(zip(worth(trades[name]), "12")):
            corpora.put(at + k, 2, [*new[:5], percent(trades[name][0.05][g]["coverage"]), *new[6:]])
    start = corpora.table("| details: changed")
    at = corpora.row(start, "`contradicted`")
    queries = {name: lines(f"{ours}/{name}.queries.jsonl") for name in DETAILS}
    for k in (0, 1):
        predictions = {name: lines(f"{a.out}/0.05/{name}/predictions-gen{k + 1}.jsonl") for name in DETAILS}
        corpora.put(at + k, 2, details({n: [p | {"tags": q["tags"]} for p, q in zip(predictions[n], queries[n])] for n in DETAILS}))

    if len(sets) == len(SETS):                                     # thresholds are tuned on the other sets, so all are needed
        p = subprocess.run([ZHIDA, "eval", "thresholds", *[f"{a.out}/0.05/{name}.jsonl" for name, *_ in sets]], capture_output=True, text=True)
        if p.returncode:
            sys.exit(p.stderr)
        printed = [cells(l) for l in p.stdout.split("\n") if l.startswith("|") and not l.startswith("| -")]
        names = {name: row for name, _, row, _ in sets}
        coverage, tuned, order = corpora.table("BM25 0.80", "zhida 0.80"), corpora.table("cosine 5 %: wrong"), corpora.table("| wrong, alone")
        thresholds = {}
        for line in printed:
            if line[0] not in names:
                continue
            if len(line) == 10:
                corpora.put(corpora.row(coverage, names[line[0]]), 1, line[1:])
            elif len(line) == 8:
                thresholds[line[0], line[1], line[2]] = [line[5], line[6].split(" (")[0]]
            else:
                corpora.put(corpora.row(order, names[line[0]]), 1, line[1:])
        for name, row in names.items():
            corpora.put(corpora.row(tuned, row), 1, sum((thresholds[name, goal, score] for goal in ("0.05", "0.1") for score in ("cosine", "BM25")), []))
    else:
        print("the tables of thresholds and of the order of the stages need the development sets (--dev)")

    for doc in (english, chinese, corpora):
        print(f"{doc.path}: {doc.changed} rows {'changed' if a.write else 'differ'}")
        if a.write:
            doc.save()
    every = [(name, g, goal) for name in reports for g in "12" for goal in GOALS]
    broken = [(n, g, goal) for n, g, goal in every if breaks(reports[n][goal][g], goal)]
    print(f"goals kept in {len(every) - len(broken)} of {len(every)} cells; broken:", *[f"{n} gen. {g} at {goal}" for n, g, goal in broken], sep="\n  ")
    for g in "12":
        told = [trades[name][0.05][g] for name in TRADES]
        print(f"trades, generation {g}, wrong / answered at 0.05:", f"{sum(r['wrong'] for r in told)}/{sum(r['answered'] for r in told)},",
              f"mean coverage {percent(sum(r['coverage'] for r in told) / len(told))}")
    two = {name: reports[name][0.05]["2"] for name in reports}
    print("generation 2, calibration error:", *[f"{n} {r['ece']:.3f}" for n, r in sorted(two.items(), key=lambda x: x[1]["ece"])])
    for goal in GOALS:
        print(f"generation 2, wrong / answered at {goal}:", *[f"{n} {reports[n][goal]['2']['wrong']}/{reports[n][goal]['2']['answered']}" for n in reports])
    mean = lambda g, f: sum(f(reports[n][0.05][g]) for n in reports) / len(reports)
    for g in "12":
        print(f"generation {g}, means: top-1 {percent(mean(g, lambda r: r['recall_at']['1']))}, AUROC {mean(g, lambda r: r['auroc']):.3f},",
              f"coverage at 0.90 {percent(mean(g, lambda r: r['coverage_at_precision']['0.90']))},",
              f"answered {percent(mean(g, lambda r: r['answer_rate']))}, wrong {percent(mean(g, lambda r: r['wrong_rate'] or 0))}")


if __name__ == "__main__":
    main()
