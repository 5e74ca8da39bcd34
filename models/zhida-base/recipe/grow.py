"""Starts the model with the larger vocabulary from one with characters and from word vectors.
usage: grow.py BASE_CKPT BASE_FOLDER VOCAB W2V OUT [--alpha A] [--beta B]
A piece starts as the mean of its characters' embeddings (what the layers know) plus A x its word vector, mapped to the space
of the old embeddings by ridge regression over the characters, plus B x its rotated word vector."""
import argparse
import numpy as np
from gensim.models import KeyedVectors
from common import *

p = argparse.ArgumentParser()
p.add_argument("ckpt"); p.add_argument("base"); p.add_argument("vocab"); p.add_argument("w2v"); p.add_argument("out")
p.add_argument("--alpha", type=float, default=0.5); p.add_argument("--beta", type=float, default=0.5)
a = p.parse_args()
from tokenizers import Tokenizer
old, new = Tokenizer.from_file(f"{a.base}/tokenizer.json"), Tokenizer.from_file(f"{a.vocab}/tokenizer.json")
sd = torch.load(a.ckpt, map_location="cpu", weights_only=True)["ema"]
E = sd["word.weight"].numpy()
kv = KeyedVectors.load(a.w2v)
names = [new.id_to_token(i) for i in range(new.get_vocab_size())]
W = np.zeros((len(names), kv.vector_size), np.float32)
has = np.zeros(len(names), bool)
for i, n in enumerate(names):
    if n in kv:
        W[i] = kv[n]; has[i] = True
print("with a word vector", has.sum(), "of", len(names))
W[has] -= W[has].mean(0)
W[has] /= np.linalg.norm(W[has], axis=1, keepdims=True)
M = np.zeros((len(names), E.shape[1]), np.float32)
single = []
for i, n in enumerate(names):
    if i < 5:
        M[i] = E[i]
        continue
    ids = old.encode(n, add_special_tokens=False).ids or [1]
    M[i] = E[ids].mean(0)
    if len(ids) == 1 and ids[0] != 1 and has[i]:
        single.append(i)
mu = E.mean(0)
X, Y = W[single], M[single] - mu
G = X.T @ X
R = np.linalg.solve(G + 0.05 * np.trace(G) / len(G) * np.eye(len(G)), X.T @ Y)
P = X @ R
print("chars", len(single), "explained", 1 - ((Y - P) ** 2).sum() / ((Y - Y.mean(0)) ** 2).sum())
s = np.linalg.norm(Y, axis=1).mean()
Q, _ = np.linalg.qr(np.random.RandomState(0).randn(W.shape[1], E.shape[1]))
# Words' mean of characters has less length than a character: restore it.
L = np.array([len(old.encode(n, add_special_tokens=False).ids or [1]) for n in names])
N = mu + (M - mu) * np.sqrt(L)[:, None] ** 0.5
pred = W @ R
pred *= s / np.maximum(np.linalg.norm(pred, axis=1)[has].mean(), 1e-6)
rot = W @ Q * s
out = N + has[:, None] * (a.alpha * pred + a.beta * rot)
sd = dict(sd)
sd["word.weight"] = torch.from_numpy(out.astype(np.float32))
torch.save({"model": sd, "ema": sd, "step": 0}, a.out)
