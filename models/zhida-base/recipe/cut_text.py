"""Writes the text cut into pieces, one sentence a line, for word vectors; every 12th word is spelled out in characters.
usage: cut_text.py DATA VOCAB OUT"""
import os, random, sys
from tokenizers import Tokenizer
from common import *
data, vocab, out = sys.argv[1:4]
t = Tokenizer.from_file(f"{vocab}/tokenizer.json")
names = [t.id_to_token(i) for i in range(t.get_vocab_size())]
rng = random.Random(5)
n = 0
with open(out + ".tmp", "w", encoding="utf-8") as f:
    buf = []
    def flush():
        global n
        for e in t.encode_batch_fast(buf, add_special_tokens=False):
            o = []
            for i in e.ids:
                w = names[i]
                if len(w) > 1 and i > 4 and rng.random() < 1 / 12 and w > "\u3400":
                    o += list(w)
                else:
                    o.append(w)
            n += len(o)
            f.write(" ".join(o) + "\n")
    for s in sentences(data):
        buf.append(norm(s)[:150])
        if len(buf) == 50000:
            flush(); buf.clear()
    flush()
os.replace(out + ".tmp", out)
print("tokens", n)
