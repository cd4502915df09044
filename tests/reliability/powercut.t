#!/usr/bin/python3
# R2. Power cuts, simulated: shim.c records what a program writes, syncs and renames; then, for a moment of it, a state is built that a
# disk could be found in after the power failed there. What was synced is there. What was not is there, or not, or torn at 512 bytes,
# each write for itself (what was written while a sync went on is not of that sync); of the folder's changes some first ones are there. From every such state the same command goes on to the bytes of
# an undisturbed run, a file under the final name is whole, and no more than one batch (one update) of work is lost.
# Budget: a minute. STATES: how many in all. SEED: other ones.
import base64
import json
import os
import random
import shutil
import struct
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import *

STATES = number('STATES', 300, 5000)
random.seed(int(os.environ.get('SEED', '1')))
BATCH, SECTOR = 128, 512
if DEBUG or not os.path.exists(SHIM):
    skip_all('the shim does not go with sanitizers')
world(24)
if run(['vocab-build', '--help'], env={'LD_PRELOAD': SHIM}).status == 99:
    skip_all('system calls cannot be filtered here: no device')
write('text', ''.join(json.dumps({'id': i * 7919 % 10007, 'sections': [{'name': 'grid', 'dtype': 'f16', 'dim': 8, 'rows': [[i % 64 - 32 + c for c in range(8)]]}]}) + '\n' for i in range(600)))
write('text2', ''.join(json.dumps({'id': 20000 + i, 'sections': [{'name': 'grid', 'dtype': 'f16', 'dim': 8, 'rows': [[i % 64 - 32 + c for c in range(8)]]}]}) + '\n' for i in range(300)))
with open('tsv', 'w') as f:
    for i in range(600):
        numbers = struct.pack('<16f', *[i % 64 - 32 + c for c in range(16)])
        f.write('%d\t64\t48\t2\t%s\t%s\n' % (i * 7919 % 10007, *[base64.b64encode(x).decode() for x in (struct.pack('<8f', 1, 2, 30, 40, 5, 6, 7, 8), numbers)]))
must('capt-store', 'load', '--out', 'p0', 'text')
must('capt-store', 'load', '--out', 'p1', 'text2')


class Disk:
    """Files and one folder; pending: what was done since the last sync."""

    def __init__(self, folder):
        self.data, self.pending, self.names, self.synced = {}, {}, [], 0
        self.syncing = {}
        for f in os.listdir(folder):
            inode = os.stat(folder + '/' + f).st_ino
            self.names.append(('c', f, inode))
            self.data[inode] = bytearray(read(folder + '/' + f))
        self.synced = len(self.names)

    def do(self, op):
        c, inode, offset, data = op
        if c in 'wdt':
            self.pending.setdefault(inode, []).append(op)
        elif c == 'b':
            self.syncing[offset] = list(self.pending.get(inode, []))
        elif c == 's':
            before = {id(x) for x in self.syncing.pop(offset)}
            ops = self.pending.get(inode, [])
            self.pending[inode] = [x for x in ops if id(x) in before]
            self.data[inode] = self.content(inode, lambda op, last: 'all')
            self.pending[inode] = [x for x in ops if id(x) not in before]
        elif c == 'D':
            self.synced = len(self.names)
        elif c in 'rx':
            self.names.append((c, *data.decode().split('\t')))
        else:
            self.names.append((c, data.decode(), inode))

    def content(self, inode, fate):
        b = bytearray(self.data.get(inode, b''))
        ops = self.pending.get(inode, [])
        for i, (c, _, offset, data) in enumerate(ops):
            how = fate(c, i == len(ops) - 1)
            if c == 't' and how != 'none':
                del b[offset:]
                b.extend(bytes(offset - len(b)))
            if c == 't' or how == 'none':
                continue
            for at in range(0, len(data), len(data) if how == 'all' else SECTOR):
                if how == 'torn' and random.random() < 0.5:
                    continue
                piece = data if how == 'all' else data[at:at + SECTOR]
                if len(b) < offset + at + len(piece):
                    b.extend(bytes(offset + at + len(piece) - len(b)))
                b[offset + at:offset + at + len(piece)] = piece
        return b

    def files(self, n, fate):
        names = {}
        for c, a, b in self.names[:n]:
            if c == 'c':
                names[a] = b
            elif c == 'r':
                names[b] = names.pop(a)
            elif c == 'x':
                names[a], names[b] = names[b], names[a]
            else:
                names.pop(a, None)
        return {f: self.content(inode, fate) for f, inode in names.items()}

    def seen(self): # by the programs, before the cut
        return self.files(len(self.names), lambda c, last: 'all')

    def cut(self, last_op):
        def fate(c, last):
            if c == 'd' and not (last and last_op == 'd'):
                return 'all'
            return random.choices(('all', 'none', 'torn'), (4, 4, 2))[0]
        return self.files(random.randrange(self.synced, len(self.names) + 1), fate)


def recorded(folder, args):
    if os.path.exists('log'):
        os.remove('log')
    disk = Disk(folder)
    r = run(args, env={'LD_PRELOAD': SHIM, 'SHIM_RECORD': os.path.abspath('log'), 'SHIM_UNDER': os.path.realpath(folder)})
    log, ops, at = read('log'), [], 0
    while at < len(log):
        c, inode, offset, n = struct.unpack_from('<cQqI', log, at)
        ops.append((c.decode(), inode, offset, log[at + 21:at + 21 + n]))
        at += 21 + n
    return r, disk, ops


def images(part, cut):
    """Entries of a store's last transaction, by LMDB's two first pages; after a cut, of the one that its newest anchor names, if there is one."""
    best, anchored = (-1, 0), (-1, 0)
    for page in 0, 4096:
        if len(part) >= page + 152 and struct.unpack_from('<I', part, page + 16)[0] == 0xBEEFC0DE:
            best = max(best, (struct.unpack_from('<Q', part, page + 144)[0], struct.unpack_from('<Q', part, page + 120)[0]))
        if part[page + 2048:page + 2056] == b'CPTANCHR':
            anchored = max(anchored, (struct.unpack_from('<Q', part, page + 2056)[0], struct.unpack_from('<Q', part, page + 2064 + 104)[0]))
    return (anchored if cut and anchored[0] >= 0 else best)[1]


def updates(part, cut):
    if len(part) < 8:
        return 0
    head = json.loads(part[8:8 + struct.unpack('<Q', part[:8])[0]])
    return json.loads(head['__metadata__'].get('state', '{"step":1000}'))['step']


def cuts(name, states, args, progress, one, again=('--resume',), before=None):
    folder = 'u'
    shutil.rmtree(folder, True)
    os.mkdir(folder)
    if before is not None:
        write(folder + '/out', before)
    args = args.split()
    r, disk, ops = recorded(folder, args)
    want = read(folder + '/out')
    if not ok(r.status == 0 and len(ops) > 3 and 's' in [o[0] for o in ops] and disk is not None, '%s: recorded, %d steps' % (name, len(ops)), r.err):
        return
    points = sorted(random.randrange(1, len(ops) + 1) for _ in range(states))
    half, lost, stuck, done = [], [], [], 0
    for point in points:
        while done < point:
            disk.do(ops[done])
            done += 1
        seen, found = disk.seen(), disk.cut(ops[point - 1][0])
        shutil.rmtree(folder)
        os.mkdir(folder)
        for f, b in found.items():
            write(folder + '/' + f, bytes(b))
        out = found.get('out')
        if out is not None and bytes(out) not in (want, before):
            half.append(point)
        if progress and out is None:
            was, still = progress(seen.get('out.part', b''), False), progress(found.get('out.part', b''), True)
            if 'out' not in seen and still < was - one:
                lost.append('step %d: %d of %d' % (point, still, was))
        if out is not None and before is None:
            continue # done; what else is left does not matter
        r = run(args + list(again))
        if r.status or read(folder + '/out') != want:
            stuck.append('step %d of %d, %s: status %d: %s' % (point, len(ops), {f: len(b) for f, b in found.items()}, r.status, r.err))
    ok(not half, '%s: %d states: a final file is whole' % (name, states), half)
    if progress:
        ok(not lost, '%s: no more than %d of the work is lost' % (name, one), *lost)
    ok(not stuck, '%s: goes on to the same bytes' % name, *stuck)


small = ' '.join(tiny)
cuts('capt-store load', STATES * 2 // 10, 'capt-store load --out u/out text', images, BATCH + 1)
cuts('clip-featurize', STATES // 10, 'clip-featurize --quiet --weights %s --images toy/images --store u/out r.ndjson' % VIT, images, BATCH + 1)
cuts('vinvl-import', STATES // 10, 'vinvl-import --quiet --threads 2 --dtype f32 --store u/out tsv', images, BATCH + 1)
cuts('capt-store merge', STATES // 10, 'capt-store merge --out u/out p0 p1', None, 0)
cuts('capt-train', STATES * 3 // 10, 'capt-train %s --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 4 --epochs 3 --save-minutes 0 --quiet --out u/out' % small, updates, 1)
cuts('capt-scst', STATES // 10, 'capt-scst --init a.ckpt --captions r.ndjson --store s.mdb --batch 5 --epochs 1 --checks 1 --save-minutes 0 --quiet --out u/out', updates, 1)
cuts('vocab-build over an older file', STATES // 10, 'vocab-build --quiet --type word --min-count 1 --out u/out r.ndjson', None, 0, (), b'older\n')
end()
