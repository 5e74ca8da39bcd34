"""Interpolates between the seed (0) and a checkpoint (1) in weight space and scores each point on part of pairs/dev.
usage: soup.py DATA CKPT LIMIT ALPHA [ALPHA ...] [--raw]"""
import sys
import torch
from evaluate import Evaluator, SETS
from common import *

data, ck, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
seed = os.path.join(data, "seed-model")
ev = Evaluator(data, limit, faq=False)
for k in ("pawsx", "stsb"):
    ev.pairs[k] = tuple(x[:limit // 2] for x in ev.pairs[k])
z = torch.load(ck, map_location="cpu", weights_only=True)
print("step", z["step"], flush=True)
z = z["model" if "--raw" in sys.argv else "ema"]
base = load(seed).state_dict()
for a in [float(x) for x in sys.argv[4:] if x[0] != "-"]:
    m = load(seed)
    m.load_state_dict({k: (1 - a) * base[k] + a * z[k] for k in base})
    r = ev(m)
    print(f"alpha {a}", " ".join(f"{n} {r[n]:.1f}" for n in SETS), flush=True)
