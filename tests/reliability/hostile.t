#!/usr/bin/python3
# R6. Hostile files, made here: each gets the right exit status and a message that names file and line or key, within 1 s of processor
# time and 256 MiB. Budget: half a minute.
import json
import os
import re
import struct
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import *

world(20)
os.mkdir('h')
CPU, RSS = (30, 1 << 24) if DEBUG else (1, 256 << 10)
cases = 0


def case(name, data, args, status=1, message=None, also=None):
    """The file h/NAME; {} in args is its path. message: a regex of stderr; default: the file is named."""
    global cases
    cases += 1
    path = 'h/' + name
    if data is not None:
        write(path, data)
    r = run([a.replace('{}', path) for a in args.split()], keep=1 << 22)
    message = (re.escape(path) if status else '^') if message is None else message.replace('{}', re.escape(path))
    ok(r.status == status, '%s: exit status %d' % (name, status), 'status %d' % r.status, r.err)
    ok(re.search(message, r.err), '%s: %s' % (name, message), r.err or 'no message')
    ok(r.cpu <= CPU and r.rss <= RSS, '%s: time and memory' % name, '%.2f s, %d KiB' % (r.cpu, r.rss))
    if also:
        ok(also(r), '%s: output' % name, r.out)
    return r


# ---- caption records
words = 'vocab-build --quiet --type word --min-count 1 --out h/.v {}'
good = '{"id":1,"file":"a.jpg","split":"train","captions":["A dog."]}\n'
def record(name, line, status=1, message=None, before=good):
    case('r-' + name, before.encode() + (line if isinstance(line, bytes) else line.encode()), words, status, message or ('{}:2: ' if status else None))

record('no-json', 'x\n')
record('cut', '{"id":2,"captions":["A d')
record('array', '[1]\n')
record('number', '17\n')
record('no-id', '{"captions":["A dog."]}\n', message='{}:2: "id" is missing')
record('id-real', '{"id":1.5}\n')
record('id-exponent', '{"id":1e3}\n')
record('id-null', '{"id":null}\n')
record('id-true', '{"id":true}\n')
record('id-long-number', '{"id":99999999999999999999}\n')
record('id-string-after-number', '{"id":"2"}\n')
record('id-nul', '{"id":"a\\u0000b"}\n', message='{}:1: ', before='')
record('id-newline', '{"id":"a\\nb"}\n', message='{}:1: ', before='')
record('id-empty', '{"id":""}\n', message='{}:1: ', before='')
record('id-512', '{"id":"%s"}\n' % ('x' * 512), message='{}:1: ', before='')
record('id-twice', good)
record('captions-string', '{"id":2,"captions":"A dog."}\n', message='{}:2: "captions"')
record('captions-numbers', '{"id":2,"captions":[1]}\n', message='{}:2: "captions')
record('captions-many', '{"id":2,"captions":[%s]}\n' % ','.join(['"a"'] * 1001), message='{}:2: "captions')
record('caption-long', '{"id":2,"captions":["%s"]}\n' % ('a' * 10001), message='{}:2: "captions')
record('split-number', '{"id":2,"split":1}\n', message='{}:2: "split"')
record('file-list', '{"id":2,"file":["a"]}\n', message='{}:2: "file"')
record('tags-object', '{"id":2,"tags":{}}\n', message='{}:2: "tags"')
record('utf8', b'{"id":2,"captions":["\xff\xfe"]}\n', message='{}:2: byte 22 is not UTF-8')
record('utf8-overlong', b'{"id":2,"captions":["\xc0\xaf"]}\n')
record('surrogate', '{"id":2,"captions":["\\ud800"]}\n')
record('nul-escape', '{"id":2,"captions":["a\\u0000b"]}\n')
record('nul-byte', b'{"id":2,"captions":["a\x00b"]}\n')
record('twice-key', '{"id":2,"id":3}\n')
record('nan', '{"id":2,"x":NaN}\n')
record('1e999', '{"id":2,"x":1e999}\n')
record('deep', '{"id":2,"x":%s1%s}\n' % ('[' * 40, ']' * 40), message='{}:2: JSON nested deeper than 32')
record('deep-100000', '{"id":2,"x":' + '[' * 100000 + '\n')
record('long-line', '{"id":2,"x":"%s"}\n' % ('a' * (2 << 20)), message='{}:2: the line is longer than')
record('20-mib-of-brackets', '{"id":2,"x":[%s]}\n' % ','.join(['[]'] * (7 << 20)))
record('commas', '{"id":2,"x":[%s0]}\n' % ('0,' * 500000), 0)
record('control', '{"id":2,"captions":["a\tb"]}\n')
record('bom', b'\xef\xbb\xbf' + good.encode(), 0, before='')
record('bom-inside', b'\xef\xbb\xbf' + good.encode(), message='{}:2: ')
record('utf16', good.encode('utf-16'), message='{}:1: ', before='')
record('random', bytes((i * i * 31 + i // 7) % 256 for i in range(4096)), message='{}:1: ', before='')
record('zeros', bytes(4096), message='{}:1: ', before='')
record('crlf', good.replace('"id":1', '"id":2').replace('\n', '\r\n'), 0)
record('no-newline', good.replace('"id":1', '"id":2').rstrip('\n'), 0)
record('blank-lines', '\n\n', 0)
record('unknown-fields', '{"id":2,"new":{"a":[null]}}\n', 0)
case('r-empty', '', words)
case('r-no-captions', '{"id":1,"split":"train"}\n', words)

# ---- annotation files
split = 'coco-split --quiet --scheme karpathy {}'
def karpathy(name, text, status=1, message=None):
    case('k-' + name, text, split, status, message)

image = '{"filename":"COCO_val2014_000000000001.jpg","filepath":"val2014","cocoid":1,"split":"train","sentences":[{"raw":"A dog."}]}'
karpathy('empty', '')
karpathy('no-images', '{"dataset":"coco"}')
karpathy('images-object', '{"images":{}}')
karpathy('image-number', '{"images":[1]}')
karpathy('cut', '{"images":[' + image + ',{"filename":"COCO')
karpathy('after', '{"images":[' + image + ']} x')
karpathy('no-split', '{"images":[%s]}' % image.replace('"split":"train",', ''))
karpathy('cocoid-string', '{"images":[%s]}' % image.replace('"cocoid":1', '"cocoid":"1"'))
karpathy('raw-number', '{"images":[%s]}' % image.replace('"A dog."', '7'))
karpathy('sentences-string', '{"images":[%s]}' % image.replace('[{"raw":"A dog."}]', '"A dog."'))
karpathy('twice', '{"images":[%s,%s]}' % (image, image), message='image 1 is there twice')
karpathy('deep', '{"images":[%s]}' % image.replace('"A dog."', '[' * 100000 + ']' * 100000))
karpathy('deep-other', '{"x":' + '[' * 100000 + ']' * 100000 + ',"images":[%s]}' % image, 0)
karpathy('utf8', ('{"images":[%s]}' % image).encode().replace(b'dog', b'd\xffg'))
karpathy('huge-other', '{"x":[' + '0,' * 3000000 + '0],"images":[%s]}' % image, 0)
official = 'coco-split --quiet --scheme coco2014 {}'
images = '{"images":[{"id":1,"file_name":"COCO_train2014_000000000001.jpg"}],"annotations":%s}'
case('o-unknown-image', images % '[{"image_id":2,"caption":"x","id":1}]', official)
case('o-caption-missing', images % '[{"image_id":1,"id":1}]', official)
case('o-image-id-string', images % '[{"image_id":"1","caption":"x","id":1}]', official)
case('o-annotations-null', images % 'null', official)
case('o-file-name-number', '{"images":[{"id":1,"file_name":5}],"annotations":[]}', official)
case('o-array', '[]', official)
tokens = 'coco-split --quiet --scheme flickr8k {}'
case('t-no-tab.txt', 'a.jpg#0 A dog .\n', tokens)
case('t-no-hash.txt', 'a.jpg\tA dog .\n', tokens)
case('t-utf8.txt', b'a.jpg#0\tA d\xffg .\n', tokens)
case('t-long.txt', 'a.jpg#0\t' + 'a ' * 1000000 + '\n', tokens)

# ---- vocabularies
train = 'capt-train --model gpt2 --captions r.ndjson --vocab {} --store s.mdb --epochs 1 --out h/.c'
v = json.loads(read('v.json'))
def vocabulary(name, change):
    w = json.loads(read('v.json'))
    change(w)
    case('v-' + name, json.dumps(w), train)

case('v-empty', '', train)
case('v-array', '[]', train)
case('v-cut', read('v.json')[:200], train)
vocabulary('type', lambda w: w.update(type='klingon'))
vocabulary('no-tokens', lambda w: w.pop('tokens'))
vocabulary('tokens-number', lambda w: w.update(tokens=5))
vocabulary('token-number', lambda w: w['tokens'].__setitem__(5, 5))
vocabulary('token-twice', lambda w: w['tokens'].__setitem__(5, w['tokens'][6]))
vocabulary('special-outside', lambda w: w['special'].update(eos=1000000))
vocabulary('special-negative', lambda w: w['special'].update(bos=-1))
vocabulary('no-special', lambda w: w.pop('special'))
case('v-gpt2-source', '{"a":0,"b":0}', 'vocab-build --type gpt2 --source {} --merges /dev/null --out h/.v')
write('h/v-merges.json', json.dumps({chr(c): i for i, c in enumerate(range(33, 127))}))
case('v-gpt2-merges', '#version: 0.2\na\n', 'vocab-build --type gpt2 --source h/v-merges.json --merges {} --out h/.v', message='h/v-')
case('v-bert-source', 'a\na\n', 'vocab-build --type bert --source {} --out h/.v')
case('v-bert-utf8', b'[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\xff\n', 'vocab-build --type bert --source {} --out h/.v')

# ---- stores
verify = 'capt-store verify {}'
s = read('s.mdb')
case('s-empty', '', verify)
case('s-text', good, verify)
case('s-half', s[:len(s) // 2], verify, message='{}: cut short')
case('s-page', s[:4096], verify, message='{}: cut short')
case('s-zeros', bytes(len(s)), verify)
case('s-no-root', s[:8192] + bytes(len(s) - 8192), verify)
case('s-swapped', s[:16] + s[16:20][::-1] + s[20:], verify)
case('s-page-size', s[:40] + struct.pack('<I', 12345) + s[44:], verify)
case('s-used-by-beam', s[:-8192], 'capt-beam --quiet --model a.ckpt --store {} --split all r.ndjson')
case('s-text-for-train', good, 'capt-train --model gpt2 --captions r.ndjson --vocab v.json --store {} --out h/.c')
load = 'capt-store load --out h/.s {}'
row = '{"id":1,"sections":[{"name":"g","dtype":"%s","dim":%s,"rows":%s}]}\n'
for name, args in (('dtype', ('f8', 2, '[[1,2]]')), ('dim', ('f16', 3, '[[1,2]]')), ('dim-0', ('f16', 0, '[]')), ('dim-huge', ('f16', 10**12, '[[1]]')), ('large', ('f16', 1, '[[1e6]]')),
                   ('rows', ('f16', 1, '{}')), ('text', ('f16', 1, '[["1"]]'))):
    case('l-' + name, row % args, load, message='{}:1: ')

# ---- safetensors
def st(head, data=b'', pad=0):
    text = head.encode() if isinstance(head, str) else json.dumps(head).encode()
    return struct.pack('<Q', len(text) + pad) + text + data

w = {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}
for name, data in {
        'empty': b'', 'seven-bytes': b'1234567', 'length-2-63': struct.pack('<Q', 1 << 63) + b'{}', 'length-beyond': st({'w': w}, bytes(8), 1000),
        'length-17-mib': struct.pack('<Q', 17 << 20) + b'{}' + b' ' * ((17 << 20) - 2), 'not-json': st('hello'), 'array': st('[]'), 'cut': st({'w': w}, bytes(4)),
        'trailing': st({'w': w}, bytes(12)), 'no-shape': st({'w': {'dtype': 'F32', 'data_offsets': [0, 8]}}, bytes(8)), 'negative': st({'w': dict(w, shape=[-2])}, bytes(8)),
        'overflow': st({'w': dict(w, shape=[1 << 32, 1 << 32])}, bytes(8)), 'real-shape': st('{"w":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', bytes(8)),
        'shape-too-small': st({'w': dict(w, shape=[1])}, bytes(8)), 'dtype': st({'w': dict(w, dtype='F33')}, bytes(8)), 'offsets-swapped': st({'w': dict(w, data_offsets=[8, 0])}, bytes(8)),
        'overlap': st({'v': w, 'w': w}, bytes(8)), 'hole': st({'v': w, 'w': dict(w, data_offsets=[12, 20])}, bytes(20)), 'rank-9': st({'w': dict(w, shape=[1] * 8 + [2])}, bytes(8)),
        'twice': st('{"w":%s,"w":%s}' % (json.dumps(w), json.dumps(w)), bytes(8)), 'metadata': st({'__metadata__': {'a': 1}, 'w': w}, bytes(8)),
        'pickle': b'PK\3\4' + bytes(60), 'pickle-2': b'\x80\x02' + bytes(60), 'lfs': b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
        'deep': st('{"w":' + '[' * 5000 + ']' * 5000 + '}')}.items():
    case('w-%s.safetensors' % name, data, 'clip-featurize --quiet --weights {} --images toy/images --store h/.s r.ndjson')
case('w-many.safetensors', st({'t%06d' % i: {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]} for i in range(100000)}), 'clip-featurize --weights {} --images toy/images --store h/.s r.ndjson')
case('w-index.json', '{"weight_map":{"a":"../s.mdb"}}', 'clip-featurize --weights {} --images toy/images --store h/.s r.ndjson')
case('w-nan.safetensors', st({'w': w}, struct.pack('<2f', 1, float('nan'))), verify)

# ---- checkpoints
beam = 'capt-beam --quiet --model {} --store s.mdb --split all r.ndjson'
a = read('a.ckpt')
n = struct.unpack('<Q', a[:8])[0]
def checkpoint(name, change):
    head = json.loads(a[8:8 + n])
    change(head['__metadata__'], head)
    text = json.dumps(head, separators=(',', ':')).encode()
    text += b' ' * (-(len(text) + 8) % 64)
    case('c-' + name, struct.pack('<Q', len(text)) + text + a[8 + n:], beam)

case('c-cut', a[:-100], beam)
case('c-flip', a[:-101] + bytes([a[-101] ^ 1]) + a[-100:], beam)
checkpoint('format', lambda m, h: m.update(format='capt-checkpoint-999'))
checkpoint('no-format', lambda m, h: m.pop('format'))
checkpoint('no-crc', lambda m, h: m.pop('crc32c'))
checkpoint('no-vocab', lambda m, h: m.pop('vocab'))
checkpoint('config', lambda m, h: m.update(config='{"model":{"type":"gpt2","width":1000000000}}'))
checkpoint('config-cut', lambda m, h: m.update(config=m['config'][:-3]))
case('c-other', read(VIT + '/model-00001-of-00002.safetensors'), beam)

# ---- pictures
jpg = read('toy/images/000000000001.jpg')
def marker(d, codes, at=2):
    while d[at + 1] not in codes:
        at += 2 + struct.unpack('>H', d[at + 2:at + 4])[0]
    return at
sof = marker(jpg, (0xc0, 0xc1, 0xc2))
sos = marker(jpg, (0xda,))
def with_size(h, w, d=jpg):
    return d[:sof + 5] + struct.pack('>HH', h, w) + d[sof + 9:]
os.mkdir('h/i')
def picture(name, data, status=1, message=None):
    if data is not None:
        write('h/i/' + name, data)
    write('h/i.ndjson', '{"id":1,"file":%s}\n' % json.dumps(name))
    case('i-%s.ndjson' % name.replace('/', '_').strip('.')[-99:], '{"id":1,"file":%s}\n' % json.dumps(name), 'clip-featurize --quiet --weights %s --images h/i --store h/.s {}' % VIT, status, message or 'id 1: ' + re.escape(name))
    for left in 'h/.s', 'h/.s.part':
        if os.path.exists(left):
            os.remove(left)
picture('empty.jpg', b'')
picture('text.jpg', b'hello')
picture('png.jpg', b'\x89PNG\r\n\x1a\n' + bytes(100))
picture('cut.jpg', jpg[:len(jpg) - 100])
picture('head.jpg', jpg[:sof + 4])
picture('huge.jpg', with_size(65500, 65500))
picture('zero.jpg', with_size(0, 32))
picture('12bit.jpg', jpg[:sof + 4] + b'\x0c' + jpg[sof + 5:])
picture('arithmetic.jpg', jpg[:sof + 1] + b'\xc9' + jpg[sof + 2:])
picture('lossless.jpg', jpg[:sof + 1] + b'\xc3' + jpg[sof + 2:])
picture('two.jpg', jpg[:sof + 9] + b'\x02' + jpg[sof + 10:])
picture('noise.jpg', jpg[:sos + 14] + bytes((i * 7919) % 255 for i in range(3000)))
try: # progressive ones, by Pillow
    import io
    from PIL import Image
    def saved(im, **how):
        b = io.BytesIO()
        im.save(b, 'JPEG', **how)
        return b.getvalue()
    prog = saved(Image.new('RGB', (64, 64), (9, 99, 200)), progressive=True)
    f = marker(prog, (0xc2,))
    picture('progressive-huge.jpg', prog[:f + 5] + struct.pack('>HH', 9000, 9000) + prog[f + 9:])
    p = marker(prog, (0xda,))
    scan = prog[p:prog.index(b'\xff', p + 14)]
    body = prog[p:-2]
    grey = saved(Image.new('L', (64, 64), 77), progressive=True)
    g = marker(grey, (0xda,))
    first = grey[g:]
    scans = [x for x in re.split(b'(?=\xff\xda)', grey[g:-2]) if x]
    picture('scans.jpg', grey[:g] + scans[0] + scans[-1] * 2000 + b'\xff\xd9')
    picture('cmyk.jpg', saved(Image.new('CMYK', (40, 30), (1, 2, 3, 4))), 0, '^$')
    picture('grey.jpg', saved(Image.new('L', (40, 30), 100)), 0, '^$')
    picture('one-pixel.jpg', saved(Image.new('RGB', (1, 1))), 0, '^$')
    picture('thin.jpg', saved(Image.new('RGB', (1, 3000))), 0, '^$')
except ImportError:
    pass
os.mkfifo('h/i/fifo.jpg')
picture('fifo.jpg', None)
os.symlink('../../toy/images/000000000001.jpg', 'h/i/link.jpg')
picture('link.jpg', None)
os.mkdir('h/i/folder.jpg')
picture('folder.jpg', None)
picture('../../toy/images/000000000001.jpg', None)
picture(os.path.abspath('toy/images/000000000001.jpg'), None)
picture('missing.jpg', None)
picture('x' * 300 + '.jpg', None)
picture('a\x1b[31mred.jpg', None, message=r'id 1: a\\x1B\[31mred.jpg')

# ---- .npy
def npy(descr, order, shape, data, version=b'\x01\x00'):
    head = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    head += ' ' * (-(len(head) + 11) % 64) + '\n'
    return b'\x93NUMPY' + version + struct.pack('<H', len(head)) + head.encode() + data
write('h/names', 'a\nb\n')
two = struct.pack('<4f', 1, 2, 3, 4)
for name, data in {'empty': b'', 'magic': b'NUMPY' + bytes(100), 'version': npy("'<f4'", False, '(2, 2)', two, b'\x09\x00'), 'object': npy("'|O'", False, '(2, 2)', two),
                   'fortran': npy("'<f4'", True, '(2, 2)', two), 'big-endian': npy("'>f4'", False, '(2, 2)', two), 'shape': npy("'<f4'", False, '(2, 3)', two),
                   'overflow': npy("'<f4'", False, '(4294967296, 4294967296)', two), 'negative': npy("'<f4'", False, '(-2, -2)', two), 'structured': npy("[('a','<f4')]", False, '(2,)', two),
                   'head': npy("'<f4'", False, '(2, 2)', two)[:40]}.items():
    case('n-%s.npy' % name, data, 'vinvl-import --quiet --format npy --names h/names --store h/.n {}')
case('n-nan.npy', npy("'<f4'", False, '(2, 2)', struct.pack('<4f', 1, 2, 3, float('nan'))), 'vinvl-import --quiet --format npy --names h/names --store h/.n {}', message='id b: NaN')
write('h/n-good.npy', npy("'<f4'", False, '(2, 2)', two))
case('n-names', 'a\na\n', 'vinvl-import --quiet --format npy --names {} --store h/.n h/n-good.npy', message='id a: was already stored|{}')

# ---- configuration files
config = 'vocab-build --type word --config {} --out h/.v r.ndjson'
case('g-unknown', '{"sise":5}', config, 2, '{}: unknown option "sise"')
case('g-type', '{"size":"5"}', config, 2, '{}: "size" is not a whole number')
case('g-range', '{"size":-5}', config, 2)
case('g-array', '[]', config, 2)
case('g-cut', '{"size":5', config)
case('g-deep', '[' * 1000, config)
case('g-twice', '{"size":5,"size":6}', config)

# ---- hypotheses, references, document frequencies, METEOR's data
score = 'coco-score --quiet --refs r.ndjson --split all {}'
case('y-empty', '', score)
case('y-no-caption', '{"id":1}\n', score, message='{}:1: ')
case('y-logprob', '{"id":1,"caption":"a","logprob":"x"}\n', score, message='{}:1: "logprob"')
case('y-candidates', '{"id":1,"caption":"a","candidates":[{"logprob":1}]}\n', score, message='{}:1: ')
case('y-twice', '{"id":1,"caption":"a"}\n{"id":1,"caption":"b"}\n', score, message='{}: 1 image is given twice: 1')
case('y-results', '[{"image_id":1}]', score)
case('y-results-cut', '[{"image_id":1,"caption":"a dog"},', score)
case('y-unknown', '{"id":987654,"caption":"a"}\n', score, message='987654')
write('h/hyp', ''.join(json.dumps({'id': json.loads(x)['id'], 'caption': '<script>alert(1)</script>\u001b[31m &amp; "a"'}) + '\n' for x in read('r.ndjson').decode().splitlines()))
case('y-refs', '{"images":[', 'coco-score --quiet --refs {} h/hyp')
case('d-text', 'hello\n', 'coco-score --quiet --refs r.ndjson --split all --metrics cider --df {} h/hyp')
case('d-empty', '', 'coco-score --quiet --refs r.ndjson --split all --metrics cider --df {} h/hyp')
must('coco-score', '--quiet', '--refs', 'r.ndjson', '--split', 'all', '--metrics', 'cider', '--write-df', 'h/df')
case('d-cut', read('h/df')[:500], 'coco-score --quiet --refs r.ndjson --split all --metrics cider --df {} h/hyp')
os.mkdir('h/m')
case('m', None, 'coco-score --quiet --refs r.ndjson --split all --metrics meteor --meteor-data {} h/hyp')
case('m.jar', b'PK\3\4' + bytes(100), 'coco-score --quiet --refs r.ndjson --split all --metrics meteor --meteor-data {} h/hyp')

# ---- the page must not run what captions say
r = case('p.html', None, 'capt-report --quiet --refs r.ndjson --images toy/images --out {} h/hyp', 0, '^$')
page = read('h/p.html').decode()
ok('<script' not in page and '\x1b' not in page and '&lt;script&gt;' in page, 'a page escapes captions')
case('p-log', '{"event":"step","step":1,"loss":"<b>"}\n', 'capt-report --quiet --refs r.ndjson --images toy/images --log {} --out h/.p h/hyp')
left = [x for x in os.listdir('h') if x[0] == '.' and x != '.v']
ok(not left, 'no output came of a bad file', left)
ok(cases >= 80, '%d hostile files' % cases)
end()
