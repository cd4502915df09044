#!/usr/bin/python3
# R10. Memory at its highest (resident, mapped files counted): capt-store, whatever the size of a store, at most 64 MiB, coco-split also
# for files of COCO's size; vocab-build, which keeps words and ids, 8 MiB and 64 bytes an image; coco-score, which keeps the references,
# 2 KiB an image; clip-featurize its weights and 256 MiB. Budget: a minute.
# LINES: of the streams.
import json
import os
import random
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import *

if DEBUG:
    skip_all('sanitizers need memory of their own')
LINES = number('LINES', 100000, 150000)
IMAGES = 123287
MIB = 1024
random.seed(1)
words = ['%s%s' % (a, b) for a in 'ba ko ri tu mel sa dor fin gra lo'.split() for b in ('n', 't', 'sk', 'ly', 'm', 'r', 'x', 'dle', 'p', 'ck')]


def caption():
    return ' '.join(random.choices(words, k=10)) + '.'


some = [caption() for _ in range(5000)]
pick = random.Random(2)


def stays(name, limit, args, status=0):
    r = run(args, timeout=600, keep=200)
    ok(r.status == status, '%s: done' % name, r.status, r.err)
    ok(r.rss <= limit, '%s: %d MiB or less' % (name, limit // MIB), '%d KiB' % r.rss)
    print('# %s: %.1f MiB, %.1f s' % (name, r.rss / MIB, r.cpu))


with open('r', 'w') as f, open('h', 'w') as h:
    for i in range(LINES):
        f.write('{"id":%d,"file":"COCO_val2014_%012d.jpg","split":"%s","captions":["%s"]}\n' % (i, i, 'train' if i % 2 else 'val', '","'.join(pick.choices(some, k=2))))
        h.write('{"id":%d,"caption":"%s","logprob":-1.5}\n' % (i, pick.choice(some)))
stays('vocab-build', 8 * MIB + LINES // 16, ['vocab-build', '--quiet', '--type', 'word', '--out', 'v', 'r'])
stays('coco-score', 2 * LINES, ['coco-score', '--quiet', '--refs', 'r', '--split', 'all', 'h'])
with open('text', 'w') as f:
    for i in range(LINES):
        f.write('{"id":%d,"sections":[{"name":"g","dtype":"f16","dim":4,"rows":[[%d,1,2,3]]}]}\n' % (i, i % 1000))
os.remove('h')
stays('capt-store load', 64 * MIB, ['capt-store', 'load', '--out', 's', 'text'])
stays('capt-store dump', 64 * MIB, ['capt-store', 'dump', 's'])
stays('capt-store verify', 64 * MIB, ['capt-store', 'verify', 's'])
stays('capt-store diff', 64 * MIB, ['capt-store', 'diff', 's', 's'])
stays('capt-store compact', 64 * MIB, ['capt-store', 'compact', '--out', 't', 's'])
for f in 's', 't', 'text', 'r':
    os.remove(f)

# 123,287 images with five captions, in both published layouts; ids of no image of the published splits
as_sentence = ['"tokens": ["%s"], "raw": "%s"' % ('", "'.join(x[:-1].split()), x) for x in some]
with open('karpathy', 'w') as k, open('official', 'w') as o:
    k.write('{"images": [')
    o.write('{"info": {"year": 2014}, "images": [')
    for n in range(IMAGES):
        i, where = 1000000 + n, 'train' if n < 82783 else 'val'
        c = pick.choices(as_sentence, k=5)
        ids = range(5 * n, 5 * n + 5)
        k.write('%s{"filepath": "%s2014", "sentids": %s, "filename": "COCO_%s2014_%012d.jpg", "imgid": %d, "split": "%s", "sentences": [%s], "cocoid": %d}' % (
            ', ' if n else '', where, list(ids), where, i, n, where if n < 82783 else 'restval' if n < 113287 else 'val' if n < 118287 else 'test',
            ', '.join(['{%s, "imgid": %d, "sentid": %d}' % (x, n, j) for x, j in zip(c, ids)]), i))
        if n < 82783:
            o.write('%s{"license": 5, "file_name": "COCO_train2014_%012d.jpg", "coco_url": "http://images.cocodataset.org/train2014/COCO_train2014_%012d.jpg", "height": 480, "width": 640, '
                    '"date_captured": "2013-11-14 16:28:13", "flickr_url": "http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg", "id": %d}' % (', ' if n else '', i, i, i))
    k.write('], "dataset": "coco"}\n')
    o.write('], "licenses": [], "annotations": [')
    for i in range(414113): # one at a time: what this script holds counts for the programs it begins
        o.write('%s{"image_id": %d, "id": %d, "caption": "%s"}' % (', ' if i else '', 1000000 + i * 7919 % 82783, i, some[i * 31 % len(some)]))
    o.write(']}\n')
print('# %.0f and %.0f MB' % (os.path.getsize('karpathy') / 1e6, os.path.getsize('official') / 1e6))
stays('coco-split --scheme karpathy', 64 * MIB, ['coco-split', '--quiet', '--scheme', 'karpathy', 'karpathy'])
stays('coco-split --scheme coco2014', 64 * MIB, ['coco-split', '--quiet', '--scheme', 'coco2014', 'official'])

# pictures of 12 megapixels, eight at a time
must('coco-toy', '--out', 'toy', '--images', '16', '--size', '512')
write('one', ''.join('{"id":%d,"file":"%012d.jpg"}\n' % (i, i) for i in range(1, 17)))
try:
    from PIL import Image
    big = Image.open('toy/images/000000000001.jpg').resize((4000, 3000))
    for i in range(1, 17):
        big.save('toy/images/%012d.jpg' % i)
    print('# pictures of 4000x3000')
except ImportError:
    pass
weights = sum(os.path.getsize(VIT + '/' + name) for name in os.listdir(VIT)) // 1024
stays('clip-featurize', weights + 256 * MIB, ['clip-featurize', '--quiet', '--weights', VIT, '--images', 'toy/images', '--features', 'both', '--store', 's', 'one'])
end()
