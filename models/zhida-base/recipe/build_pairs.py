"""Tokenises the labelled pairs: one npz per set with unique sentences and pairs (a, b, label in 0..1).
usage: build_pairs.py DATA CACHE"""
import glob, os, sys
from common import *

LAB = {"entailment": 1.0, "neutral": 0.5, "contradiction": 0.0}
SCALE = {"stsb": 5, "chinese_sts": 5, "kuake_qtr": 3}


def save(cache, name, tok, rows):
    idx, sents, a, b, y = {}, [], [], [], []
    for s, t, l in rows:
        s, t = norm(s), norm(t)
        if not s or not t or s == t:
            continue
        for z in (s, t):
            if z not in idx:
                idx[z] = len(sents); sents.append(z)
        a.append(idx[s]); b.append(idx[t]); y.append(l)
    seqs = encode(tok, sents)
    np.savez(os.path.join(cache, f"pairs-{name}.npz"), ids=np.concatenate(seqs), len=np.array([len(x) for x in seqs], np.uint8),
             a=np.array(a, np.int32), b=np.array(b, np.int32), y=np.array(y, np.float32))
    print(name, "pairs", len(a), "sentences", len(sents), "tokens", sum(map(len, seqs)), "positive %.2f" % np.mean(np.array(y) > 0.79), flush=True)


if __name__ == "__main__":
    data, cache = sys.argv[1:3]
    os.makedirs(cache, exist_ok=True)
    tok = tokenizer(os.path.join(data, "seed-model"))
    for f in sorted(glob.glob(f"{data}/pairs/train/*.tsv.xz")):
        n = os.path.basename(f)[:-7]
        rows = []
        for x in lines(f):
            c = x.split("\t")
            if len(c) == 3:
                rows.append((c[0], c[1], LAB[c[2]] if c[2] in LAB else float(c[2]) / SCALE.get(n, 1)))
        save(cache, n, tok, rows)
