#!/usr/bin/python3
# R4. Damage to stores and checkpoints: `capt-store verify` finds every bit that is turned in a record or a checkpoint, cut files are
# refused when they are opened, and whatever is damaged, nothing ends by a signal or takes 10 s. Budget: a minute on a busy machine.
# FLIPS, CUTS, PAGES: how many bits anywhere in a store and in a checkpoint, cuts, and wrecked pages that hold the store's tree.
import json
import os
import random
import re
import struct
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import *

FLIPS, CUTS, PAGES = number('FLIPS', 500, 10000), number('CUTS', 200, 2000), number('PAGES', 50, 2000)
random.seed(int(os.environ.get('SEED', '1')))
PAGE = 4096
write('all', ''.join(json.dumps({'id': i, 'sections': [
    {'name': 'grid', 'dtype': 'f16', 'dim': 8, 'rows': [[(i * 7 + r * 3 + c) % 64 - 32 for c in range(8)] for r in range(1 + i % 3)]},
    {'name': 'boxes', 'dtype': 'f32', 'dim': 4, 'rows': [[i / 3, 1, -2, 0.5]]}]}) + '\n' for i in range(400)))
must('capt-store', 'load', '--out', 'good', 'all')
world(10)
good = read('good')
records = []
for at in range(0, len(good), PAGE):
    if good[at + 16:at + 20] == b'CPTF':
        records.append((at + 16, struct.unpack('<Q', good[at + 24:at + 32])[0]))
ok(len(records) == 400, 'the records are seen', len(records))
inside = bytearray(len(good))
for at, n in records:
    inside[at:at + n] = b'\1' * n


def flipped(data, at, bit):
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]


def look(data, *command):
    """Exit status; a hang counts as signal 9."""
    write('bad', data)
    return run(['capt-store', *command, 'bad'], timeout=10).status


missed, signals, found = [], [], 0
for i in range(FLIPS):
    at, bit = random.randrange(len(good)), random.randrange(8)
    status = look(flipped(good, at, bit), 'verify')
    found += status == 1
    if status not in (0, 1):
        signals.append((at, bit, status))
    if status == 0 and inside[at]:
        missed.append((at, bit))
ok(not missed, '%d turned bits in a store: verify found every one of a record (%d in all)' % (FLIPS, found), missed)
ok(not signals, 'and always ended by itself', signals)

late = []
for i in range(CUTS):
    n = random.randrange(len(good)) if i % 2 else random.randrange(3, len(good) // PAGE) * PAGE
    status = look(good[:n], 'info')
    if status != 1:
        late.append((n, status))
ok(not late, '%d cut stores were refused when they were opened' % CUTS, late)

# branch, leaf and meta pages, where LMDB believes what it reads
tree = [at for at in range(0, len(good), PAGE) if struct.unpack_from('<H', good, at + 10)[0] in (1, 2, 8) and struct.unpack_from('<Q', good, at)[0] == at // PAGE]
ok(len(tree) > 4, 'there are pages of the tree', tree)

# what verify lets pass is what is not read: every image is still found by its id, and unchanged
one_by_one = ['capt-store', 'dump', 'bad'] + [word for i in range(400) for word in ('--id', str(i))]
write('bad', good)
want = run(one_by_one, keep=1 << 20).out
newest = max((0, PAGE), key=lambda at: struct.unpack_from('<Q', good, at + 144)[0]) # of the two meta pages, by the transaction's number
root = struct.unpack_from('<Q', good, newest + 128)[0] * PAGE
keys = root + struct.unpack_from('<H', good, root + 14)[0] # to the end of the page
lost, passed, keep = [], 0, random.getstate()
for i in range(PAGES):
    at, bit = random.randrange(keys, root + PAGE), random.randrange(8)
    if look(flipped(good, at, bit), 'verify') == 0:
        passed += 1
        if run(one_by_one, keep=1 << 20).out != want:
            lost.append((at, bit))
random.setstate(keep) # the checks below meet what they met before this one was
ok(root in tree and want.count('\n') == 400 and not lost, '%d turned bits among the keys of the root: verify let %d pass, and no image was lost' % (PAGES, passed), lost)

signals = []
for i in range(PAGES):
    data = bytearray(good)
    page = random.choice(tree)
    if i % 10 == 0:
        data[page:page + PAGE] = bytes(PAGE)
    for _ in range(random.randrange(1, 65)):
        data[page + random.randrange(64 if i % 2 else PAGE)] = random.randrange(256)
    for command in ('verify',), ('quickcheck',), ('info',), ('ls',), ('dump',), ('merge', '--out', 'made'), ('diff', 'good'):
        status = look(bytes(data), *command)
        if status not in (0, 1):
            signals.append((i, page, command, status))
        for left in 'made', 'made.part', 'made.part.sorted':
            if os.path.exists(left):
                os.remove(left)
ok(not signals, '%d wrecked pages: every subcommand ended by itself' % PAGES, signals)

# two records change places
swapped = bytearray(good)
(a, n), (b, m) = next(((x, y) for i, x in enumerate(records) for y in records[i + 1:] if x[1] == y[1]))
swapped[a:a + n], swapped[b:b + m] = good[b:b + m], good[a:a + n]
ok(look(bytes(swapped), 'verify') == 1, 'two records that changed places are found')

# checkpoints
ckpt, missed, signals = read('a.ckpt'), [], []
head = 8 + struct.unpack('<Q', ckpt[:8])[0]
names = [m.start() + k for m in re.finditer(rb'"(format|config|vocab|provenance|crc32c)"', ckpt[:head]) for k in range(1, 8)]
names += [m.start() + k for m in re.finditer(b'capt-checkpoint-', ckpt[:head]) for k in range(17)]
for i in range(FLIPS):
    at, bit = random.choice(names) if i % 5 == 0 else random.randrange(head if i % 2 else len(ckpt)), random.randrange(8)
    status = look(flipped(ckpt, at, bit), 'verify')
    if status == 0:
        missed.append((at, bit, ckpt[at - 20:at + 20]))
    elif status != 1:
        signals.append((at, bit, status))
ok(not missed, '%d turned bits in a checkpoint were all found' % FLIPS, missed)
ok(not signals, 'and verify always ended by itself', signals)
late = []
for i in range(CUTS):
    n = random.randrange(len(ckpt))
    write('bad', ckpt[:n])
    status = run(['capt-beam', '--quiet', '--model', 'bad', '--store', 's.mdb', '--split', 'all', 'r.ndjson'], timeout=10).status
    if status != 1:
        late.append((n, status))
ok(not late, '%d cut checkpoints were refused when they were opened' % CUTS, late)
end()
