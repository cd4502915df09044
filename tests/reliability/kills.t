#!/usr/bin/python3
# R1. Every long-running program is killed by signal 9 at random moments and run again with --resume (those that begin anew: run again):
# no half file stands under the final name, and in the end the bytes are those of an undisturbed run, with nothing left beside them.
# Budget: two minutes. KILLS: how many a program. SEED: other moments.
import base64
import os
import random
import struct
import sys
import time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import *

KILLS = number('KILLS', 3 if DEBUG else 20, 500)
random.seed(int(os.environ.get('SEED', '1')))
world(40)
write('many.ndjson', b''.join(x.replace(b'{"id":', b'{"id":%d' % n, 1) + b'\n' for n in range(1, 9) for x in read('r.ndjson').splitlines()))
rows, dim = 1500, 512
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (rows, dim)
head += ' ' * (-(len(head) + 11) % 64) + '\n'
block = struct.pack('<%df' % (4 * dim), *[(k % 97) / 8 for k in range(4 * dim)])
write('f.npy', b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + block * (rows // 4))
write('names', ''.join('%d\n' % (i * 7919 % 100003) for i in range(rows)))
boxes = base64.b64encode(struct.pack('<32f', *[1, 2, 30, 40] * 8)).decode()
with open('rows.tsv', 'w') as f: # three transactions
    for i in range(400):
        f.write('%d\t64\t48\t8\t%s\t%s\n' % (i * 7919 % 100003, boxes, base64.b64encode(struct.pack('<64f', *[(i + k) % 97 / 8 for k in range(64)]) * 192).decode()))
for i in range(3):
    must('clip-featurize', '--quiet', '--weights', VIT, '--images', 'toy/images', '--features', 'both', '--dtype', 'f32', '--shard', '%d/3' % i, '--store', 'p%d' % i, 'many.ndjson')
must('capt-beam', '--quiet', '--model', 'a.ckpt', '--store', 's.mdb', '--split', 'all', '--out', 'hyp', 'r.ndjson')
must('vinvl-import', '--quiet', '--format', 'npy', '--names', 'names', '--store', 'imported', 'f.npy')
out = run(['capt-store', 'dump', 'p0'], keep=1 << 26).out
write('p0.ndjson', out)


def kill_often(name, args, resume=('--resume',), kills=None):
    """args write the file `out` in the current folder."""
    kills = kills or KILLS
    os.mkdir(name)
    os.chdir(name)
    args = [a.replace('@', '../') for a in args.split()]
    t0 = time.time()
    r = run(args)
    span = time.time() - t0
    if not ok(r.status == 0 and os.listdir('.') == ['out'], '%s: undisturbed' % name, r.err, os.listdir('.')):
        os.chdir('..')
        return
    want = read('out')
    os.remove('out')
    killed, runs, half, others, different, left = 0, 0, [], [], 0, []
    in_a_row = 0
    while killed < kills and runs < 20 * kills:
        runs += 1
        p = subprocess.Popen(args + list(resume), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if in_a_row < 4: # then it may end
            try:
                p.wait(random.random() * span * 1.05)
            except subprocess.TimeoutExpired:
                p.kill()
        text = p.stderr.read()
        status = p.wait()
        if status == -9:
            killed += 1
            in_a_row += 1
            if os.path.exists('out') and read('out') != want:
                half.append(killed)
        elif status:
            others.append('%d: %s' % (status, text.decode()))
            break
        if status == 0 or (os.path.exists('out') and not os.path.exists('out.part')):
            in_a_row = 0
            different += read('out') != want
            for f in os.listdir('.'):
                if f != 'out' and status == 0:
                    left.append(f)
                os.remove(f)
    while not others and not os.path.exists('out'):
        r = run(args + list(resume))
        if r.status:
            others.append('%d: %s' % (r.status, r.err))
        else:
            different += read('out') != want
    ok(killed >= kills, '%s: killed %d times' % (name, kills), 'only %d in %d runs' % (killed, runs))
    ok(not others, '%s: went on each time' % name, *others)
    ok(not half and not different, '%s: always the same bytes' % name, half, different)
    ok(not left, '%s: nothing beside them' % name, left)
    os.chdir('..')


small = ' '.join(tiny)
kill_often('clip-featurize', 'clip-featurize --quiet --weights %s --images @toy/images --batch 4 --store out @many.ndjson' % VIT)
kill_often('vinvl-import', 'vinvl-import --quiet --format npy --names @names --store out @f.npy')
kill_often('vinvl-import of rows', 'vinvl-import --quiet --dim 1536 --dtype f32 --threads 2 --store out @rows.tsv')
kill_often('capt-store load', 'capt-store load --out out @p0.ndjson')
kill_often('capt-store merge', 'capt-store merge --out out @p2 @p0 @p1')
kill_often('capt-store compact', 'capt-store compact --out out @imported')
kill_often('capt-train', 'capt-train %s --captions @r.ndjson --vocab @v.json --store @s.mdb --section grid --epochs 6 --set dropout=0.1 --save-minutes 0 --quiet --out out' % small)
kill_often('capt-tag', 'capt-tag --captions @r.ndjson --store @s.mdb --section grid --epochs 4 --set dropout=0.1 --best --save-minutes 0 --quiet --out out')
kill_often('capt-scst', 'capt-scst --init @a.ckpt --captions @r.ndjson --store @s.mdb --batch 5 --epochs 2 --checks 2 --save-minutes 0 --quiet --out out')
kill_often('capt-beam', 'capt-beam --quiet --model @a.ckpt --store @s.mdb --split all --out out @r.ndjson', ())
kill_often('coco-score --write-df', 'coco-score --quiet --refs @r.ndjson --split all --metrics cider --write-df out', ())
kill_often('vocab-build', 'vocab-build --quiet --type word --min-count 1 --out out @many.ndjson', ())
kill_often('capt-report', 'capt-report --quiet --refs @r.ndjson --images @toy/images --out out @hyp', ())
end()
