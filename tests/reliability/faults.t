#!/usr/bin/python3
# R7. The n-th allocation, read, write or sync fails (shim.c), in every program of a tiny pipeline: no signal, exit status 1 and a
# message, nothing under the final name; or, where the program can do without, 0 and the bytes it writes otherwise. After it the same
# command completes. Budget: two minutes.
# FAULT_STEP: n goes up in such steps; FAULT_RUNS: at most so many of a kind and program, spread over all n (0: no limit).
import base64
import os
import re
import shutil
import struct
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import *

STEP, RUNS = number('FAULT_STEP', 7, 1), number('FAULT_RUNS', 30, 0)
if DEBUG or not os.path.exists(SHIM):
    skip_all('the sanitizers have an allocator of their own' if DEBUG else 'no shim')
world(12)
probe = run(['vocab-build', '--help'], env={'LD_PRELOAD': SHIM})
if probe.status == 99:
    skip_all('system calls cannot be filtered here: no device')
write('names', '1\n2\n3\n')
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 16), }"
head += ' ' * (-(len(head) + 11) % 64) + '\n'
write('f.npy', b'\x93NUMPY\x01\x00' + bytes([len(head), 0]) + head.encode() + bytes(3 * 16 * 4))
with open('tsv', 'w') as f: # four transactions
    for i in range(200):
        numbers = struct.pack('<8f', 1, 2, 30, 40, 5, 6, 7, 8), struct.pack('<16f', *range(16))
        f.write('%d\t64\t48\t2\t%s\t%s\n' % (i * 79 % 1009, *[base64.b64encode(x).decode() for x in numbers]))
write('text', run(['capt-store', 'dump', 's.mdb'], keep=1 << 24).out)
write('weights', run(['capt-store', 'dump', 'a.ckpt'], keep=1 << 24).out)
for i in range(2):
    must('clip-featurize', '--quiet', '--weights', VIT, '--images', 'toy/images', '--shard', '%d/2' % i, '--store', 'p%d' % i, 'r.ndjson')
must('capt-beam', '--quiet', '--model', 'a.ckpt', '--store', 's.mdb', '--split', 'all', '--out', 'hyp', 'r.ndjson')
small = ' '.join(tiny)
gone = []


def tidy(folder):
    shutil.rmtree(folder)
    os.mkdir(folder)


def strike(name, command, again='', out='out'):
    """command writes o/OUT (or stdout, when `out` is None)."""
    args = command.split()
    tidy('o')

    def result(r):
        return r.out if out is None else read('o/' + out) if os.path.exists('o/' + out) else None

    count = 'o.count'
    if os.path.exists(count):
        os.remove(count)
    r = run(args, env={'LD_PRELOAD': SHIM, 'SHIM_COUNT': os.path.abspath(count)}, keep=1 << 24)
    want = result(r)
    if not ok(r.status == 0 and want, '%s: undisturbed' % name, r.err):
        return
    totals = dict(re.findall('(malloc|read|write|fsync) ([0-9]+)', read(count).decode()))
    for kind in 'malloc', 'read', 'write', 'fsync':
        total = int(totals[kind])
        step = max(STEP if total > 3 * STEP else 1, total // RUNS if RUNS else 1)
        bad, stuck = [], []
        for n in range(1, total + 1, step):
            tidy('o')
            r = run(args, env={'LD_PRELOAD': SHIM, 'SHIM_FAIL': kind, 'SHIM_N': str(n)}, keep=1 << 24)
            got = result(r)
            if r.status not in (0, 1) or (r.status == 0 and got != want) or (r.status == 1 and ((out and got is not None) or not r.err)):
                bad.append('%s %d of %d: status %d, %s: %s' % (kind, n, total, r.status, 'no output' if got is None else 'the output' if got == want else 'another output', r.err))
            elif r.status == 1 and out and n % 3 == 0:
                r = run(args + again.split(), keep=1 << 24)
                if r.status or result(r) != want or os.listdir('o') != [out]:
                    stuck.append('%s %d: status %d: %s %s' % (kind, n, r.status, r.err, os.listdir('o')))
        ok(not bad, '%s: %s, every %d of %d' % (name, kind, step, total), *bad)
        if out:
            ok(not stuck, '%s: %s: completes afterwards' % (name, kind), *stuck)


os.mkdir('o')
strike('coco-split', 'coco-split --quiet --scheme karpathy toy/dataset.json', out=None)
strike('vocab-build', 'vocab-build --quiet --type word --min-count 1 --out o/out r.ndjson')
strike('clip-featurize', 'clip-featurize --quiet --weights %s --images toy/images --store o/out r.ndjson' % VIT, '--resume')
strike('vinvl-import', 'vinvl-import --quiet --format npy --names names --store o/out f.npy', '--resume')
strike('vinvl-import of rows', 'vinvl-import --quiet --threads 2 --dtype f32 --store o/out tsv', '--resume')
strike('capt-store load', 'capt-store load --out o/out text', '--resume')
strike('capt-store load of weights', 'capt-store load --out o/out weights')
strike('capt-store merge', 'capt-store merge --out o/out p0 p1', '--resume')
strike('capt-store dump', 'capt-store dump s.mdb', out=None)
strike('capt-store dump of weights', 'capt-store dump a.ckpt', out=None)
strike('capt-store verify', 'capt-store verify s.mdb a.ckpt', out=None)
strike('capt-store diff', 'capt-store diff p0 p0', out=None)
strike('capt-train', 'capt-train %s --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 4 --epochs 2 --save-minutes 0 --quiet --out o/out' % small, '--resume')
strike('capt-tag', 'capt-tag --captions r.ndjson --store s.mdb --epochs 1 --quiet --out o/out', '--resume')
strike('capt-scst', 'capt-scst --init a.ckpt --captions r.ndjson --store s.mdb --batch 5 --epochs 1 --quiet --out o/out', '--resume')
strike('capt-beam', 'capt-beam --quiet --model a.ckpt --store s.mdb --split all --out o/out r.ndjson')
strike('coco-score', 'coco-score --quiet --json --refs r.ndjson --split all hyp', out=None)
strike('coco-score --write-df', 'coco-score --quiet --refs r.ndjson --split all --metrics cider --write-df o/out')
strike('capt-report', 'capt-report --quiet --refs r.ndjson --images toy/images --out o/out hyp')
end()
