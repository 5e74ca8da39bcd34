"""Vectors of sentences by a teacher, in shards tv-%05d.npy (float16, 10,000 each); what is there is not made again.
usage: embed_teacher.py TEACHER SENTENCES OUT RANK OF   (TEACHER: a BERT folder with mean pooling; one process a core)"""
import json, os, sys, time
import numpy as np, torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from common import Encoder, hf_names, means, pack
teacher, sentences, out_dir, rank, world = sys.argv[1:]
rank, world = int(rank), int(world)
torch.set_num_threads(1)
cfg=json.load(open(teacher + '/config.json')); cfg.setdefault('type_vocab_size',1)
m=Encoder(cfg); w=load_file(teacher + '/model.safetensors')
m.load_state_dict({a:w[b].float() for a,b in hf_names(cfg['num_hidden_layers']).items()}); m.eval()
tok=Tokenizer.from_file(teacher + '/tokenizer.json'); tok.no_padding(); tok.enable_truncation(60)
sents=open(sentences,encoding='utf-8').read().split('\n')
SH=10000
off=cfg.get('position_offset',0)
@torch.no_grad()
def go(texts):
    enc=[np.array(e.ids) for e in tok.encode_batch_fast(texts)]
    order=np.argsort([len(x) for x in enc],kind='stable'); out=np.empty((len(texts),cfg['hidden_size']),np.float16)
    for i in range(0,len(order),512):
        b=order[i:i+512]; ids,groups,o=pack([enc[j] for j in b])
        with torch.autocast('cpu',torch.bfloat16): x=m(ids,groups)
        e=F.normalize(means(x.float(),groups),dim=1).numpy()
        r=np.empty_like(e); r[o]=e; out[b]=r
    return out
if __name__=='__main__':
    for k in range(rank,(len(sents)+SH-1)//SH,world):
        p=f'{out_dir}/tv-{k:05d}.npy'
        if os.path.exists(p): continue
        t=time.time(); v=go(sents[k*SH:(k+1)*SH]); np.save(p+'.tmp.npy',v); os.rename(p+'.tmp.npy',p)
        print(k,f'{len(v)/(time.time()-t):.0f}/s',flush=True)
