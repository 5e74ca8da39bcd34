"""How long do a million stored questions and fifty thousand phrasings take, and how much memory?

usage: python3 benches/learning.py [--questions N] [--phrasings N] [--open N] [--model none] [--python PYTHON-WITH-DUCKDB]
       python3 benches/learning.py --questions N --of KB_FILE QUESTIONS_FILE        such as corpora/shop.kb.jsonl corpora/shop.queries.jsonl

Makes a knowledge base of that many phrasings (50,000) and the events of thirty days with that many questions (1,000,000), of which
`--open` (100,000) different wordings have no answer, all of made-up texts; publishes, and has each command look at them: compaction,
figures, usage, groups, suggestions, bursts, forgetting a customer and a conversation. Before the last three a day is added, and the groups of it
are looked at again: do questions go by the names that they went by? Made-up questions are too much alike to be put into groups, so
this wants real ones (--of). Times are wall times, memory is the largest resident set of the process. Says the
load of the machine before and after. Needs Python 3.9 and Linux; with a Python that has DuckDB the totals of the Parquet files too."""
import argparse, collections, datetime, json, os, random, subprocess, sys, tempfile, time, uuid, zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ZHIDA = os.environ.get("ZHIDA", os.path.join(ROOT, "target/release/zhida"))
THINGS = ["冰箱", "洗衣机", "路由器", "耳机", "手表", "平板", "打印机", "空调", "电饭煲", "吸尘器", "投影仪", "键盘", "显示器", "音箱", "相机", "充电宝",
          "台灯", "热水器", "净水器", "扫地机"]
PLACES = ["北京仓", "上海仓", "广州仓", "成都仓", "武汉仓", "西安仓", "杭州仓", "沈阳仓"]
MATTERS = [("怎么退货", "不想要了能退吗"), ("多久能发货", "什么时候寄出来"), ("坏了怎么保修", "用了几天就不灵了找谁"), ("发票开错了怎么改", "抬头写错能重开吗"),
           ("能不能换颜色", "想换成白的行不行"), ("运费谁出", "寄回去要我付钱吗"), ("降价了补差价吗", "刚买就便宜了能退差价吗"), ("少了配件怎么补", "盒子里缺东西"),
           ("怎么安装", "装不上去有没有师傅"), ("能货到付款吗", "先看东西再给钱可以吗")]
ASIDE = ["", "请问", "你好，", "那个，", "急，", "想问下", "麻烦看下", "我上周买的，"]
TAILS = ["", "呢", "呀", "啊", "谢谢", "在线等", "，帮我看看", "？"]
STRANGE = ["能不能刻字", "有没有学生价", "可以寄到国外吗", "和旧款比哪个省电", "能用积分换吗", "支持以旧换新吗", "有没有分期免息", "能上门回收吗", "带不带儿童锁", "噪音大不大",
           "有现货吗", "说明书在哪下载", "能开公司户吗", "可以指定周末送吗", "有没有配套的架子", "能加购延保吗", "孩子弄湿了怎么办", "会员日打几折", "送不送滤芯", "怎么连手机"]


def entries(count):
    rows, made, number = [], 0, 0
    while made < count:
        thing, place = THINGS[number % len(THINGS)], PLACES[number // len(THINGS) % len(PLACES)]
        matter = MATTERS[number // (len(THINGS) * len(PLACES)) % len(MATTERS)]
        series = number // (len(THINGS) * len(PLACES) * len(MATTERS))
        name = f"{place}{thing}{series + 1}代"
        texts = [f"{name}{matter[0]}", f"{name}{matter[1]}", f"{matter[0]}，是{name}", f"{place}的{thing}{series + 1}代，{matter[1]}", f"{name}的事：{matter[0]}"]
        texts = texts[: count - made]
        made += len(texts)
        rows.append({"id": f"e{number}", "question": texts[0], "similar": texts[1:], "answer": f"{name}：{matter[0]}，请在订单里办理。", "topic": thing})
        number += 1
    return rows


def line(event):
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def day_start(day):
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone(datetime.timedelta(hours=8))).timestamp() * 1000)


def write_day(data, day, count, wordings, kb, dice, salt):
    folder = os.path.join(data, "events", day.isoformat())
    os.makedirs(folder, exist_ok=True)
    first, names = day_start(day), [row["id"] for row in kb]
    with open(os.path.join(folder, uuid.UUID(int=dice.getrandbits(128), version=4).hex + ".seg"), "wb") as out:
        for number in range(count):
            at = first + number * 86_000_000 // count
            trace = f"{at:012x}7{number % 4096:03x}{8:x}{salt:07x}{number:08x}"
            event = {"kind": "decision", "at": at, "trace_id": trace, "kb": "bench", "release": "1", "conversation": f"c{salt:x}-{number // 3:x}",
                     "customer": f"u{dice.randrange(200_000)}", "channel": ("web", "wechat", "app")[number % 3]}
            kind = dice.random()
            entry = min(dice.randrange(len(names)), dice.randrange(len(names)))
            if kind < 0.7:
                text = dice.choice([kb[entry]["question"]] + kb[entry].get("similar", []))
                event.update(text=text, normalized=text, decision="answer", reason="confident", entry=names[entry], topic=kb[entry].get("topic"), confidence=0.97)
            else:
                text = wordings[min(dice.randrange(len(wordings)), dice.randrange(len(wordings)))]
                decision, reason = ("clarify", "ambiguous") if kind < 0.82 else ("handoff", "no_match")
                event.update(text=text, normalized=text, decision=decision, reason=reason, entry=names[entry], confidence=0.3)
            event["candidates"] = [{"entry": names[(entry + i) % len(names)], "confidence": 0.1} for i in range(5)]
            event.update(offered=3, generation=2, micros=dice.randrange(500, 4000))
            out.write(line(event))
            if number % 25 == 0:
                out.write(line({**{k: v for k, v in event.items() if k not in ("text", "normalized", "candidates", "micros")}, "kind": "feedback", "at": at + 60_000, "solved": number % 50 == 0}))


def run(what, *args):
    """Runs a command; prints its wall seconds and peak memory, gives back its output."""
    start = time.time()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([ZHIDA, *args], stdout=out, stderr=subprocess.PIPE)
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(args)}: {told.decode()[-500:]}")
        seconds = time.time() - start
        print(f"| {what} | {seconds:.1f} | {usage.ru_utime + usage.ru_stime:.1f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)
        out.seek(0)
        return out.read().decode()


def grouped(data):
    """By question, as it is remembered, the name of its group."""
    with open(os.path.join(data, "learn", "bench", "groups.json"), encoding="utf-8") as names:
        return dict(json.load(names)["questions"])


options = argparse.ArgumentParser()
options.add_argument("--questions", type=int, default=1_000_000)
options.add_argument("--phrasings", type=int, default=50_000)
options.add_argument("--open", type=int, default=100_000)
options.add_argument("--of", nargs=2, metavar=("KB_FILE", "QUESTIONS_FILE"))
options.add_argument("--model")
options.add_argument("--python")
asked = options.parse_args()
dice = random.Random(7)
if asked.of:
    kb, wordings = ([json.loads(row) for row in open(file, encoding="utf-8") if row.strip()] for file in asked.of)
    wordings = sorted({row["text"] for row in wordings})
    asked.phrasings, asked.open = sum(1 + len(row.get("similar", [])) for row in kb), len(wordings)
else:
    kb, wordings = entries(asked.phrasings), set()
    while len(wordings) < asked.open:
        wordings.add(f"{dice.choice(ASIDE)}{dice.choice(PLACES + [''])}{dice.choice(THINGS)}{dice.choice(['', dice.randrange(2, 9)])}{dice.choice(['代', '号', '款', ''])}"
                     f"{dice.choice(STRANGE)}{dice.choice(TAILS)}")
    wordings = sorted(wordings)
dice.shuffle(wordings)
today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
with tempfile.TemporaryDirectory() as folder:
    data = os.path.join(folder, "data")
    for back in range(30, 0, -1):
        write_day(data, today - datetime.timedelta(days=back), asked.questions // 30, wordings, kb, dice, back)
    file = os.path.join(folder, "kb.jsonl")
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kb)
    place = ["--data", data]
    if asked.model:
        place += ["--model", asked.model]
    print(f"{asked.questions:,} questions, {asked.phrasings:,} phrasings, {asked.open:,} open wordings; load {os.getloadavg()[0]:.1f}")
    print("| what | wall s | CPU s | peak MiB |\n| --- | --- | --- | --- |")
    run("import", "kb", "import", *place[:2], "--kb", "bench", file)
    run("publication", "kb", "publish", *place, "--kb", "bench", "--force", "--reason", "a bench")
    month = ["--from", (today - datetime.timedelta(days=30)).isoformat(), "--to", (today - datetime.timedelta(days=1)).isoformat()]
    run("figures of a month, from segments", "stats", *place[:2], "--kb", "bench", *month, "--json")
    run("compaction of thirty days", "events", "compact", *place[:2])
    figures = json.loads(run("figures of a month, from Parquet files", "stats", *place[:2], "--kb", "bench", *month, "--by", "day", "--json"))
    run("the same again", "stats", *place[:2], "--kb", "bench", *month, "--by", "day", "--json")
    run("figures of a week", "stats", *place[:2], "--kb", "bench", "--json")
    usage = json.loads(run("usage of a month", "usage", *place[:2], *month, "--json"))
    groups = ["learn", "groups", *place, "--kb", "bench", "--days", "31", "--limit", "100000", "--json"]
    run("groups", *groups)
    run("groups again", *groups)
    old = grouped(data)
    write_day(data, today, asked.questions // 30, wordings, kb, dice, 0)
    run("groups with one more day", *groups)
    new = grouped(data)
    run("suggestions", "learn", "suggestions", *place, "--kb", "bench", "--days", "31", "--json")
    run("bursts and drift", "learn", "bursts", *place, "--kb", "bench", "--days", "31", "--json")
    run("forgetting a customer", "forget", *place[:2], "--customer", "u77")
    run("forgetting a conversation", "forget", *place[:2], "--conversation", "c5-77")
    sizes = collections.Counter(old.values())
    both = [question for question in old.keys() & new.keys() if sizes[old[question]] > 1]
    names = {name for name, size in sizes.items() if size > 1}
    print(f"{len(old):,} questions grouped, {len(new):,} with one more day; {len(names):,} groups of several before"
          + (f", of which {len(names & set(new.values())) / len(names):.1%} are there by name, and {sum(old[one] == new[one] for one in both) / len(both):.1%} "
             f"of their {len(both):,} questions go by it" if both else ""))
    print(f"questions by figures {figures['all']['counts']['questions']:,}, by usage {usage['questions']:,}")
    if asked.python:
        script = ("import duckdb,sys,time;t=time.time();"
                  f"print(duckdb.sql(\"select count(*),count(distinct conversation) from '{data}/events/*/events.parquet' where kind='decision'\").fetchall(),"
                  "round(time.time()-t,2),'s')")
        print("DuckDB:", subprocess.run([asked.python, "-c", script], capture_output=True, text=True).stdout.strip())
    print(f"load {os.getloadavg()[0]:.1f}")
