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

# synthetic N FILE: annotations FILE.refs.json, results FILE.hyps.json; words with the skew of real ones, 8 to 13 a caption
synthetic()
{
    awk -v n="$1" -v f="$2" 'BEGIN {
        srand(1)
        refs = f ".refs.json"; hyps = f ".hyps.json"
        printf "{\"images\": [" >refs
        for (i = 1; i <= n; i++) printf "%s{\"id\": %d, \"file_name\": \"COCO_val2014_%012d.jpg\"}", i > 1 ? ", " : "", i, i >refs
        printf "], \"annotations\": [" >refs
        printf "[" >hyps
        for (i = 1; i <= n; i++) {
            for (k = 0; k < 6; k++) {
                s = "A"
                m = 7 + int(6 * rand())
                for (w = 0; w < m; w++) s = s " w" sprintf("%c%c", 97 + int(26 * rand()), 97 + int(26 * rand() ^ 3)) (rand() < 0.7 ? "" : "x")
                if (k < 5) printf "%s{\"image_id\": %d, \"id\": %d, \"caption\": \"%s.\"}", i + k > 1 ? ", " : "", i, 5 * i + k, s >refs
                else printf "%s{\"image_id\": %d, \"caption\": \"%s\"}", i > 1 ? ", " : "", i, s >hyps
            }
        }
        print "]}" >refs; print "]" >hyps }'
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
