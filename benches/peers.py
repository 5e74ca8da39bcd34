"""How fast is the encoder beside ONNX Runtime and PyTorch, on the same weights, in the same run?

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r benches/peers.txt
    /tmp/peers/bin/python benches/peers.py [MODEL_FOLDER] [--seconds 3] [--json FILE]

Exports the model folder to ONNX (float32, with ONNX Runtime's own transformer fusions, and once quantised to int8), times
both peers, sentence-transformers from text to vector, and `cargo bench --bench encoder` in turn, and prints times and ratios.
The shapes are those of the bench: sentences x tokens. Optional: neither the product nor its tests need it."""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPES = [(1, 8), (1, 16), (1, 48), (128, 16)]


def timed(work, seconds):
    """Median seconds of one call, over at least `seconds` and ten calls."""
    for _ in range(3):
        work()
    took, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(took) < 10:
        t = time.perf_counter()
        work()
        took.append(time.perf_counter() - t)
    return statistics.median(took)


def own(folder, seconds):
    """Medians of cargo bench, by (threads, shape, what)."""
    env = dict(os.environ, ZHIDA_BENCH_MODEL=str(folder))
    home = pathlib.Path(tempfile.mkdtemp())
    env["CRITERION_HOME"] = str(home)
    command = ["cargo", "bench", "--profile", "release", "--bench", "encoder", "--", "--measurement-time", str(seconds)]
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=sys.stderr)
    found = {}
    for path in home.glob("*/*/new/benchmark.json"):
        group, what = (json.loads(path.read_text())[key] for key in ("group_id", "function_id"))
        threads, shape = group.split("/")
        estimate = json.loads((path.parent / "estimates.json").read_text())["median"]["point_estimate"]
        found[int(threads.split()[0]), tuple(map(int, shape.split("x"))), what] = estimate / 1e9
    return found


def peers(folder, seconds):
    import numpy as np
    import onnx
    import onnxruntime as ort
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertModel, PreTrainedTokenizerFast

    work = pathlib.Path(tempfile.mkdtemp())
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32, attn_implementation="eager").eval()
    config = model.config

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    example = torch.ones(2, 8, dtype=torch.int64)
    torch.onnx.export(
        Network(), (example, example), str(work / "model.onnx"), dynamo=False, opset_version=17,
        input_names=["input_ids", "attention_mask"], output_names=["hidden"],
        dynamic_axes={name: {0: "sentences", 1: "tokens"} for name in ("input_ids", "attention_mask", "hidden")})
    fused = optimizer.optimize_model(
        str(work / "model.onnx"), model_type="bert", num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size, opt_level=1)
    print("fused operators:", {k: v for k, v in fused.get_fused_operator_statistics().items() if v}, file=sys.stderr)
    fused.save_model_to_file(str(work / "fused.onnx"))
    quantize_dynamic(
        str(work / "fused.onnx"), str(work / "int8.onnx"), weight_type=QuantType.QInt8, per_channel=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]")
    model.save_pretrained(work / "hf")
    tokenizer.save_pretrained(work / "hf")
    transformer = Transformer(str(work / "hf"))
    sentence = SentenceTransformer(
        modules=[transformer, Pooling(config.hidden_size, pooling_mode="mean")], device="cpu")
    names = tokenizer.convert_ids_to_tokens(list(range(config.vocab_size)))
    han = [n for n in names if len(n) == 1 and "一" <= n <= "龥"]
    rng = np.random.RandomState(0)
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        sessions = {name: ort.InferenceSession(str(work / f"{file}.onnx"), options, providers=["CPUExecutionProvider"])
                    for name, file in (("onnxruntime", "fused"), ("onnxruntime unfused", "model"), ("onnxruntime int8", "int8"))}
        for shape in SHAPES:
            ids = rng.randint(100, config.vocab_size, shape).astype(np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            for name, session in sessions.items():
                found[threads, shape, name] = timed(lambda: session.run(None, feed), seconds)
            tensor = torch.from_numpy(ids)
            with torch.inference_mode():
                found[threads, shape, "pytorch"] = timed(lambda: model(input_ids=tensor, attention_mask=None), seconds)
                text = "。".join(rng.choice(han, shape[1] // 2))
                texts = [text] * shape[0]
                found[threads, shape, "sentence-transformers (text)"] = timed(
                    lambda: sentence.encode(texts, batch_size=128, show_progress_bar=False), seconds)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=ROOT / "models" / "zhida-base")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    folder = args.folder.resolve()
    times = peers(folder, args.seconds) | own(folder, args.seconds)
    columns = sorted({key[2] for key in times}, key=lambda c: (c not in ("network", "encoder"), c))
    print("| threads | sentences x tokens | " + " | ".join(f"{c}, ms" for c in columns) + " | network / onnxruntime | encoder / onnxruntime |")
    print("|" + " --- |" * (len(columns) + 4))
    for threads in (1, 2):
        for shape in SHAPES:
            row = [times.get((threads, shape, c)) for c in columns]
            peer = times[threads, shape, "onnxruntime"]
            # One network call never splits over threads, so it has no time with two.
            ratios = [times.get((threads, shape, what)) for what in ("network", "encoder")]
            ratios = ["" if t is None else f"{t / peer:.2f}" for t in ratios]
            cells = ["" if t is None else f"{t * 1e3:.2f}" for t in row]
            print(f"| {threads} | {shape[0]} x {shape[1]} | " + " | ".join(cells + ratios) + " |")
    if args.json:
        args.json.write_text(json.dumps([[threads, shape, what, took] for (threads, shape, what), took in times.items()], indent=1))
