"""Averages the moving averages of checkpoints of one run: where they lie in one basin, their mean is better than either
(Wortsman et al. 2022). usage: average.py OUT CKPT CKPT [CKPT ...]"""
import sys
import torch

out, *paths = sys.argv[1:]
weights = [torch.load(p, map_location="cpu", weights_only=True)["ema"] for p in paths]
mean = {k: sum(w[k] for w in weights) / len(weights) for k in weights[0]}
torch.save({"model": mean, "ema": mean, "step": 0}, out)
