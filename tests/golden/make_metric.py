#!/usr/bin/env python3
"""Writes metric.json: scores of pycocoevalcap 1.2 (pip install pycocoevalcap==1.2) on a small made-up set
(made with numpy 2.4.6, Python 3.11).

    NPY_DISABLE_CPU_FEATURES="AVX512F AVX512_SKX" python3 make_metric.py >metric.json

The sentences are tokenized already; they are drawn from a small grammar with a fixed seed, with a few odd ones: empty,
one word, repeated words, an image with one and one with seven references, tokens holding NBSP, a very long one."""
import contextlib
import io
import json
import random

import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

rnd = random.Random(7)
SUBJECT = "a man|a woman|two dogs|the cat|a group of people|three children|a red bus".split("|")
VERB = "riding|sitting on|standing near|looking at|jumping over|eating beside".split("|")
OBJECT = "a bench|the street|a wooden table|a wave|the field|an old bicycle|a pile of snow".split("|")
TAIL = "|in the sun|at night|with a ball|next to a small white dog|on top of a hill|while it 's raining".split("|")


def sentence():
    return " ".join(f"{rnd.choice(SUBJECT)} {rnd.choice(VERB)} {rnd.choice(OBJECT)} {rnd.choice(TAIL)}".split())


images = [{"hyp": sentence(), "refs": [sentence() for _ in range(5)]} for _ in range(140)]
images[3]["hyp"] = ""
images[4]["hyp"] = "dog"
images[5]["hyp"] = "a a a a a a a a a"
images[6]["refs"] = images[6]["refs"][:1]
images[7]["refs"] += ["the cat", "2\u00a01/2 dogs"]
images[8]["hyp"] = "a dish of 2\u00a01/2 eggs"
images[9]["refs"][2] = ""
images[10]["hyp"] = " ".join(sentence() for _ in range(12))
images[11]["refs"][0] = " ".join(sentence() for _ in range(12))
images[12]["hyp"] = images[12]["refs"][1]
images[13]["hyp"] = "un caf\u00e9 \u00e0 la pla\u00e7e"
gts = {i: x["refs"] for i, x in enumerate(images)}
res = {i: [x["hyp"]] for i, x in enumerate(images)}
out = {"images": images}
with contextlib.redirect_stdout(io.StringIO()):
    out["bleu"], each_bleu = Bleu(4).compute_score(gts, res)
    out["rouge"], each_rouge = Rouge().compute_score(gts, res)
    out["cider"], each_cider = Cider().compute_score(gts, res)
out = json.loads(json.dumps(out, default=float))
out["each"] = {
    "Bleu_1": each_bleu[0], "Bleu_2": each_bleu[1], "Bleu_3": each_bleu[2], "Bleu_4": each_bleu[3],
    "ROUGE_L": [float(x) for x in each_rouge], "CIDEr": [float(x) for x in each_cider]}
out["mean"] = [[n, float(np.mean(1 / (np.arange(n) + 1.0)))] for n in (1, 7, 8, 9, 127, 128, 129, 132, 133, 135, 136, 140, 255, 1000, 5000)]
print(json.dumps(out, ensure_ascii=False, separators=(",", ":"), default=float))
