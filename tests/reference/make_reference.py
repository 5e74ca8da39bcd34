"""Makes the reference vectors that tests/it/model.rs compares with.

    pip install torch tokenizers safetensors
    python3 tests/reference/make_reference.py            # models/zhida-base -> zhida-base.json
    python3 tests/reference/make_reference.py DIR OUT    # any BERT-type folder

A BERT forward in plain PyTorch (f32), the ids from the Python tokenizers
library, pooling and length as the folder's manifest.json (or its
sentence-transformers files) say. Takes a few seconds.
"""

import hashlib
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent

SENTENCES = [
    "怎么申请七天无理由退货",
    "不想要了咋退",
    "我的快递三天没动静了是不是丢件了",
    "信用卡年费能免吗?",
    "我要找人工!!!",
    "请问一下,你们家的充电宝能带上飞机吗,谢谢",
    "iphone 15 pro max 256g 有货没",
    "订单号 20240815-00931 什么时候发货",
    "15分钟没到账",
    "3分钟没到账",
    "宽带网速只有 2.5 mbps,办的可是 1000 兆",
    "花呗和借呗有什么区别",
    "怎么开通国际漫游服务",
    "怎么关闭国际漫游服务",
    "好",
    "😀👍 东西收到了,很满意 🎉",
    "how do i reset my password",
    "zhifubao 怎么绑卡",
    "上周在店里给我妈买了件羽绒服,当时说好了不合适可以换,结果昨天拿去店里,店员说吊牌剪了不给换,"
    "可是吊牌明明是他们自己剪的,我跟他们讲了半天也没用,你们总部到底管不管这件事,我到底应该找谁处理",
    "(发票)抬头:上海某某科技有限公司;税号 91310000ma1fl0000x",
    "龘靐齉 ☂ ∮ ﷽",
    "退 款   多 久",
]


LINES = 10_000
BLOCK = 100
SPICE = ["😀", "👨\u200d👩\u200d👧", "\ufffd", "\u0000", "\u200b", "e\u0301", "🇨🇳", "①", "ﷺ", "ｶﾞ", "\t", "\U0002000b", "Ⅷ", "\ue000", "…", "①②"]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def mixed_lines(repository):
    """Ten thousand lines made from the corpora, some mangled; tests/it/model.rs makes the same."""
    base = []
    for path in sorted((repository / "corpora").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            base.extend(strings(json.loads(line)))
    for number in range(LINES):
        chars = list(base[number * 7 % len(base)])
        spice = list(SPICE[number % len(SPICE)])
        at = number * 31 % (len(chars) + 1)
        kind = number % 6
        if kind == 1:                                     # something odd in the middle
            chars = chars[:at] + spice + chars[at:]
        elif kind == 2:                                   # cut off and reversed
            chars = chars[:at][::-1]
        elif kind == 3:                                   # full-width and upper case
            chars = [chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in chars]
        elif kind == 4:                                   # spaces everywhere
            chars = [x for c in chars for x in (c, " ")]
        elif kind == 5:                                   # Latin and digits around it
            chars = list(f"iPhone{number}") + chars + spice + list(f"V{number % 13}.{number % 7}")
        yield "".join(chars)


def id_digests(tokenizer, lines):
    """SHA-256 over the ids of every block of lines."""
    digests, block = [], []
    for number, line in enumerate(lines, 1):
        block.append(",".join(map(str, tokenizer.encode(line).ids)))
        if number % BLOCK == 0:
            digests.append(hashlib.sha256("\n".join(block).encode()).hexdigest()[:16])
            block = []
    return digests


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def settings(folder, config):
    """How the folder wants its token vectors pooled, and its longest text."""
    manifest = folder / "manifest.json"
    if manifest.exists():
        values = json.loads(manifest.read_text())
        return values["pooling"], values["max_tokens"]
    pooling, length = "mean", config["max_position_embeddings"]
    if (folder / "1_Pooling/config.json").exists():
        modes = json.loads((folder / "1_Pooling/config.json").read_text())
        pooling = "cls" if modes.get("pooling_mode_cls_token") else "mean"
    if (folder / "sentence_bert_config.json").exists():
        length = min(length, json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])
    return pooling, length


def forward(ids, weights, config):
    """The last layer's vectors of one sentence, [tokens, hidden_size]."""
    heads = config["num_attention_heads"]
    width = config["hidden_size"]
    eps = config.get("layer_norm_eps", 1e-12)
    act = {
        "gelu": F.gelu,
        "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
        "relu": F.relu,
    }[config.get("hidden_act", "gelu")]

    def linear(x, name):
        return x @ weights[name + ".weight"].T + weights[name + ".bias"]

    def norm(x, name):
        return F.layer_norm(x, (width,), weights[name + ".weight"], weights[name + ".bias"], eps)

    tokens = len(ids)
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][:tokens]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        q, k, v = (
            linear(x, at + "attention.self." + part).view(tokens, heads, width // heads).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        shares = torch.softmax(q @ k.transpose(1, 2) / (width // heads) ** 0.5, -1)
        context = (shares @ v).transpose(0, 1).reshape(tokens, width)
        x = norm(x + linear(context, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        inner = act(linear(x, at + "intermediate.dense"))
        x = norm(x + linear(inner, at + "output.dense"), at + "output.LayerNorm")
    return x


def main():
    repository = HERE.parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else repository / "models/zhida-base"
    out = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / (folder.name + ".json")
    config = json.loads((folder / "config.json").read_text())
    pooling, length = settings(folder, config)
    weights = {
        name.removeprefix("bert."): tensor.float()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    lines = []
    with torch.no_grad():
        for text in SENTENCES:
            ids = tokenizer.encode(text).ids
            rows = forward(ids, weights, config)
            vector = rows[0] if pooling == "cls" else rows.mean(0)
            vector = [round(x, 6) for x in (vector / vector.norm()).tolist()]
            lines.append(json.dumps({"text": text, "ids": ids, "vector": vector}, ensure_ascii=False))
    head = {
        "made_by": f"tests/reference/make_reference.py, PyTorch {torch.__version__}",
        "weights_sha256": digest(folder / "model.safetensors"),
        "tokenizer_sha256": digest(folder / "tokenizer.json"),
    }
    if folder == repository / "models/zhida-base":
        head["ids_of_mixed_lines"] = id_digests(tokenizer, mixed_lines(repository))
    text = json.dumps(head, ensure_ascii=False)[:-1] + ', "sentences": [\n' + ",\n".join(lines) + "\n]}\n"
    out.write_text(text)
    print(f"{len(lines)} sentences -> {out}")


if __name__ == "__main__":
    main()
