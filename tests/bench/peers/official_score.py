#!/usr/bin/env python3
"""What the official caption scorer (pycocoevalcap 1.2) does for tests/bench/score.sh: official_score.py REFS HYPOTHESES [meteor]
Reads the official layouts, tokenizes, computes BLEU, ROUGE-L, CIDEr-D and, with "meteor", METEOR; prints the scores and the seconds that CIDEr-D took."""
import json
import sys
import time

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

with open(sys.argv[1]) as f:
    refs = json.load(f)
with open(sys.argv[2]) as f:
    res = {h["image_id"]: [h] for h in json.load(f)}
gts = {i["id"]: [] for i in refs["images"] if i["id"] in res}
for a in refs["annotations"]:
    if a["image_id"] in gts:
        gts[a["image_id"]].append(a)
res = {i: res[i] for i in gts}
gts, res = PTBTokenizer().tokenize(gts), PTBTokenizer().tokenize(res)
out = {}
for scorer in [Bleu(4), Rouge(), Cider()] + ([Meteor()] if sys.argv[3:] == ["meteor"] else []):
    t = time.monotonic()
    out[scorer.method()] = scorer.compute_score(gts, res, **({"verbose": 0} if isinstance(scorer, Bleu) else {}))[0]
    out["seconds"] = {**out.get("seconds", {}), scorer.method(): time.monotonic() - t}
print(json.dumps(out, default=float))
