"""Tokenises the paraphrase groups of FOLDER: `same | same | same || near but different | …`, one group a line.
usage: build_groups.py DATA CACHE FOLDER [FOLDER_OR_FILE_TO_KEEP_OUT ...]
Groups with a sentence that stands in a file to keep out (compared without punctuation, width and case) are left out."""
import glob, os, re, sys
from build_pairs import *


def bare(s):
    return re.sub(r"[\W_]+", "", norm(s))


def cut(part):
    return list(dict.fromkeys(s.strip() for s in part.split("|") if s.strip()))


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
            same = cut(same)
            near = [s for s in cut(near) if s not in same]
            if len(same) < 2 or not near:
                bad += bool(l.strip())
            elif any(bare(s) in out for s in same + near):
                left += 1
            else:
                groups += 1
                rows += [(a, b, 1.0) for i, a in enumerate(same) for b in same[i + 1:]] + [(a, n, 0.0) for a in same for n in near]
    print("groups", groups, "kept out", left, "not understood", bad)
    save(cache, "groups", tokenizer(os.path.join(data, "seed-model")), rows)
