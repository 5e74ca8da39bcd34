"""How fast is zhida over HTTP beside the Python stack that one would build instead, with the same weights, in the same run?

    python3 -m venv /tmp/stack && /tmp/stack/bin/pip install -r benches/stack.txt        (and `wrk` from Debian)
    /tmp/stack/bin/python benches/stack.py [--phrasings 5500] [--seconds 15]              after `cargo build --release`

The stack: FastAPI under uvicorn, jieba words and bm25s for the first list, BertModel of transformers in PyTorch (this
repository's own weights) with a NumPy product for the second, both lists summed by reciprocal ranks, a fixed bar on the cosine.
It does less than zhida does (no spelling, no homophones, no details, no calibration), so the comparison favours it. wrk sends
the corpora's questions, each made new by a number so that no cache helps, on 1 and on 8 kept-alive connections; it shares the
processor with the server, in both cases alike. Prints one Markdown table with ratios and the processor's name."""
import argparse, json, os, pathlib, re, signal, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches"))
MODEL = ROOT / "models" / "zhida-base"
SETS = ("shop", "bank", "telecom")


def knowledge_base(phrasings):
    from publish import entries
    return list(entries(phrasings))


def questions():
    texts = []
    for name in SETS:
        for line in (ROOT / "corpora" / f"{name}.queries.jsonl").read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["text"]
            if len(text) <= 30:
                texts.append(text)
    return texts


def stack(port, phrasings):
    """Runs the Python stack on a port."""
    import bm25s, jieba, numpy as np, torch, uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from transformers import BertModel, PreTrainedTokenizerFast

    torch.set_num_threads(os.cpu_count())
    base = knowledge_base(phrasings)
    of, texts = [], []
    for index, entry in enumerate(base):
        for text in [entry["question"], *entry["similar"]]:
            of.append(index)
            texts.append(text)
    exact = {text: index for text, index in zip(texts, of)}
    words = lambda text: [word for word in jieba.lcut(text) if word.strip()]
    bm25 = bm25s.BM25()
    bm25.index([words(text) for text in texts], show_progress=False)
    model = BertModel.from_pretrained(MODEL, add_pooling_layer=False, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(MODEL / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]")

    def embed(sentences):
        batch = tokenizer(sentences, padding=True, truncation=True, max_length=128, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()

    vectors = np.concatenate([embed(texts[at:at + 64]) for at in range(0, len(texts), 64)])
    app = FastAPI()

    class Question(BaseModel):
        text: str
        kb: str = "demo"

    @app.post("/v1/answer")
    def answer(question: Question):
        found = exact.get(question.text)
        if found is not None:
            return {"decision": "answer", "answer": {"text": base[found]["answer"]}, "confidence": 1.0}
        scores = {}
        lexical, _ = bm25.retrieve([words(question.text)], k=20, show_progress=False)
        for rank, place in enumerate(lexical[0]):
            entry = of[int(place)]
            scores[entry] = max(scores.get(entry, 0), 1 / (60 + rank))
        cosines = vectors @ embed([question.text])[0]
        nearest = np.argpartition(-cosines, 20)[:20]
        for rank, place in enumerate(nearest[np.argsort(-cosines[nearest])]):
            scores[of[place]] = scores.get(of[place], 0) + 1 / (60 + rank)
        best = max(scores, key=scores.get)
        sure = float(cosines.max())
        if sure < 0.8:
            return {"decision": "handoff", "confidence": sure}
        return {"decision": "answer", "answer": {"entry": base[best]["id"], "text": base[best]["answer"]}, "confidence": sure}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ready(port, process):
    """Waits until a server answers a question."""
    body = json.dumps({"text": "怎么退款", "kb": "stack"}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/answer", body, {"content-type": "application/json"})
    while process.poll() is None:
        try:
            urllib.request.urlopen(request, timeout=10).read()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"the server ended with {process.returncode}")


def load(port, script, connections, seconds):
    """p50 and p99 in milliseconds, answers a second, and replies that were not 200."""
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "20s", "-s", script,
                          f"http://127.0.0.1:{port}/v1/answer"], check=True, capture_output=True, text=True).stdout
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    at = lambda percent: (lambda m: float(m[1]) * unit[m[2]])(re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", out))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return at(50), at(99), float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), int(bad[1]) if bad else 0


def wrk_script(folder):
    path = folder / "ask.lua"
    texts = ",".join(json.dumps(text, ensure_ascii=False) for text in questions())
    path.write_text(
        "local texts = {" + texts + "}\nlocal turn = 0\nwrk.method = 'POST'\n"
        "wrk.headers['content-type'] = 'application/json'\n"
        "function request()\n  turn = turn + 1\n"
        "  local text = texts[turn % #texts + 1] .. turn\n"
        "  return wrk.format(nil, nil, nil, '{\"kb\":\"stack\",\"text\":\"' .. text .. '\"}')\nend\n", encoding="utf-8")
    return str(path)


def processor():
    names = re.findall(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    flags = re.search(r"flags\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())[1].split()
    kinds = [flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni") if flag in flags]
    return f"{names[0]}, {len(names)} cores, {' '.join(kinds)}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phrasings", type=int, default=5500)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--zhida", default=str(ROOT / "target/release/zhida"))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        stack(args.serve, args.phrasings)
        sys.exit()
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "kb.jsonl").write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in knowledge_base(args.phrasings)), encoding="utf-8")
    data = ["--data", str(folder / "data")]
    for command in (["kb", "import", *data, "--kb", "stack", str(folder / "kb.jsonl")], ["kb", "publish", *data, "--kb", "stack"]):
        subprocess.run([args.zhida, *command], check=True, capture_output=True)
    script = wrk_script(folder)
    found = {}
    for name in ("zhida", "Python stack"):
        port = free_port()
        command = ([args.zhida, "serve", *data, "--listen", f"127.0.0.1:{port}"] if name == "zhida" else
                   [sys.executable, __file__, "--serve", str(port), "--phrasings", str(args.phrasings)])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ready(port, process)
            load(port, script, 2, 3)
            for connections in (1, 8):
                found[name, connections] = load(port, script, connections, args.seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    print(f"{args.phrasings} phrasings; {processor()}\n")
    print("| connections | server | p50, ms | p99, ms | answers a second | not 200 |\n| --- | --- | --- | --- | --- | --- |")
    for connections in (1, 8):
        for name in ("zhida", "Python stack"):
            p50, p99, rate, bad = found[name, connections]
            print(f"| {connections} | {name} | {p50:.2f} | {p99:.2f} | {rate:.0f} | {bad} |")
        ours, theirs = found["zhida", connections], found["Python stack", connections]
        print(f"| {connections} | ratio | {theirs[0] / ours[0]:.1f} | {theirs[1] / ours[1]:.1f} | {ours[2] / theirs[2]:.1f} | |")
