"""Cuts the text into piece ids for masked-language modelling; lines of fewer than 4 or more than 64 pieces are left out.
usage: VOCAB=VOCAB cut_ids.py DATA OUT.npz"""
import os, sys
from itertools import islice
from common import *
data, out = sys.argv[1:3]
t = tokenizer(os.path.join(data, "seed-model"))
t.no_truncation()
source, kept = sentences(data), []
while buf := [norm(s)[:150] for s in islice(source, 50000)]:
    kept += [x for x in encode(t, buf) if 4 <= len(x) <= 64]
np.savez(out, ids=np.concatenate(kept), len=np.array([len(x) for x in kept], np.uint8))
print("sentences", len(kept), "pieces", sum(map(len, kept)), flush=True)
