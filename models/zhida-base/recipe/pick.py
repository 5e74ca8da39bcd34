"""Sentences for the teacher: all of pairs/train, and what looks like a question in text/ and service/; none of the dev files or of our own corpora.
usage: pick.py DATA CORPORA OUT   (one sentence a line, each once)"""
import glob, json, lzma, random, re, sys, unicodedata
D, OURS, OUT = sys.argv[1:]
def norm(s): return re.sub(r'[\s\W_]+','',unicodedata.normalize('NFKC',s).lower())
banned=set()
for f in glob.glob(D+'/pairs/dev/*.tsv'):
    for l in open(f,encoding='utf-8'):
        for s in l.rstrip('\n').split('\t')[:2]: banned.add(norm(s))
for f in glob.glob(D+'/faq/dev/*.jsonl')+glob.glob(OURS + '/*.jsonl'):
    for l in open(f,encoding='utf-8'):
        d=json.loads(l)
        for s in [d.get('text'),d.get('question'),*d.get('similar',[])]:
            if s: banned.add(norm(s))
print('banned',len(banned))
seen=set(); out=[]
def add(s):
    s=s.strip()
    if not 2<=len(s)<=45: return
    k=norm(s)
    if len(k)<2 or k in seen or k in banned: return
    seen.add(k); out.append(s)
for f in sorted(glob.glob(D+'/pairs/train/*.tsv.xz')):
    n0=len(out)
    for l in lzma.open(f,'rt',encoding='utf-8'):
        for s in l.rstrip('\n').split('\t')[:2]: add(s)
    print(f.split('/')[-1],len(out)-n0)
npairs=len(out)
Q=re.compile(r'[?？吗呢]|怎么|怎样|如何|什么|为何|哪|几|多少|能不能|可以|是不是|有没有|谁|多久|咋|请问|想|帮|求')
for f in sorted(glob.glob(D+'/service/*.jsonl.xz')):
    n0=len(out)
    for l in lzma.open(f,'rt',encoding='utf-8'):
        try: d=json.loads(l)
        except Exception: continue
        st=[d]
        while st:
            x=st.pop()
            if isinstance(x,str):
                if Q.search(x) or len(x)<16: add(x)
            elif isinstance(x,dict): st+=x.values()
            elif isinstance(x,list): st+=x
    print(f.split('/')[-1],len(out)-n0)
nserv=len(out)
for f in sorted(glob.glob(D+'/text/*.xz')):
    n0=len(out)
    for l in lzma.open(f,'rt',encoding='utf-8'):
        s=l.strip()
        if 4<=len(s)<=36 and Q.search(s): add(s)
    print(f.split('/')[-1],len(out)-n0)
print(npairs,nserv,len(out))
random.seed(5); t=out[nserv:]; random.shuffle(t)
open(OUT, 'w', encoding='utf-8').write('\n'.join(out[:nserv] + t))
