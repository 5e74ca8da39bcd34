"""Makes the vocabulary: the characters and Latin pieces of the seed model plus the most frequent words, as a Unigram tokenizer.
usage: build_vocab.py DATA OUT [SIZE]     writes OUT/tokenizer.json and OUT/pieces.tsv (piece, count)"""
import collections, glob, json, math, multiprocessing as mp, os, re, sys
from common import *

HAN = re.compile("[\u3400-\u9fff]+")
LATIN = re.compile("[a-z]+|[0-9]")


def strings(x):
    if isinstance(x, str):
        yield x
    elif isinstance(x, list):
        for y in x:
            yield from strings(y)
    elif isinstance(x, dict):
        for y in x.values():
            yield from strings(y)


def source(path):
    if "/text/" in path:
        yield from lines(path)
    elif "/pairs/" in path:
        seen = set()
        for l in lines(path):
            for s in l.split("\t")[:2]:
                if s not in seen:
                    seen.add(s); yield s
    else:
        for l in lines(path):
            for s in strings(json.loads(l)):
                if HAN.search(s):
                    yield s


def count(job):
    import jieba, logging
    jieba.setLogLevel(logging.ERROR)
    path, weight = job
    words, chars, latin = (collections.Counter() for _ in range(3))
    for s in source(path):
        s = norm(s)[:200]
        chars.update(c for c in s if not c.isspace())
        latin.update(LATIN.findall(s))
        for run in HAN.findall(s):
            words.update(jieba.cut(run, HMM=False))
    return [{k: v * weight for k, v in c.items()} for c in (words, chars, latin)]


if __name__ == "__main__":
    data, out = sys.argv[1:3]
    size = int(sys.argv[3]) if len(sys.argv) > 3 else 28000
    os.makedirs(out, exist_ok=True)
    jobs = [(f"{data}/text/sentences-00.txt.xz", 5)]
    jobs += [(f, 4) for f in sorted(glob.glob(f"{data}/pairs/train/*.tsv.xz"))] + [(f, 4) for f in sorted(glob.glob(f"{data}/service/*.jsonl.xz"))]
    total = [collections.Counter() for _ in range(3)]
    with mp.Pool(2) as pool:
        for part in pool.imap_unordered(count, jobs):
            for t, p in zip(total, part):
                for k, v in p.items():
                    t[k] += v
    words, chars, latin = total
    seed = json.load(open(f"{data}/seed-model/tokenizer.json"))["model"]["vocab"]
    pieces = {}
    for k in sorted(seed, key=seed.get):
        if not (k.startswith("[") and len(k) > 1):
            k = k[2:] if k.startswith("##") else k
            pieces[k] = max(chars.get(k, 0) if len(k) == 1 else latin.get(k, 0), 1)
    for k, v in chars.items():
        if len(k) == 1 and v >= 150 and k not in pieces:
            pieces[k] = v
    for k, v in latin.most_common(1500):
        if v >= 300 and k not in pieces:
            pieces[k] = v
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for k, v in words.most_common():
        if len(pieces) + len(specials) >= size:
            break
        if 2 <= len(k) <= 5 and k not in pieces:
            pieces[k] = v
    # Characters inside words are cheap already as parts of text; their own count is how often they stand alone.
    alone = {k: words.get(k, 0) + 1 for k in pieces if len(k) == 1 and HAN.fullmatch(k)}
    freq = {k: alone.get(k, v) for k, v in pieces.items()}
    n = sum(freq.values())
    print("pieces", len(pieces), "of them words", sum(len(k) > 1 and bool(HAN.fullmatch(k)) for k in pieces), "least count", v)
    vocab = [[s, 0.0] for s in specials] + [[k, round(math.log(c / n), 4)] for k, c in freq.items()]
    t = {"version": "1.0", "truncation": None, "padding": None,
         "added_tokens": [{"id": i, "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                          for i, s in enumerate(specials)],
         "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False, "strip_accents": None, "lowercase": True},
         "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None,
         "model": {"type": "Unigram", "unk_id": 1, "vocab": vocab, "byte_fallback": False}}
    json.dump(t, open(f"{out}/tokenizer.json", "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
    with open(f"{out}/pieces.tsv", "w", encoding="utf-8") as f:
        for k, c in freq.items():
            f.write(f"{k}\t{c}\n")
