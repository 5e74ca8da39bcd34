"""Writes a checkpoint as a model folder (half precision). usage: VOCAB=... export.py DATA CKPT OUT [--raw]
The moving average of the weights is taken unless --raw."""
import sys
from common import *

data, checkpoint, out = [x for x in sys.argv[1:] if x != "--raw"]
seed = os.path.join(data, "seed-model")
export(load_checkpoint(checkpoint, seed, "model" if "--raw" in sys.argv else "ema"), seed, out)
