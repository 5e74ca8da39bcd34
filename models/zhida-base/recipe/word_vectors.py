"""Word vectors of the pieces: skip-gram with negative sampling over the cut text.
usage: word_vectors.py WORDS OUT [EPOCHS]"""
import logging, sys
logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
from gensim.models import Word2Vec
m = Word2Vec(corpus_file=sys.argv[1], sg=1, vector_size=256, window=5, negative=5, sample=3e-5, min_count=5, workers=2, epochs=int(sys.argv[3]) if len(sys.argv) > 3 else 1, seed=1, alpha=0.04)
m.wv.save(sys.argv[2])
