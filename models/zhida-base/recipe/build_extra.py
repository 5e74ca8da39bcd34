"""Weak pairs for general, assistant and shop language: lexicon rewrites of questions in text/, question-relation
pairs of kgclue, intents of the service sets. usage: build_extra.py DATA CACHE [N questions]"""
import collections, json, os, random, re, sys
import jieba
from common import *
from build_pairs import tokenizer

random.seed(7)
data, cache = sys.argv[1:3]
N = int(sys.argv[3]) if len(sys.argv) > 3 else 60000
tok = tokenizer(os.path.join(data, "seed-model"))
lex = f"{data}/lexicon/"
jieba.setLogLevel(60)
jieba.initialize()
freq = jieba.dt.FREQ


def save(name, rows, groups=None):
    """rows: (s, t, label); groups: sentence -> group number (same group is never a negative)."""
    idx, sents, a, b, y = {}, [], [], [], []
    for s, t, l in rows:
        s, t = norm(s), norm(t)
        if not s or not t or s == t:
            continue
        for z in (s, t):
            if z not in idx:
                idx[z] = len(sents); sents.append(z)
        a.append(idx[s]); b.append(idx[t]); y.append(l)
    seqs = encode(tok, sents)
    kw = {} if groups is None else {"grp": np.array([groups.get(z, -1) for z in sents], np.int64)}
    np.savez(f"{cache}/pairs-{name}.npz", ids=np.concatenate(seqs), len=np.array([len(x) for x in seqs], np.uint8),
             a=np.array(a, np.int32), b=np.array(b, np.int32), y=np.array(y, np.float32), **kw)
    print(name, "pairs", len(a), "sentences", len(sents), "tokens", sum(map(len, seqs)), flush=True)


def service(n):
    return [json.loads(x) for x in lines(f"{data}/service/{n}.jsonl.xz")]


# --- lexicon rewrites
senses = collections.defaultdict(set)
syn, sib, ant, homo = collections.defaultdict(set), collections.defaultdict(set), collections.defaultdict(set), {}
common_word = lambda w: freq.get(w, 0) >= 60 and re.fullmatch("[\u4e00-\u9fff]+", w)
heads = collections.defaultdict(list)
for f in ("chinese_dictionary_guotong__dict_synonym.txt", "cilin_hownet_yaleimeng__cilin_V3_new_cilin.txt"):
    for x in lines(lex + f):
        c = x.split()
        if len(c) < 2 or not re.fullmatch("[A-Z][a-z]\\d\\d[A-Z]\\d\\d[=#@]", c[0]):
            continue
        if c[0][0] in "KL" or c[0].startswith("Ed61"):      # particles, pronouns, question words
            continue
        ws = [w for w in c[1:] if common_word(w)]
        heads[c[0][:5]].append(ws)
        if c[0][-1] == "=":
            for w in ws:
                senses[w].add(c[0][:7])
                syn[w].update(v for v in ws if v != w)
for w in syn:      # only words of one sense, and replacements that are about as usual
    syn[w] = {v for v in syn[w] if len(senses[w]) == 1 and len(v) >= 2 and freq[v] >= 300 and freq[v] > 0.1 * freq[w]}
for g in heads.values():
    for i, ws in enumerate(g):
        others = [v for j, x in enumerate(g) if j != i for v in x]
        for w in ws:
            sib[w].update(random.sample(others, min(len(others), 10)))
for f in ("cilin_hownet_yaleimeng__fanyi_antonym.txt", "chinese_dictionary_guotong__dict_antonym.txt"):
    for x in lines(lex + f):
        c = re.split("@|──", x)
        if len(c) == 2:
            for w, v in ((c[0], c[1]), (c[1], c[0])):
                ant[w].update(z for z in re.split("[;；,， ]", v) if common_word(z))
for w, v in [("开通", "关闭"), ("打开", "关闭"), ("绑定", "解绑"), ("开启", "关闭"), ("登录", "退出"), ("买", "卖"), ("借款", "还款"), ("提前", "推迟"), ("增加", "减少"), ("注册", "注销")]:
    ant[w].add(v); ant[v].add(w)
for x in lines(lex + "pycorrector__same_pinyin.txt"):
    c = x.split("\t")
    if len(c) >= 2 and len(c[1]) > 0:
        homo[c[0]] = [z for z in c[1] if freq.get(z, 0) > 200]
WAYS = [["怎么", "如何", "怎样"], ["为什么", "为何", "为啥", "怎么会"], ["什么时候", "何时", "啥时候", "几时"], ["多少钱", "什么价格", "价格是多少", "多少元"],
        ["哪里", "哪儿", "什么地方"], ["什么", "啥"], ["能不能", "可不可以", "可以不可以", "能否"], ["有没有", "有无"], ["是什么意思", "什么意思", "啥意思", "是指什么"],
        ["怎么办", "如何是好", "如何处理", "怎么处理"], ["是不是", "是否"], ["多久", "多长时间"], ["谁知道", "有谁知道", "哪位知道"], ["区别", "不同", "差别", "差异"], ["好吗", "好不好", "怎么样"],
        ["方法", "办法", "方式"], ["推荐", "介绍"], ["吗", "么", "不"]]
FOCUS = ["怎么", "为什么", "什么时候", "多少钱", "在哪里", "是谁", "多久"]
PRE, SUF = ["请问", "你好", "你好，", "我想问一下", "想知道", "请问一下", "求助", "谁知道", "麻烦问下", "亲，"], ["啊", "呢", "呀", "？", "谢谢", "，求解", "，急", "，谢谢"]
way = {w: [v for v in g if v != w] for g in WAYS for w in g if w != "不"}
DIG = re.compile("\\d+")
CN = "一二三四五六七八九十两几"


def typo(s):
    k = [i for i, c in enumerate(s) if homo.get(c)]
    if not k:
        return s
    i = random.choice(k)
    return s[:i] + random.choice(homo[s[i]][:6]) + s[i + 1:]


def positive(ws):
    ws, n = list(ws), 0
    for w in sorted(way, key=len, reverse=True):
        s = "".join(ws)
        if w in s and random.random() < 0.8:
            ws = list(jieba.cut(s.replace(w, random.choice(way[w]), 1))); n += 1
            break
    k = [i for i, w in enumerate(ws) if len(w) >= 2 and w in syn and syn[w] and w not in way]
    random.shuffle(k)
    for i in k[:random.choice([1, 1, 2, 3])]:
        ws[i] = max(random.choices(sorted(syn[ws[i]]), k=2), key=lambda v: freq.get(v, 0)); n += 1
    s = "".join(ws)
    r = random.random()
    if r < 0.2:
        s = random.choice(PRE) + s; n += 1
    elif r < 0.35:
        s = s.rstrip("?？") + random.choice(SUF); n += 1
    if "，" in s[3:-3] and random.random() < 0.3:
        a, b = s.rstrip("?？。").split("，", 1)
        s = b + "，" + a; n += 1
    if random.random() < 0.2:
        s = typo(s); n += 1
    return s if n else None


def negative(ws):
    s, r = "".join(ws), random.random()
    if DIG.search(s) and r < 0.5:
        return DIG.sub(lambda m: str(int(m.group()[:9]) + random.choice([1, 2, 3, 5, 10, 30])), s, count=1)
    k = [i for i, w in enumerate(ws) if w in ant and ant[w]]
    if k and r < 0.6:
        i = random.choice(k)
        return "".join(ws[:i] + [random.choice(sorted(ant[ws[i]]))] + ws[i + 1:])
    f = [w for w in FOCUS if w in s]
    if f and r < 0.3:
        return s.replace(f[0], random.choice([w for w in FOCUS if w != f[0]]), 1)
    k = [i for i, w in enumerate(ws) if len(w) >= 2 and sib.get(w) and w not in way]
    if k:
        i = random.choice(k)
        c = [v for v in sib[ws[i]] if v not in syn[ws[i]]]
        if c:
            return "".join(ws[:i] + [max(random.choices(c, k=2), key=lambda v: freq.get(v, 0))] + ws[i + 1:])
    return None


ASK = re.compile("[?？]$|什么|怎么|如何|哪|吗$|多少|为什么|谁|几|能不能|有没有|怎样|啥")
seen, rows = set(), []
for x in lines(f"{data}/text/sentences-01.txt.xz"):
    x = norm(x)
    if not (6 <= len(x) <= 24) or x in seen or not (ASK.search(x) or random.random() < 0.08):
        continue
    seen.add(x)
    ws = list(jieba.cut(x))
    p, n = positive(ws), negative(ws)
    if p:
        rows.append((x, p, 1.0))
    if n:
        rows.append((x, n, 0.0))
    if p and len(seen) % 5000 == 7:
        print(x, "|", p, "|", n, flush=True)
    if len(seen) >= N:
        break
for r in rows[:40]:
    print(*r)
save("rewrite", rows)

# --- kgclue: question against "entity relation", other relations of the entity as negatives
ent = collections.defaultdict(lambda: collections.defaultdict(list))
for n in ("kgclue.train", "kgclue.dev", "kgclue.test_public"):
    for r in service(n):
        c = r["answer"].split(" ||| ")
        if len(c) >= 2:
            e = re.sub("（.*?）|\\(.*?\\)", "", c[0])
            ent[e][c[1]].append(r["question"])
rows, grp = [], {}
for e, rel in ent.items():
    ks = list(rel)
    for k in ks:
        for q in rel[k]:
            rows.append((q, f"{e}的{k}是什么", 1.0))
            o = random.choice(ks)
            if o != k:
                rows.append((q, random.choice(rel[o]), 0.0)); rows.append((q, f"{e}的{o}是什么", 0.0))
        for i in range(1, len(rel[k])):
            rows.append((rel[k][i - 1], rel[k][i], 1.0))
save("kgclue", rows)

# --- intents
BAD = {"unknown_intent", "inform_time", "inform_item", "inform_package", "QUERY", "DEFAULT"}


def intents(name, items, per):
    g = collections.defaultdict(list)
    for t, i in items:
        if i not in BAD:
            g[i].append(t)
    rows, grp = [], {}
    for k, (i, ts) in enumerate(sorted(g.items())):
        ts = list(dict.fromkeys(ts))
        for t in ts:
            grp[norm(t)] = k
        for _ in range(per):
            random.shuffle(ts)
            rows += [(s, t, 1.0) for s, t in zip(ts[::2], ts[1::2])]
    random.shuffle(rows)
    save(name, rows, grp)


it = []
for n in ("dialogflow_support_zh.all", "dialogflow_weather_zh.all", "xsid_zh.test", "xsid_zh.valid", "rasa_telecom_gaoq1.nlu", "rasa_telecom_minlik.all",
          "rasa_ecommerce_charlesxu.all", "rasa_debt_collection_yalong.all", "covid_faq_feiyan.all"):
    it += [(r["question"], n + r["intent"]) for r in service(n) if r["intent"] not in BAD]
intents("intents", it, 3)
intents("shop", [(r["question"], r["intent"]) for n in ("cic_ecommerce_intent.train", "cic_ecommerce_intent.dev") for r in service(n)], 3)
act = collections.Counter()
it = []
for n in ("crosswoz_templates.user", "crosswoz_templates.system"):
    for r in service(n):
        if r["act"] and act[r["act"]] < 12 and "*" not in r["act"].replace("*", "", 1):
            act[r["act"]] += 1
            it.append((re.sub("\\[.*?\\+([^+]*?)\\]", "\\1", r["text"]), r["act"]))
intents("crosswoz", it, 2)
