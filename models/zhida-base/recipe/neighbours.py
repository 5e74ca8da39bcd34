"""Sorts the sentences of every pair set so that like sentences stand together, for batches of neighbours (train_pairs.py --hard).
usage: neighbours.py DATA CACHE CKPT SET [SET ...]
The vectors are cut in two by 2-means, again and again, down to leaves of at most LEAF sentences; `leaf` is each sentence's."""
import os, sys
from common import *

LEAF = 48
data, cache, ckpt, *names = sys.argv[1:]
torch.set_num_threads(1)
m = load_checkpoint(ckpt, os.path.join(data, "seed-model"))
for name in names:
    z = np.load(f"{cache}/pairs-{name}.npz")
    seqs = np.split(z["ids"], np.cumsum(z["len"].astype(np.int64))[:-1])
    with torch.autocast("cpu", torch.bfloat16):
        e = embed_all(m, seqs)
    rng, leaf, n = np.random.RandomState(3), np.zeros(len(seqs), np.int32), 0
    todo = [np.arange(len(seqs))]
    while todo:
        part = todo.pop()
        if len(part) > LEAF:
            a, b = e[rng.choice(part, 2, replace=False)]
            for _ in range(3):                                 # 2-means, three rounds
                side = e[part] @ (a - b) > ((a + b) @ (a - b)) / 2
                if not 0.1 < side.mean() < 0.9:                # lopsided: cut in the middle instead
                    x = e[part] @ (a - b)
                    side = x > np.median(x)
                if side.all() or not side.any():
                    side = rng.rand(len(part)) < 0.5
                a, b = e[part[side]].mean(0), e[part[~side]].mean(0)
            todo += [part[side], part[~side]]
        else:
            leaf[part], n = n, n + 1
    np.savez(f"{cache}/near-{name}.npz", leaf=leaf)
    print(name, "sentences", len(seqs), "leaves", n, flush=True)
