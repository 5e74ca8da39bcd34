"""Ranking + contrastive training on labelled pairs, data-parallel over single-threaded processes; with --text also masked
language modelling in the same steps.

usage: train_pairs.py DATA CACHE OUT --sets sets.json [--init ckpt.pt] [--minutes M | --steps N] ...
A batch is a sub-graph of one set's pair graph: every sentence is encoded once and all labelled pairs among the
sentences of the batch are used. Loss: CoSENT over all labels + InfoNCE in every direction over the positives."""
import argparse, json, os, time
import torch.distributed as dist
import torch.multiprocessing as mp
from common import *


class PairSet:
    def __init__(s, path, rng, near=None):
        """near: file of neighbours.py, for batches in which all sentences are alike"""
        z = np.load(path)
        off = np.concatenate([[0], np.cumsum(z["len"].astype(np.int64))])
        s.ids, s.off, s.a, s.b, s.y = z["ids"], off, z["a"], z["b"], z["y"]
        s.grp = z["grp"] if "grp" in z else None
        s.rng, s.n = rng, len(off) - 1
        e = np.concatenate([s.a, s.b])
        s.order = np.argsort(e, kind="stable")
        s.start = np.searchsorted(e[s.order], np.arange(s.n + 1))
        s.leaves = None
        if near and os.path.exists(near):
            leaf = np.load(near)["leaf"]
            by = np.argsort(leaf, kind="stable")
            s.leaves = np.split(by, np.searchsorted(leaf[by], np.arange(1, leaf.max() + 1)))
        s.reset()

    def reset(s):
        s.perm, s.at, s.used = s.rng.permutation(len(s.a)), 0, np.zeros(len(s.a), bool)

    def edges(s, v):
        return s.order[s.start[v]:s.start[v + 1]] % len(s.a)

    def partners(s, v, es):
        return [s.b[e] if s.a[e] == v else s.a[e] for e in es[:6]]

    def size(s, v):
        return int(s.off[v + 1] - s.off[v])

    def alike(s, budget, maxlen):
        """Sentences of a leaf and, until there are enough, of those that the tree puts next to it, each with its partners."""
        nodes, tokens, first = {}, 0, s.rng.randint(len(s.leaves))
        for leaf in s.leaves[first:] + s.leaves[:first]:
            for v in leaf:
                for u in [v] + s.partners(v, s.edges(v)):
                    if u not in nodes and s.size(u) <= maxlen:
                        nodes[u] = len(nodes); tokens += s.size(u)
            if tokens >= budget:
                break
        return nodes

    def connected(s, budget, chunk, maxlen):
        """Sentences of connected pieces of the graph whose pairs were not used in this pass, at most `chunk` of each."""
        nodes, tokens = {}, 0
        while tokens < budget:
            while s.at < len(s.perm) and s.used[s.perm[s.at]]:
                s.at += 1
            if s.at >= len(s.perm):
                if nodes:
                    break
                s.reset()
                continue
            p = s.perm[s.at]; s.at += 1; s.used[p] = True
            queue, took = [s.a[p], s.b[p]], 0
            if max(s.size(v) for v in queue) > maxlen:
                continue
            while queue and took < chunk:
                v = queue.pop(0)
                if v in nodes or s.size(v) > maxlen:
                    continue
                nodes[v] = len(nodes); tokens += s.size(v); took += 1
                es = [e for e in s.edges(v) if not s.used[e]]
                s.rng.shuffle(es)
                queue += s.partners(v, es)
        return nodes

    def batch(s, budget, chunk, maxlen, hard=False):
        nodes = s.alike(budget, maxlen) if hard else s.connected(budget, chunk, maxlen)
        A, B, Y = [], [], []
        for v, i in nodes.items():
            for e in s.edges(v):
                if s.a[e] == v and s.b[e] in nodes:
                    A.append(i); B.append(nodes[s.b[e]]); Y.append(s.y[e]); s.used[e] = True
        seqs = [s.ids[s.off[v]:s.off[v + 1]] for v in nodes]
        grp = None if s.grp is None else torch.from_numpy(s.grp[list(nodes)])
        return seqs, np.array(A), np.array(B), np.array(Y, np.float32), grp


class Augment:
    """Loses, swaps or masks a token; spells words out in characters; mistypes a character as one of the same sound."""

    def __init__(s, data, rng, p):
        tok = tokenizer(os.path.join(data, "seed-model"))
        s.rng, s.p = rng, p
        s.spell = {}
        for i in range(5, tok.get_vocab_size()):
            n = tok.id_to_token(i)
            if len(n) > 1 and n[0] > "\u3400":
                c = [tok.token_to_id(x) for x in n]
                if all(c):
                    s.spell[i] = c
        s.same = {}
        for l in lines(f"{data}/lexicon/pycorrector__same_pinyin.txt"):
            c = l.split("\t")
            if len(c) > 1 and len(c[0]) == 1 and tok.token_to_id(c[0]):
                x = [tok.token_to_id(k) for k in c[1] if tok.token_to_id(k)]
                if x:
                    s.same[tok.token_to_id(c[0])] = x

    def __call__(s, seqs):
        out, rng = [], s.rng
        for x in seqs:
            if len(x) >= 5 and rng.rand() < s.p:
                r, i = rng.rand(), rng.randint(len(x) - 1)
                if r < 0.5:
                    x = np.delete(x, i)
                elif r < 0.75:
                    x = x.copy(); x[i], x[i + 1] = x[i + 1], x[i]
                else:
                    x = x.copy(); x[i] = MASK
            r = rng.rand()
            if r < 0.12:                                       # any of its words may be spelled out
                y = []
                for t in x:
                    y += s.spell[t] if t in s.spell and rng.rand() < 0.4 else [t]
                x = np.array(y[:MAXLEN], x.dtype)
            elif r < 0.2:                                      # one character is mistyped
                i = rng.randint(len(x))
                y = list(s.spell.get(x[i], [x[i]]))
                k = rng.randint(len(y))
                if y[k] in s.same:
                    y[k] = s.same[y[k]][rng.randint(len(s.same[y[k]]))]
                    x = np.array((list(x[:i]) + y + list(x[i + 1:]))[:MAXLEN], x.dtype)
            out.append(x)
        return out


class Text:
    """Sentences of the text in random order, in batches of like length, some of their pieces hidden."""

    def __init__(s, path, vocab, rng, hide):
        z = np.load(path)
        s.ids, s.off, s.rng, s.hide, s.vocab = z["ids"], np.concatenate([[0], np.cumsum(z["len"].astype(np.int64))]), rng, hide, vocab
        f = np.bincount(s.ids, minlength=vocab).astype(np.float64) ** 0.5
        f[:5] = 0
        s.freq = f / f.sum()
        s.batches = []

    def batch(s, budget):
        if not s.batches:
            pick = s.rng.randint(len(s.off) - 1, size=40 * budget // 20)
            pick = pick[np.argsort(s.off[pick + 1] - s.off[pick], kind="stable")]
            ends = np.cumsum(s.off[pick + 1] - s.off[pick]) // budget
            s.batches = [pick[ends == k] for k in range(int(ends[-1]))]
            s.rng.shuffle(s.batches)
        seqs = [s.ids[s.off[v]:s.off[v + 1]] for v in s.batches.pop()]
        ids, groups, _ = pack(seqs)
        r = torch.from_numpy(s.rng.rand(len(ids)))
        at = (r < s.hide).nonzero()[:, 0]
        shown = ids.clone()
        shown[at[r[at] < 0.9 * s.hide]] = MASK                     # a tenth stays as it is
        return shown, groups, at, ids[at]

    def candidates(s, targets, n):
        """The targets and a sample of other pieces, with the log of each one's chance to be there."""
        c = np.unique(np.concatenate([targets.numpy(), s.rng.choice(s.vocab, n, p=s.freq)]))
        q = np.log(np.maximum(1 - (1 - s.freq[c]) ** n, 1e-9))
        where = np.full(s.vocab, -1)
        where[c] = np.arange(len(c))
        return torch.from_numpy(c), torch.from_numpy(q).float(), torch.from_numpy(where[targets.numpy()])


class Guess(nn.Module):
    """Guesses hidden pieces: from their own place, and from nothing but the mean of the sentence (a bag of words), which asks
    the sentence's vector to know what goes with what. The embeddings are the output weights; a softmax over a sample
    (Jean et al. 2015)."""

    def __init__(s, d, vocab):
        super().__init__()
        s.own, s.mean = nn.Linear(d, d), nn.Linear(d, d)
        s.n1, s.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        s.bias = nn.Parameter(torch.zeros(2, vocab))

    def forward(s, m, text, budget, drop, sample):
        ids, groups, at, targets = text.batch(budget)
        x = m(ids, groups, drop)
        cand, logq, y = text.candidates(targets, sample)
        W = m.word(cand)
        mean = means(x, groups).repeat_interleave(torch.tensor([L for n, L in groups for _ in range(n)]), 0)
        out = []
        for i, (h, lin, norm) in enumerate(((x[at], s.own, s.n1), (mean[at], s.mean, s.n2))):
            z = F.linear(norm(F.gelu(lin(h))), W).float() + (s.bias[i, cand] - logq)
            out.append(F.cross_entropy(z, y))
        return out[0], out[1], len(ids)


class Lessons:
    """Sentences with what a teacher and the model so far think of them (lessons.py), in batches of several leaves."""

    def __init__(s, path, rng, leaves, each):
        z = np.load(path + "-ids.npz")
        s.ids, s.off, s.rng, s.leaves, s.each = z["ids"], np.concatenate([[0], np.cumsum(z["len"].astype(np.int64))]), rng, leaves, each
        s.vec = np.load(path + "-vec.npy", mmap_mode="r")
        by = np.argsort(z["leaf"], kind="stable")
        s.of = np.split(by, np.searchsorted(z["leaf"][by], np.arange(1, z["leaf"].max() + 1)))

    def batch(s, maxlen):
        """Some neighbours of several places, and strangers that stand between them."""
        pick = []
        for _ in range(s.leaves):
            leaf = s.of[s.rng.randint(len(s.of))]
            pick += list(s.rng.permutation(leaf)[:s.each])
        pick = np.unique(pick)
        pick = pick[(s.off[pick + 1] - s.off[pick]) <= maxlen]
        return [s.ids[s.off[v]:s.off[v + 1]] for v in pick], torch.from_numpy(np.asarray(s.vec[pick], np.float32))


def taught(e, t, scale=20.0):
    """How far the neighbourhoods are from the teachers': cross-entropy beyond its least value, and 1 - correlation over all pairs.
    The products of `t` are the sum of both teachers' cosines, brought to one spread; half of it is like one cosine."""
    S, T = e @ e.T, (t @ t.T) / 2
    eye = torch.eye(len(e), dtype=torch.bool)
    ls = F.log_softmax((S * scale).masked_fill(eye, -1e9), 1)
    lt = F.log_softmax((T * scale).masked_fill(eye, -1e9), 1)
    kl = (lt.exp() * (lt - ls)).masked_fill(eye, 0).sum(1).mean()
    x, y = S[~eye], T[~eye]
    x, y = x - x.mean(), y - y.mean()
    return kl, 1 - (x * y).sum() / (x.norm() * y.norm() + 1e-6)


def losses(e, A, B, Y, grp, sharp=20.0, scale=20.0, pos_at=0.79, trust=None):
    """CoSENT over all pairs, InfoNCE over positives with known positives (also transitive) masked out. With `trust`, an
    unlabelled sentence nearer than that share of the positive's cosine is taken for an unlabelled positive and left out
    (Moreira et al. 2024, NV-Retriever)."""
    S = e @ e.T
    A, B, Y = torch.from_numpy(A), torch.from_numpy(B), torch.from_numpy(Y)
    s = S[A, B] * sharp
    worse = Y[:, None] > Y[None, :]                       # i should be above j
    d = (s[None, :] - s[:, None])[worse]
    cosent = torch.logsumexp(torch.cat([torch.zeros(1), d]), 0) if len(d) else s.sum() * 0
    pos = Y > pos_at
    if not pos.any():
        return cosent, s.sum() * 0
    N = len(e)
    M = torch.eye(N, dtype=torch.bool)
    M[A[pos], B[pos]] = True; M[B[pos], A[pos]] = True
    f = M.float()
    for _ in range(2):
        f = ((f @ f) > 0).float()
    M = f > 0
    if grp is not None:
        M |= (grp[:, None] == grp[None, :]) & (grp >= 0)[:, None]
    low = Y < 0.3                                          # labelled negatives stay negatives
    M[A[low], B[low]] = False; M[B[low], A[low]] = False
    i, j = torch.cat([A[pos], B[pos]]), torch.cat([B[pos], A[pos]])
    out = M[i]
    if trust:
        known = torch.zeros_like(M)
        known[A[low], B[low]] = True; known[B[low], A[low]] = True
        out |= ~known[i] & (S.detach()[i] > trust * S.detach()[i, j][:, None])
    lse = torch.logsumexp((S[i] * scale).masked_fill(out, -1e9), 1)
    return cosent, F.softplus(lse - S[i, j] * scale).mean()


def run(rank, a):
    torch.set_num_threads(1)
    seed = os.path.join(a.data, "seed-model")
    torch.manual_seed(a.seed * 1000 + rank)
    rng = np.random.RandomState(a.seed * 1000 + rank)
    if a.world > 1:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1"); os.environ.setdefault("MASTER_PORT", str(a.port))
        dist.init_process_group("gloo", rank=rank, world_size=a.world)
    conf = json.load(open(a.sets))
    m = load_checkpoint(a.init, seed) if a.init else load(seed)
    guess = Guess(m.cfg["hidden_size"], m.cfg["vocab_size"]) if a.text else None
    params = list(m.parameters()) + (list(guess.parameters()) if guess else [])
    opt = torch.optim.AdamW(params, lr=a.lr, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    ema = {k: v.clone() for k, v in m.state_dict().items()}
    if a.init:
        ck = torch.load(a.init, map_location="cpu", weights_only=True)
        m.load_state_dict({k: v for k, v in ck["ema" if a.init_ema else "model"].items()})
        ema = {k: v.clone() for k, v in ck["ema"].items()}
        if guess and "guess" in ck:
            guess.load_state_dict(ck["guess"])
        if "opt" in ck and not a.fresh_opt:
            opt.load_state_dict(ck["opt"])
    sets = {n: PairSet(f"{a.cache}/pairs-{n}.npz", rng, f"{a.cache}/near-{n}.npz" if a.hard else None) for n in conf}
    augment = Augment(a.data, rng, a.aug)
    names, w = list(conf), np.array([conf[n][0] for n in conf], float)
    w /= w.sum()
    lessons = Lessons(a.teach, rng, a.leaves, a.each) if a.teach else None
    text = Text(a.text, m.cfg["vocab_size"], rng, a.hide) if a.text else None
    if rank == 0 and a.eval_every:
        from evaluate import Evaluator, show
        ev = Evaluator(a.data, a.limit, faq=False)
    step, t0, log, toks, busy, stat = 0, time.time(), time.time(), 0, 0.0, {}
    saved, evaled = time.time(), time.time()

    def save(path):
        torch.save({"model": m.state_dict(), "ema": ema, "opt": opt.state_dict(), "step": step} |
                   ({"guess": guess.state_dict()} if guess else {}), path + ".tmp")
        os.replace(path + ".tmp", path)

    def tally(name, first, second, size, tokens):
        """What the log says of a set: its batches, both losses, and pairs (of the text: pieces)."""
        nonlocal toks
        toks += tokens
        st = stat.setdefault(name, [0, 0.0, 0.0, 0])
        for k, x in enumerate((1, float(first.detach()), float(second.detach()), size)):
            st[k] += x

    while True:
        pause()
        if step % 10 == 0 and os.path.exists(a.out + ".minutes"):      # the length of a run can be changed while it runs
            a.minutes = float(open(a.out + ".minutes").read())
        frac = torch.tensor([step / a.steps if a.steps else (time.time() - t0) / 60 / a.minutes])
        if a.world > 1:
            dist.broadcast(frac, 0)
        frac = float(frac)
        if frac >= 1:
            break
        lr = a.lr * min(1, (step + 1) / a.warm) * min(1, (1 - frac) / a.decay)
        for g in opt.param_groups:
            g["lr"] = lr
        while True:
            n = names[rng.choice(len(names), p=w)]
            hard = sets[n].leaves is not None and rng.rand() < a.hard
            seqs, A, B, Y, grp = sets[n].batch(a.tokens, conf[n][2] if len(conf[n]) > 2 else 32, a.maxlen, hard)
            if len(A) >= 8:
                break
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            e = embed(m, augment(seqs), a.drop)
        c, i = losses(e.float(), A, B, Y, grp, conf[n][4] if len(conf[n]) > 4 else 20.0, trust=0.95 if hard else None)
        wc = conf[n][3] if len(conf[n]) > 3 else 1.0
        loss = wc * c + conf[n][1] * i
        loss.backward()
        tally(n, c, i, len(A), sum(map(len, seqs)))
        if lessons:
            for _ in range(a.lessons):
                seqs, target = lessons.batch(a.maxlen)
                with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
                    e = embed(m, augment(seqs), a.drop)
                kl, off = taught(e.float(), target)
                (a.weight * (kl + a.corr * off) / a.lessons).backward()
                tally("taught", kl, off, len(seqs), sum(map(len, seqs)))
        if guess:
            with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
                own, mean, k = guess(m, text, a.text_tokens, a.drop, a.sample)
            (own + a.bag * mean).backward()
            tally("text", own, mean, k, k)
        if a.world > 1:
            flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in params])
            dist.all_reduce(flat)
            flat /= a.world
            flat *= min(1.0, a.clip / (float(flat.norm()) + 1e-6))
            k = 0
            for p in params:
                p.grad = flat[k:k + p.numel()].view_as(p); k += p.numel()
        else:
            torch.nn.utils.clip_grad_norm_(params, a.clip)
        opt.step(); opt.zero_grad(set_to_none=True)
        step += 1
        d = min(a.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(ema.values()), list(m.state_dict().values()), 1 - d)
        if rank == 0:
            if step % 25 == 0:
                print(f"step {step} min {(time.time() - t0) / 60:.1f} lr {lr:.1e} tok/s {a.world * toks / (time.time() - log):.0f} | " +
                      " ".join(f"{k} {v[1] / v[0]:.2f}/{v[2] / v[0]:.2f}/{v[3] // v[0]}" for k, v in stat.items()), flush=True)
                toks, log, stat = 0, time.time(), {}
            if time.time() - saved > 60 * a.save_every:
                save(a.out); saved = time.time()
            if a.eval_every and time.time() - evaled > 60 * a.eval_every:
                x = Encoder(m.cfg); x.load_state_dict(ema)
                print(f"EVAL ema step {step}", show(ev(x)), flush=True); evaled = time.time()
    if rank == 0:
        save(a.out)
        print("done", step, flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("data"); p.add_argument("cache"); p.add_argument("out")
    p.add_argument("--sets", required=True); p.add_argument("--init"); p.add_argument("--init-ema", action="store_true")
    p.add_argument("--fresh-opt", action="store_true")
    p.add_argument("--minutes", type=float, default=30); p.add_argument("--steps", type=int, default=0)
    p.add_argument("--lr", type=float, default=3e-4); p.add_argument("--warm", type=int, default=50)
    p.add_argument("--decay", type=float, default=0.3, help="last fraction of the run over which the rate falls to 0")
    p.add_argument("--tokens", type=int, default=3000); p.add_argument("--maxlen", type=int, default=48)
    p.add_argument("--drop", type=float, default=0.1); p.add_argument("--aug", type=float, default=0.1)
    p.add_argument("--ema", type=float, default=0.99); p.add_argument("--clip", type=float, default=2.0)
    p.add_argument("--world", type=int, default=2); p.add_argument("--port", type=int, default=29511)
    p.add_argument("--text", help="npz of cut_ids.py: masked language modelling in every step"); p.add_argument("--text-tokens", type=int, default=8000)
    p.add_argument("--teach", help="what lessons.py wrote: in every step also sentences with the teachers' similarities")
    p.add_argument("--lessons", type=int, default=1); p.add_argument("--leaves", type=int, default=12); p.add_argument("--each", type=int, default=12)
    p.add_argument("--weight", type=float, default=2.0); p.add_argument("--corr", type=float, default=2.0)
    p.add_argument("--hide", type=float, default=0.2); p.add_argument("--bag", type=float, default=0.5, help="weight of the guess from the sentence's mean")
    p.add_argument("--sample", type=int, default=6000)
    p.add_argument("--hard", type=float, default=0.0, help="share of the batches made of neighbours, where neighbours.py has run")
    p.add_argument("--bf16", action="store_true", help="matrix products in bf16, several times faster where the CPU has it")
    p.add_argument("--seed", type=int, default=1); p.add_argument("--limit", type=int, default=1200)
    p.add_argument("--eval-every", type=float, default=12); p.add_argument("--save-every", type=float, default=5)
    a = p.parse_args()
    if a.world > 1:
        mp.start_processes(run, args=(a,), nprocs=a.world, start_method="spawn", daemon=True)
    else:
        run(0, a)
