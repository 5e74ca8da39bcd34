"""Tokenises the paraphrase groups of corpora/paraphrases: `same | same | same || near but different | …`, one group a line.
usage: build_groups.py DATA CACHE FOLDER [FOLDER_OR_FILE_TO_KEEP_OUT ...]
Groups with a sentence that stands in a file to keep out (compared without punctuation, width and case) are left out."""
import glob, os, re, sys
from build_pairs import *


def bare(s):
    return re.sub(r"[\W_]+", "", norm(s))


def kept_out(paths):
    for p in paths:
        for f in glob.glob(f"{p}/**/*", recursive=True) if os.path.isdir(p) else [p]:
            if f.endswith(".tsv"):
                for l in lines(f):
                    yield from l.split("\t")[:2]
            elif f.endswith(".jsonl"):
                for l in lines(f):
                    e = json.loads(l)
                    yield from [e.get("text", ""), e.get("question", ""), *e.get("similar", [])]


if __name__ == "__main__":
    data, cache, folder, *out = sys.argv[1:]
    out = {bare(s) for s in kept_out(out)}
    rows, groups, left, bad = [], 0, 0, 0
    for f in sorted(glob.glob(f"{folder}/*.txt")):
        for l in lines(f):
            same, _, near = l.partition("||")
            same = list(dict.fromkeys(s.strip() for s in same.split("|") if s.strip()))
            near = list(dict.fromkeys(s.strip() for s in near.split("|") if s.strip()))
            near = [s for s in near if s not in same]
            if len(same) < 2 or not near:
                bad += bool(l.strip())
            elif any(bare(s) in out for s in same + near):
                left += 1
            else:
                groups += 1
                rows += [(a, b, 1.0) for i, a in enumerate(same) for b in same[i + 1:]] + [(a, n, 0.0) for a in same for n in near]
    print("groups", groups, "kept out", left, "not understood", bad)
    save(cache, "groups", tokenizer(os.path.join(data, "seed-model")), rows)
