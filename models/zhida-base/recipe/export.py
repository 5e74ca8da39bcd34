"""Writes a checkpoint as a model folder (half precision). usage: export.py DATA CKPT OUT [ALPHA] [--raw]
ALPHA: share of the checkpoint, the rest is the seed; the moving average is taken unless --raw."""
import sys
from common import *

args = [x for x in sys.argv[1:] if x != "--raw"]
data, ck, out = args[:3]
alpha = float(args[3]) if len(args) > 3 else 1.0
z = torch.load(ck, map_location="cpu", weights_only=True)["model" if "--raw" in sys.argv else "ema"]
m = load(os.path.join(data, "seed-model"))
m.load_state_dict({k: (1 - alpha) * v + alpha * z[k] for k, v in m.state_dict().items()})
export(m, os.path.join(data, "seed-model"), out)
