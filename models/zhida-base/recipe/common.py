"""Model, tokenising and small helpers shared by all steps."""
import glob, json, lzma, os, time, unicodedata
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MAXLEN, MASK = 48, 4
VOCAB = os.environ.get("VOCAB")     # a folder with tokenizer.json, instead of the seed's


def norm(s):
    return unicodedata.normalize("NFKC", s).lower().strip()


def tokenizer(seed):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(os.path.join(VOCAB or seed, "tokenizer.json"))
    t.no_padding()
    t.enable_truncation(MAXLEN)
    return t


def encode(tok, texts):
    """List of strings -> list of uint16 arrays."""
    out = []
    for i in range(0, len(texts), 20000):
        for e in tok.encode_batch_fast([norm(x) for x in texts[i:i + 20000]], add_special_tokens=False):
            out.append(np.array(e.ids or [1], dtype=np.uint16))
    return out


def lines(path):
    op = lzma.open if path.endswith(".xz") else open
    with op(path, "rt", encoding="utf-8") as f:
        for x in f:
            yield x.rstrip("\n")


def sentences(data):
    """The text and both sides of the training pairs, each side once per set."""
    for f in sorted(glob.glob(f"{data}/text/*.xz")):
        yield from lines(f)
    for f in sorted(glob.glob(f"{data}/pairs/train/*.tsv.xz")):
        seen = set()
        for l in lines(f):
            for s in l.split("\t")[:2]:
                if s not in seen:
                    seen.add(s); yield s


class Layer(nn.Module):
    def __init__(s, d, ff):
        super().__init__()
        s.q, s.k, s.v, s.o = (nn.Linear(d, d) for _ in range(4))
        s.n1, s.n2 = nn.LayerNorm(d, eps=1e-12), nn.LayerNorm(d, eps=1e-12)
        s.f1, s.f2 = nn.Linear(d, ff), nn.Linear(ff, d)


class Encoder(nn.Module):
    """BERT layers over packed tokens: sentences sorted by length lie end to end, so nothing is spent on padding."""

    def __init__(s, cfg):
        super().__init__()
        d, s.h = cfg["hidden_size"], cfg["num_attention_heads"]
        s.cfg = cfg
        s.word = nn.Embedding(cfg["vocab_size"], d)
        s.pos = nn.Embedding(cfg["max_position_embeddings"], d)
        s.typ = nn.Embedding(cfg["type_vocab_size"], d)
        s.norm = nn.LayerNorm(d, eps=1e-12)
        s.layers = nn.ModuleList(Layer(d, cfg["intermediate_size"]) for _ in range(cfg["num_hidden_layers"]))

    def forward(s, ids, groups, drop=0.0):
        """ids [T], groups [(n sentences, length)] in order -> hidden [T, d]."""
        pos = torch.cat([torch.arange(L).repeat(n) for n, L in groups])
        x = F.layer_norm(s.word(ids) + s.pos(pos) + s.typ.weight[0], s.norm.normalized_shape, s.norm.weight, s.norm.bias, 1e-12)
        if drop:
            x = F.dropout(x, drop)
        d = x.shape[1]
        e = d // s.h
        for l in s.layers:
            qkv = F.linear(x, torch.cat([l.q.weight, l.k.weight, l.v.weight]), torch.cat([l.q.bias, l.k.bias, l.v.bias]))
            outs = []
            for (n, L), part in zip(groups, qkv.split([n * L for n, L in groups])):
                q, k, v = part.view(n, L, 3, s.h, e).permute(2, 0, 3, 1, 4).unbind(0)
                # spelled out: the fused kernel's backward pass takes three times as long for sentences this short
                a = torch.softmax(q @ k.transpose(2, 3) * e ** -0.5, -1).to(v.dtype) @ v
                outs.append(a.transpose(1, 2).reshape(n * L, d))
            a = l.o(torch.cat(outs))
            x = l.n1(x + (F.dropout(a, drop) if drop else a))
            f = l.f2(F.gelu(l.f1(x)))
            x = l.n2(x + (F.dropout(f, drop) if drop else f))
        return x


NAMES = [("q", "attention.self.query"), ("k", "attention.self.key"), ("v", "attention.self.value"),
         ("o", "attention.output.dense"), ("n1", "attention.output.LayerNorm"), ("f1", "intermediate.dense"),
         ("f2", "output.dense"), ("n2", "output.LayerNorm")]


def hf_names(layers):
    m = {"word.weight": "embeddings.word_embeddings.weight", "pos.weight": "embeddings.position_embeddings.weight",
         "typ.weight": "embeddings.token_type_embeddings.weight", "norm.weight": "embeddings.LayerNorm.weight",
         "norm.bias": "embeddings.LayerNorm.bias"}
    for i in range(layers):
        for a, b in NAMES:
            for p in ("weight", "bias"):
                m[f"layers.{i}.{a}.{p}"] = f"encoder.layer.{i}.{b}.{p}"
    return m


def load(folder):
    """Reads a model folder (half-precision safetensors)."""
    from safetensors.torch import load_file
    cfg = json.load(open(os.path.join(folder, "config.json")))
    m = Encoder(cfg)
    w = load_file(os.path.join(folder, "model.safetensors"))
    m.load_state_dict({a: w[b].float() for a, b in hf_names(cfg["num_hidden_layers"]).items()})
    return m


def load_checkpoint(path, seed, which="ema"):
    """A checkpoint's network; its vocabulary and layers are read off the tensors."""
    sd = torch.load(path, map_location="cpu", weights_only=True)[which]
    cfg = json.load(open(os.path.join(seed, "config.json")))
    cfg["vocab_size"] = len(sd["word.weight"])
    cfg["num_hidden_layers"] = 1 + max(int(k.split(".")[1]) for k in sd if k.startswith("layers."))
    m = Encoder(cfg)
    m.load_state_dict(sd)
    return m


def export(m, seed, out):
    """Writes a model folder in the seed's layout; renamed into place so that a reader never sees half."""
    import shutil
    from safetensors.torch import save_file
    tmp = out.rstrip("/") + f".tmp{os.getpid()}"
    os.makedirs(tmp, exist_ok=True)
    shutil.copyfile(os.path.join(VOCAB or seed, "tokenizer.json"), os.path.join(tmp, "tokenizer.json"))
    with open(os.path.join(tmp, "config.json"), "w") as f:
        json.dump(m.cfg, f, indent=1)
    sd = m.state_dict()
    w = {b: sd[a].half().contiguous() for a, b in hf_names(len(m.layers)).items()}
    save_file(w, os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
    os.chmod(os.path.join(tmp, "model.safetensors"), 0o644)
    old = out.rstrip("/") + f".old{os.getpid()}"
    if os.path.exists(out):
        os.rename(out, old)
    os.rename(tmp, out)
    shutil.rmtree(old, ignore_errors=True)


def pack(seqs):
    """Sequences -> (ids, groups, order): sorted by length, order[i] = index of the i-th packed sentence."""
    ln = np.array([len(x) for x in seqs])
    order = np.argsort(ln, kind="stable")
    u, c = np.unique(ln, return_counts=True)
    ids = torch.from_numpy(np.concatenate([seqs[i] for i in order]).astype(np.int64))
    return ids, [(int(n), int(L)) for L, n in zip(u, c)], order


def means(x, groups):
    """Packed tokens [T, d] -> the mean of each sentence's [n, d], in packed order."""
    return torch.cat([p.view(n, L, -1).mean(1) for (n, L), p in zip(groups, x.split([n * L for n, L in groups]))])


def embed(m, seqs, drop=0.0):
    """Unit-length mean-pooled embeddings in the order of seqs."""
    ids, groups, order = pack(seqs)
    e = means(m(ids, groups, drop), groups)
    inv = torch.empty(len(order), dtype=torch.long)
    inv[torch.from_numpy(order)] = torch.arange(len(order))
    return F.normalize(e[inv], dim=1)


@torch.no_grad()
def embed_all(m, seqs, batch=512):
    order = np.argsort([len(x) for x in seqs], kind="stable")
    out = np.empty((len(seqs), m.cfg["hidden_size"]), np.float32)
    for i in range(0, len(order), batch):
        b = order[i:i + batch]
        out[b] = embed(m, [seqs[j] for j in b]).float().numpy()
    return out


def pause():
    """Sleeps while the file named by $PAUSE_FILE exists."""
    p = os.environ.get("PAUSE_FILE")
    while p and os.path.exists(p):
        time.sleep(2)
