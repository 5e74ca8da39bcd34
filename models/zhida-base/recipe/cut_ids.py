"""Cuts the text into piece ids for masked-language modelling; lines of fewer than 4 or more than 64 pieces are left out.
usage: VOCAB=VOCAB cut_ids.py DATA OUT.npz"""
import glob, os, sys
from common import *
data, out = sys.argv[1:3]
t = tokenizer(os.path.join(data, "seed-model"))
t.no_truncation()
ids, lens, buf, seen = [], [], [], set()


def flush():
    for e in t.encode_batch_fast(buf, add_special_tokens=False):
        if 4 <= len(e.ids) <= 64:
            ids.append(np.array(e.ids, np.uint16)); lens.append(len(e.ids))
    buf.clear()


for f in sorted(glob.glob(f"{data}/text/*.xz")):
    for s in lines(f):
        buf.append(norm(s)[:150])
        if len(buf) == 50000:
            flush()
for f in sorted(glob.glob(f"{data}/pairs/train/*.tsv.xz")):
    for l in lines(f):
        for s in l.split("\t")[:2]:
            if hash(s) not in seen:
                seen.add(hash(s)); buf.append(norm(s)[:150])
    flush()
np.savez(out, ids=np.concatenate(ids), len=np.array(lens, np.uint8))
print("sentences", len(lens), "pieces", sum(lens), flush=True)
