"""What the teacher and the model so far think of sentences, as one vector a sentence whose products are the targets.
usage: lessons.py DATA MODEL SENTENCES TEACHER_SHARDS_DIR OUT   (SENTENCES: one a line; shards tv-%05d.npy of 10,000 each, missing ones are left out)
OUT-ids.npz (ids, len, leaf) and OUT-vec.npy (float16)"""
import os, sys
from common import *
data, model, sents, shards, out = sys.argv[1:]
torch.set_num_threads(1)
S = open(sents, encoding="utf-8").read().split("\n")
have, T = [], []
for k in range((len(S) + 9999) // 10000):
    p = f"{shards}/tv-{k:05d}.npy"
    if os.path.exists(p):
        have.append(k); T.append(np.load(p))
T = np.concatenate(T)
S = [s for k in have for s in S[k * 10000:(k + 1) * 10000]]
assert len(S) == len(T), (len(S), len(T))
print("sentences", len(S), flush=True)
tok = tokenizer(os.path.join(data, "seed-model"))
seqs = encode(tok, S)
m = load(model)
with torch.autocast("cpu", torch.bfloat16):
    O = embed_all(m, seqs).astype(np.float16)
def centred(X):
    mu = X[::7].astype(np.float32).mean(0)
    for i in range(0, len(X), 50000):
        y = X[i:i + 50000].astype(np.float32) - mu
        X[i:i + 50000] = y / np.linalg.norm(y, axis=1, keepdims=True)
    return X
T, O = centred(T), centred(O)
r = np.random.RandomState(1); a, b = r.randint(len(S), size=(2, 200000))
st = (T[a].astype(np.float32) * T[b].astype(np.float32)).sum(1).std(); so = (O[a].astype(np.float32) * O[b].astype(np.float32)).sum(1).std()
mean = (st + so) / 2
print("spread", st, so, flush=True)
V = np.empty((len(S), T.shape[1] + O.shape[1]), np.float16)
V[:, :T.shape[1]] = T * np.float16((mean / st) ** 0.5); V[:, T.shape[1]:] = O * np.float16((mean / so) ** 0.5)
np.save(out + "-vec.npy", V)
del T, O
rng, leaf, n, LEAF = np.random.RandomState(3), np.zeros(len(S), np.int32), 0, 32
todo = [np.arange(len(S))]
while todo:
    part = todo.pop()
    if len(part) > LEAF:
        e = V[part].astype(np.float32)
        a, b = e[rng.choice(len(part), 2, replace=False)]
        for _ in range(2):
            side = e @ (a - b) > ((a + b) @ (a - b)) / 2
            if not 0.1 < side.mean() < 0.9:
                x = e @ (a - b); side = x > np.median(x)
            if side.all() or not side.any():
                side = rng.rand(len(part)) < 0.5
            a, b = e[side].mean(0), e[~side].mean(0)
        todo += [part[side], part[~side]]
    else:
        leaf[part], n = n, n + 1
np.savez(out + "-ids.npz", ids=np.concatenate(seqs), len=np.array([len(x) for x in seqs], np.uint8), leaf=leaf)
print("leaves", n, flush=True)
