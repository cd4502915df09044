#!/bin/bash
# coco-score's speed, start to end: 5,000 images x 5 references with and without METEOR, two files compared, 40,504 images, and CIDEr-D as a reward.
#   [PEER=python3] [METEOR=PATH] [RUNS=5] tests/bench/score.sh [REFS HYPOTHESES]
# REFS and HYPOTHESES in the official layouts; default: the Karpathy test images in ../shared, without it synthetic captions. The large set repeats their images
# under new ids. Every figure is a median of RUNS runs, all jobs taking turns: seconds of wall time on all processors, of processor time, and the most memory used.
# PEER is a Python that has pycocoevalcap 1.2: the official scorer then does the same jobs in the same turns. METEOR is the path of --meteor-data (default: PEER's
# package); the cache of its data is made first, and that time printed. Needs `make build/release/bench/reward` for the last line.
set -eu
TOP=$(cd "${0%/*}/../.." && pwd)
B=${CAPT_BIN:-$TOP/build/release/bin}
T=$(mktemp -d "${TMPDIR:-/tmp}/capt-bench.XXXXXX")
trap 'rm -rf "$T"' EXIT
K=${CAPT_SHARED:-$TOP/../shared}/data/karpathy_test
export CAPT_CACHE=$T/cache CAPT_METEOR_DATA=

# annotations a.refs.json, results a.hyps.json of 5,000 images: a small grammar with skewed choices, about 10 words a caption
synthetic()
{
    python3 - "$T/a" <<'P'
import json, random, sys
random.seed(1)
def pick(kind, n):
    return "%s%d" % (kind, int(n * random.random() ** 3))
def thing():
    return random.choice(("a ", "a ", "the ", "two ")) + (pick("adj", 80) + " " if random.random() < 0.3 else "") + pick("noun", 800)
def caption():
    s = thing() + " " + pick("verb", 100) + " " + pick("prep", 10) + " " + thing()
    return s[0].upper() + s[1:] + (" " + pick("prep", 10) + " " + thing() if random.random() < 0.5 else "")
n = 5000
json.dump({"images": [{"id": i, "file_name": "COCO_val2014_%012d.jpg" % i} for i in range(n)],
           "annotations": [{"image_id": i, "id": 5 * i + k, "caption": caption() + "."} for i in range(n) for k in range(5)]},
          open(sys.argv[1] + ".refs.json", "w"))
json.dump([{"image_id": i, "caption": caption()} for i in range(n)], open(sys.argv[1] + ".hyps.json", "w"))
P
}

if [ $# = 2 ]; then
    refs=$1 hyps=$2
elif [ -d "$K" ]; then
    refs=$K/captions_karpathy_test.json hyps=$K/sparse_caption_00156000.json
else
    synthetic
    refs=$T/a.refs.json hyps=$T/a.hyps.json
fi
if [ -n "${PEER:-}" ] && ! "$PEER" -c 'import pycocoevalcap'; then
    exit 1
fi
if [ -z "${METEOR:-}" ] && [ -n "${PEER:-}" ]; then
    METEOR=$("$PEER" -c 'import pycocoevalcap.meteor as m; print(list(m.__path__)[0])')
fi

# the large set; prints the numbers of images of both. A process of its own: memory that a parent holds would count as its children's.
images=$(python3 - "$refs" "$hyps" "$T/big" <<'P'
import json, sys
refs, hyps, out = sys.argv[1:]
LARGE = 40504
with open(refs) as f:
    small = json.load(f)
with open(hyps) as f:
    caption = {h["image_id"]: h["caption"] for h in json.load(f)}
notes = {i: [] for i in caption}
for a in small["annotations"]:
    notes.get(a["image_id"], []).append(a["caption"])
ids = [i["id"] for i in small["images"] if i["id"] in caption]
big = [ids[k % len(ids)] for k in range(LARGE)]
with open(out + ".refs.json", "w") as f:
    json.dump({"images": [{"id": k, "file_name": "COCO_val2014_%012d.jpg" % k} for k in range(LARGE)],
               "annotations": [{"image_id": k, "id": 10 * k + j, "caption": c} for k, i in enumerate(big) for j, c in enumerate(notes[i])]}, f)
with open(out + ".hyps.json", "w") as f:
    json.dump([{"image_id": k, "caption": caption[i]} for k, i in enumerate(big)], f)
print(len(ids), LARGE)
P
)

python3 - "$B/coco-score" "$TOP/tests/bench/peers/official_score.py" "$refs" "$hyps" "$T" "${PEER:-}" "${METEOR:-}" "${RUNS:-5}" "$images" <<'P'
import json, os, statistics, subprocess, sys, time
program, peer_job, refs, hyps, tmp, peer, meteor, runs, images = sys.argv[1:]
IMAGES, LARGE = map(int, images.split())

def run(command):
    """Output, and wall seconds, processor seconds, KiB of one run."""
    t = time.monotonic()
    with open(tmp + "/out", "w+") as out:
        p = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, u = os.wait4(p.pid, 0)
        t = time.monotonic() - t
        if status:
            sys.exit("%s failed" % " ".join(command))
        out.seek(0)
        return out.read(), (t, u.ru_utime + u.ru_stime, u.ru_maxrss)

ours = [program, "-q", "--json", "--refs"]
few, many = "BLEU, ROUGE-L, CIDEr-D", "%d images" % LARGE
jobs = {few: ours + [refs, hyps]}
if peer:
    jobs["official: " + few] = [peer, peer_job, refs, hyps]
if meteor:
    jobs["with METEOR"] = ours + [refs, "--meteor-data", meteor, hyps]
    t = run(jobs["with METEOR"])[1]
    print("METEOR's cache made: %.2f s, processors %.2f s, %d MiB" % (t[0], t[1], t[2] / 1024))
if meteor and peer:
    jobs["official: with METEOR"] = [peer, peer_job, refs, hyps, "meteor"]
jobs["two files compared"] = ours + [refs, hyps, hyps]
jobs[many] = ours + [tmp + "/big.refs.json", tmp + "/big.hyps.json"]
seen = {name: [] for name in jobs}
said = {}
for _ in range(int(runs)):
    for name, command in jobs.items():
        said[name], t = run(command)
        seen[name].append(t)
mid = {name: [statistics.median(x) for x in zip(*t)] for name, t in seen.items()}
for name, (wall, cpu, rss) in mid.items():
    n = LARGE if name == many else IMAGES
    print("%-32s %8.3f s  processors %8.3f s %7.1f us an image %5d MiB" % (name, wall, cpu, 1e6 * cpu / n, rss / 1024))

def ratio(a, b, what):
    x = [[p[k] / q[k] for p, q in zip(seen[a], seen[b])] for k in (0, 1)]
    print("%s: %.1f times by wall time, %.1f by processor time" % (what, statistics.median(x[0]), statistics.median(x[1])))

if meteor:
    extra = [[w[k] - f[k] for w, f in zip(seen["with METEOR"], seen[few])] for k in (0, 1)]
    print("METEOR adds %.3f s, processors %.3f s" % tuple(statistics.median(x) for x in extra))
share = [[big[k] / LARGE / (one[k] / IMAGES) for big, one in zip(seen[many], seen[few])] for k in (0, 1)]
print("an image of %d against one of %d: %.2f by wall time, %.2f by processor time" % (LARGE, IMAGES, statistics.median(share[0]), statistics.median(share[1])))
if peer:
    ratio("official: " + few, few, "official scorer")
    s = json.loads(said["official: " + few].splitlines()[-1])["seconds"]["CIDEr"]
    print("official CIDEr-D: %.0f us a hypothesis, references and document frequencies included" % (1e6 * s / IMAGES))
if meteor and peer:
    ratio("official: with METEOR", "with METEOR", "official scorer with METEOR")
same = {run(jobs["with METEOR" if meteor else few] + ["--threads", str(t)])[0] for t in (1, 2, 3, 8)}
print("output of 1, 2, 3 and 8 threads: %s" % ("equal to the last bit" if len(same) == 1 else "DIFFERENT"))
P
[ ! -x "$B/../bench/reward" ] || "$B/../bench/reward" "$refs" "$hyps"
