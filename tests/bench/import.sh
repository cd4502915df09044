#!/bin/bash
# vinvl-import on a synthetic bottom-up TSV file in the page cache, beside a Python importer (PEER, a Python with numpy and lmdb)
# and beside the floor: reading the file and writing 3/4 of its bytes with fsync. In turns; medians of wall and processor time.
#   PEER=python3 tests/bench/import.sh [GB] [RUNS] [FOLDER]     default: 2 GB, 5 runs, a temporary folder (it decides the disk)
set -eu
TOP=$(cd "${0%/*}/../.." && pwd)
B=${CAPT_BIN:-$TOP/build/release/bin}
GB=${1:-2} RUNS=${2:-5}
T=$(mktemp -d "${3:-${TMPDIR:-/tmp}}/capt-bench.XXXXXX")
trap 'rm -rf "$T"' EXIT
make -s -C "$TOP" build/release/bench/import_floor

python3 - "$T/in.tsv" "$GB" <<'P'
import base64, random, struct, sys
random.seed(1)
rows = []
for n in range(10, 101, 5): # adaptive: 10 to 100 boxes, ReLU features
    x = [max(0.0, random.gauss(0.3, 1.2)) for _ in range(8192)]
    features = struct.pack('<%df' % (n * 2048), *(x * (n * 2048 // 8192 + 1))[:n * 2048])
    boxes = b''.join(struct.pack('<4f', i, i, i + 50, i + 60) for i in range(n))
    rows.append(b'\t640\t480\t%d\t%s\t%s\n' % (n, base64.b64encode(boxes), base64.b64encode(features)))
left = float(sys.argv[2]) * 1e9
ids = list(range(1, 600000))
random.shuffle(ids)
with open(sys.argv[1], 'wb') as f:
    while left > 0:
        row = b'%d' % ids.pop() + rows[random.randrange(len(rows))]
        left -= len(row)
        f.write(row)
P
sync

timed() # NAME CMD...
{
    name=$1
    shift
    rm -f "$T"/out*
    sync
    cat "$T/in.tsv" >/dev/null
    python3 - "$name" "$T/times" "$@" <<'P'
import resource, subprocess, sys, time
t = time.monotonic()
subprocess.run(sys.argv[3:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
t = time.monotonic() - t
u = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[2], 'a').write('%s %.3f %.3f %d\n' % (sys.argv[1], t, u.ru_utime + u.ru_stime, u.ru_maxrss // 1024))
P
}

for _ in $(seq "$RUNS"); do
    for dtype in f32 f16; do
        timed floor "$TOP/build/release/bench/import_floor" "$T/in.tsv" "$T/out"
        for threads in 2 1; do
            timed "$dtype-$threads" "$B/vinvl-import" -q --threads $threads --dtype $dtype --store "$T/out" "$T/in.tsv"
        done
        [ -z "${PEER:-}" ] || timed "$dtype-python" "$PEER" "$TOP/tests/bench/peers/import_tsv.py" "float${dtype#f}" "$T/in.tsv" "$T/out"
    done
done
python3 - "$T/times" <<'P'
import statistics, sys
runs = {}
for line in open(sys.argv[1]):
    name, *v = line.split()
    runs.setdefault(name, []).append([float(x) for x in v])
med = {k: [statistics.median(x) for x in zip(*v)] for k, v in runs.items()}
for k, (wall, cpu, mib) in med.items():
    peer = med.get(k.split('-')[0] + '-python')
    print('%-11s %7.3f s  cpu %7.3f s  %5d MiB  %5.2f of the floor' % (k, wall, cpu, mib, wall / med['floor'][0]) +
          ('  python takes %.2f times the time, %.2f the cpu' % (peer[0] / wall, peer[1] / cpu) if peer and 'python' not in k else ''))
P
