#!/usr/bin/env python3
"""How well are labelled questions grouped, beside scikit-learn on the same vectors?

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scikit-learn
    /tmp/venv/bin/python benches/groups.py --kb corpora/shop.kb.jsonl --queries corpora/shop.queries.jsonl

Several --kb and --queries are grouped together. zhida's ways come from
`zhida learn bench`, the others are run here, on the vectors of `zhida model embed`
with their mean taken away. k-means is told the true number of groups, which nobody
knows beforehand; what HDBSCAN calls noise is a group of its own each.
"""

import argparse
import collections
import json
import math
import subprocess
import time

import numpy
from sklearn.cluster import HDBSCAN, KMeans, MiniBatchKMeans


def figures(groups, labels):
    """B-cubed, V-measure, purity; as src/eval/clusters.rs."""
    n = len(labels)
    both = collections.Counter(zip(groups, labels))
    sizes, wanted = collections.Counter(groups), collections.Counter(labels)
    precision = sum(c * c / sizes[g] for (g, _), c in both.items()) / n
    recall = sum(c * c / wanted[l] for (_, l), c in both.items()) / n
    entropy = lambda counts: -sum(c / n * math.log(c / n) for c in counts.values())
    left = lambda side: -sum(c / n * math.log(c / side(g, l)) for (g, l), c in both.items())
    share = lambda lost, of: 1 - lost / of if of else 1
    homogeneity = share(left(lambda g, l: sizes[g]), entropy(wanted))
    completeness = share(left(lambda g, l: wanted[l]), entropy(sizes))
    harmonic = lambda a, b: 2 * a * b / (a + b) if a + b else 0
    most = collections.Counter()
    for (g, _), c in both.items():
        most[g] = max(most[g], c)
    return {
        "precision": precision, "recall": recall, "f1": harmonic(precision, recall),
        "v_measure": harmonic(homogeneity, completeness),
        "purity": sum(most.values()) / n, "groups": len(sizes),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--zhida", default="target/release/zhida")
    parser.add_argument("--kb", action="append", required=True)
    parser.add_argument("--queries", action="append", required=True)
    parser.add_argument("--json", help="write all figures to this file")
    args = parser.parse_args()
    sets = [part for kb, queries in zip(args.kb, args.queries) for part in ("--kb", kb, "--queries", queries)]
    call = lambda *words, **more: subprocess.run(
        [args.zhida, *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more).stdout

    own = json.loads(call("learn", "bench", *sets))
    lines = [json.loads(line) for line in call("learn", "bench", "--texts", *sets).splitlines()]
    labels = [line["label"] for line in lines]
    texts = "\n".join(line["text"].replace("\n", " ") for line in lines)
    rows = call("model", "embed", input=texts.encode()).splitlines()
    vectors = numpy.array([json.loads(row) for row in rows], dtype=numpy.float32)
    vectors -= vectors.mean(axis=0)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = len(set(labels))
    print(f"{len(labels)} questions, {wanted} groups")

    found = {f"zhida, {way['way']}": {**way["served"], "seconds": way["seconds"]} for way in own["ways"]}
    found["zhida, best threshold of average"] = {**own["ways"][0]["best"], "seconds": own["ways"][0]["seconds"]}
    # Exact k-means with thousands of centres takes many minutes.
    means = KMeans if len(labels) * wanted < 1_000_000 else MiniBatchKMeans
    others = {
        f"k-means, k = {wanted} (true)": means(wanted, n_init=1, random_state=7),
        f"k-means, k = {own['ways'][0]['served']['groups']} (zhida's)":
            means(own["ways"][0]["served"]["groups"], n_init=1, random_state=7),
        "HDBSCAN, leaf": HDBSCAN(min_cluster_size=2, cluster_selection_method="leaf", copy=True),
        "HDBSCAN, eom": HDBSCAN(min_cluster_size=2, cluster_selection_method="eom", copy=True),
    }
    for name, method in others.items():
        start = time.time()
        groups = method.fit_predict(vectors).tolist()
        groups = [group if group >= 0 else f"noise {at}" for at, group in enumerate(groups)]
        found[name] = {**figures(groups, labels), "seconds": time.time() - start}

    print(f"{'':32} {'B3 P':>6} {'B3 R':>6} {'B3 F1':>6} {'V':>6} {'purity':>6} {'groups':>7} {'s':>7}")
    for name, row in found.items():
        shares = " ".join(f"{row[key]:6.3f}" for key in ("precision", "recall", "f1", "v_measure", "purity"))
        print(f"{name:32} {shares} {row['groups']:7d} {row['seconds']:7.2f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"questions": len(labels), "labels": wanted, "ways": found}, file, indent=1)


if __name__ == "__main__":
    main()
