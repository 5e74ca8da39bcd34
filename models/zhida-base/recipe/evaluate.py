"""Scores a model folder or checkpoint on pairs/dev (Spearman x 100) and faq/dev.
usage: evaluate.py DATA MODEL [--limit N]   MODEL: folder, or .pt checkpoint (uses DATA/seed-model's config)"""
import argparse, json, os
import numpy as np
import scipy.sparse as sp
import torch
from scipy.stats import rankdata, spearmanr
from common import *

SETS = ["bq", "lcqmc", "oppo", "stsb", "pawsx", "cmedqq", "chip_sts"]
FAQ = ["bank", "assistant", "general", "shop"]


def grams(s):
    s = norm(s)
    return list(s) + [s[i:i + 2] for i in range(len(s) - 1)]


def bm25(docs, queries, k1=1.2, b=0.75):
    voc, rows, cols, vals, ln = {}, [], [], [], []
    for i, d in enumerate(docs):
        g = grams(d)
        ln.append(len(g))
        for t in g:
            rows.append(i); cols.append(voc.setdefault(t, len(voc))); vals.append(1.0)
    tf = sp.csr_matrix((vals, (rows, cols)), shape=(len(docs), len(voc)))
    tf.sum_duplicates()
    df = np.bincount(tf.indices, minlength=len(voc))
    idf = np.log(1 + (len(docs) - df + 0.5) / (df + 0.5))
    ln = np.array(ln)
    c = tf.tocoo()
    w = idf[c.col] * c.data * (k1 + 1) / (c.data + k1 * (1 - b + b * ln[c.row] / ln.mean()))
    D = sp.csr_matrix((w, (c.row, c.col)), shape=tf.shape)
    rows, cols = [], []
    for i, q in enumerate(queries):
        for t in set(grams(q)):
            if t in voc:
                rows.append(i); cols.append(voc[t])
    Q = sp.csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(len(queries), len(voc)))
    return (Q @ D.T).toarray().astype(np.float32)


def auroc(score, pos):
    r = rankdata(score)
    p, n = pos.sum(), (~pos).sum()
    return (r[pos].sum() - p * (p + 1) / 2) / max(1, p * n)


class Evaluator:
    def __init__(s, data, limit=0, faq=True):
        tok = tokenizer(os.path.join(data, "seed-model"))
        s.pairs, s.faq = {}, {}
        for n in SETS:
            rows = [x.split("\t") for x in lines(f"{data}/pairs/dev/{n}.tsv")]
            if limit and len(rows) > limit:
                rows = [rows[i] for i in np.random.RandomState(0).permutation(len(rows))[:limit]]
            s.pairs[n] = (encode(tok, [r[0] for r in rows]), encode(tok, [r[1] for r in rows]), np.array([float(r[2]) for r in rows]))
        for n in FAQ if faq else []:
            kb = [json.loads(x) for x in lines(f"{data}/faq/dev/{n}.kb.jsonl")]
            qs = [json.loads(x) for x in lines(f"{data}/faq/dev/{n}.queries.jsonl")]
            idx = {e["id"]: i for i, e in enumerate(kb)}
            ph = [(i, t) for i, e in enumerate(kb) for t in [e["question"]] + e["similar"]]
            own = np.array([i for i, _ in ph])
            texts = [t for _, t in ph]
            gold = np.array([idx.get(q["expect"], -1) if q["expect"] else -1 for q in qs])
            b = bm25(texts, [q["text"] for q in qs])
            starts = np.searchsorted(own, np.arange(len(kb)))
            s.faq[n] = (encode(tok, texts), starts, encode(tok, [q["text"] for q in qs]), gold, np.maximum.reduceat(b, starts, axis=1))

    def __call__(s, m):
        res = {}
        for n, (a, b, y) in s.pairs.items():
            e = embed_all(m, a + b)
            res[n] = 100 * spearmanr((e[:len(a)] * e[len(a):]).sum(1), y).statistic
        for n, (kb, starts, qs, gold, bm) in s.faq.items():
            c = embed_all(m, qs) @ embed_all(m, kb).T
            c = np.maximum.reduceat(c, starts, axis=1)
            h = c + 0.15 * bm / np.maximum(bm.max(1, keepdims=True), 1e-6)
            ans = gold >= 0
            for tag, x in (("cos", c), ("hyb", h), ("bm25", bm)):
                ok = ans & (x.argmax(1) == gold)
                top5 = np.argpartition(-x, 5, axis=1)[:, :5]
                res[f"{n}.{tag}.top1"] = 100 * ok[ans].mean()
                res[f"{n}.{tag}.r5"] = 100 * (top5[ans] == gold[ans, None]).any(1).mean()
                conf = {"cos": c, "hyb": c, "bm25": bm}[tag].max(1)
                res[f"{n}.{tag}.auroc"] = 100 * auroc(conf, ok)
                if tag == "hyb":
                    res[f"{n}.hyb.auroc_hyb"] = 100 * auroc(x.max(1), ok)
        return res


def show(r):
    s = " ".join(f"{n} {r[n]:.1f}" for n in SETS)
    for n in FAQ:
        if f"{n}.cos.top1" in r:
            s += f"\n  {n:9s}" + " | ".join(f"{t} top1 {r[f'{n}.{t}.top1']:.1f} r5 {r[f'{n}.{t}.r5']:.1f} auroc {r[f'{n}.{t}.auroc']:.1f}" for t in ("bm25", "cos", "hyb")) + f" (hyb score {r[f'{n}.hyb.auroc_hyb']:.1f})"
    return s


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("data"); p.add_argument("model"); p.add_argument("--limit", type=int, default=0); p.add_argument("--json")
    a = p.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    seed = os.path.join(a.data, "seed-model")
    if a.model.endswith(".pt"):
        m = load_checkpoint(a.model, seed)
    else:
        m = load(a.model)
    r = Evaluator(a.data, a.limit)(m)
    print(a.model, show(r))
    if a.json:
        json.dump(r, open(a.json, "w"), indent=1)
