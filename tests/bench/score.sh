#!/bin/bash
# coco-score's speed: 5,000 images x 5 references, BLEU, ROUGE-L and CIDEr, start to end, and the same at 40,504 images; medians
# of 5 with the most memory used. Beside them the official scorer's wall time with PEER=python3, a Python that has
# pycocoevalcap (BLEU, ROUGE-L and CIDEr of captions its own tokenizer has read; its reading and tokenizing are included).
#   tests/bench/score.sh [REFS HYPOTHESES]     default: synthetic captions
set -eu
TOP=$(cd "${0%/*}/../.." && pwd)
B=${CAPT_BIN:-$TOP/build/release/bin}
T=$(mktemp -d "${TMPDIR:-/tmp}/capt-bench.XXXXXX")
trap 'rm -rf "$T"' EXIT

# synthetic N FILE: annotations FILE.refs.json, results FILE.hyps.json; a small grammar with skewed choices, about 10 words a caption
synthetic()
{
    python3 - "$1" "$2" <<'P'
import json, random, sys
n, name = int(sys.argv[1]), sys.argv[2]
random.seed(1)
def pick(kind, n):
    return "%s%d" % (kind, int(n * random.random() ** 3))
def thing():
    return random.choice(("a ", "a ", "the ", "two ")) + (pick("adj", 80) + " " if random.random() < 0.3 else "") + pick("noun", 800)
def caption():
    s = thing() + " " + pick("verb", 100) + " " + pick("prep", 10) + " " + thing()
    return s[0].upper() + s[1:] + (" " + pick("prep", 10) + " " + thing() if random.random() < 0.5 else "")
json.dump({"images": [{"id": i, "file_name": "COCO_val2014_%012d.jpg" % i} for i in range(n)],
           "annotations": [{"image_id": i, "id": 5 * i + k, "caption": caption() + "."} for i in range(n) for k in range(5)]},
          open(name + ".refs.json", "w"))
json.dump([{"image_id": i, "caption": caption()} for i in range(n)], open(name + ".hyps.json", "w"))
P
}

# median CMD...: wall seconds, CPU seconds, KiB of the run with the median wall time of 5
median()
{
    for _ in 1 2 3 4 5; do
        python3 - "$@" <<'P'
import os, resource, subprocess, sys, time
t = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
t = time.monotonic() - t
u = resource.getrusage(resource.RUSAGE_CHILDREN)
print("%.3f %.3f %d" % (t, u.ru_utime + u.ru_stime, u.ru_maxrss))
P
    done | sort -n | sed -n 3p
}

show() # NAME IMAGES "WALL CPU KIB"
{
    set -- "$1" "$2" $3
    awk -v name="$1" -v n="$2" -v t="$3" -v c="$4" -v k="$5" 'BEGIN {
        printf "%-34s %6d images  %7.3f s  cpu %7.3f s  %6.1f us an image  %4d MiB\n", name, n, t, c, 1e6 * c / n, k / 1024 }'
}

synthetic 5000 "$T/a"
synthetic 40504 "$T/b"
refs=${1:-$T/a.refs.json} hyps=${2:-$T/a.hyps.json}
show coco-score "$("$B/coco-score" -q --json --refs "$refs" "$hyps" | sed 's/^{"n":\([0-9]*\).*/\1/')" \
    "$(median "$B/coco-score" -q --json --refs "$refs" "$hyps")"
show coco-score 40504 "$(median "$B/coco-score" -q --json --refs "$T/b.refs.json" "$T/b.hyps.json")"
show 'coco-score, two files compared' 5000 "$(median "$B/coco-score" -q --json --refs "$T/a.refs.json" "$T/a.hyps.json" "$T/a.hyps.json")"
if [ -n "${PEER:-}" ] && "$PEER" -c 'import pycocoevalcap' 2>/dev/null; then
    cat >"$T/peer.py" <<'P'
import json, sys
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
refs, hyps = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
gts = {}
for a in refs["annotations"]:
    gts.setdefault(a["image_id"], []).append(a)
res = {h["image_id"]: [h] for h in hyps}
gts, res = PTBTokenizer().tokenize({i: gts[i] for i in res}), PTBTokenizer().tokenize(res)
for scorer in Bleu(4), Rouge(), Cider():
    print(scorer.compute_score(gts, res)[0])
P
    show pycocoevalcap 5000 "$(median "$PEER" "$T/peer.py" "$refs" "$hyps")"
else
    echo "pycocoevalcap: not compared (PEER=python3 names a Python that has it)"
fi
