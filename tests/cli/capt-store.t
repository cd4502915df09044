#!/bin/sh
# capt-store: text and back, shards, what damaged files do, safetensors.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

# 300 images with two sections
awk 'BEGIN { for (i = 0; i < 300; i++) printf "{\"id\":%d,\"sections\":[{\"name\":\"grid\",\"dtype\":\"f16\",\"dim\":3,\"rows\":[[%g,1,-0.5],[-0.0,%d,2]]},{\"name\":\"boxes\",\"dtype\":\"f32\",\"dim\":1,\"rows\":[[%g]]}]}\n", i, i / 8, i, i / 3 }' >all.ndjson
ok 'load' capt-store load --out a all.ndjson
ok 'info' capt-store info a
like 'says what it holds' "$(cat "$OUT")" '^a: feature store, 300 images, [0-9]+ bytes, ids are integers$'
ok 'info --json' capt-store info --json a
cp "$OUT" a.json
is 'the manifest' "$(jq -c '[.format, .ids, .dtype, .count, .complete, .sections[0]]' a.json)" \
    '["capt-store","int","f16",300,true,{"name":"grid","dtype":"f16","rows":0,"dim":3}]'
ok 'dump' capt-store dump a
sort "$OUT" >dumped
ok 'load the dump, shuffled' sh -c 'sort -r dumped | capt-store load --manifest a.json --out b'
ok 'the same bytes' cmp a b
ok 'one image' capt-store dump --id 17 --id 3 a
is 'is that image' "$(head -n 1 "$OUT")" '{"id":17,"sections":[{"name":"grid","dtype":"f16","dim":3,"rows":[[2.125,1,-0.5],[-0.0,17,2]]},{"name":"boxes","dtype":"f32","dim":1,"rows":[[5.66666985]]}]}'
status 1 'an image that is not there' capt-store dump --id 999 a
status 1 'an id of the other kind' capt-store dump --id x a
is 'ls' "$(capt-store ls a | head -n 2 | tr '\t\n' ' ;')" '0 grid 2x3 f16 boxes 1x1 f32;1 grid 2x3 f16 boxes 1x1 f32;'

# shards
sed -n 1,120p all.ndjson >s0 && sed -n 121,299p all.ndjson >s1 && sed -n 300p all.ndjson >s2
for i in 0 1 2; do
    ok "shard $i" capt-store load --out "p$i" s$i
done
ok 'merge' capt-store merge --out m p2 p0 p1
ok 'merged = written whole' cmp a m
ok 'compact' capt-store compact --out k m
ok 'compacted = written whole' cmp a k
status 1 'shards that overlap' capt-store merge --out x p0 a
like 'name the image' "$(cat "$ERR")" 'id 0 is in'
mkfifo pipe
mkdir folder
for o in pipe folder; do
    status 1 "not in the place of a $o" capt-store merge --out $o p2 p0 p1
    like "$o: says so" "$(cat "$ERR")" "$o: not a regular file"
done
ok 'the pipe is there' test -p pipe
is 'and nothing else' "$(ls -d pipe.part* folder.part* 2>/dev/null)" ''
sed 's/f16/bf16/' s2 >s3
ok 'a store of another dtype' capt-store load --out p3 s3
status 1 'does not merge' capt-store merge --out x p0 p3
like 'and why' "$(cat "$ERR")" '"(dtype|sections)" is'
is 'no x' "$(ls x x.part 2>/dev/null)" ''

ok 'diff: equal' capt-store diff a b
status 1 'diff: fewer images' capt-store diff a p0
like 'are counted' "$(cat "$OUT")" 'in both: 120, only in a: 180, only in p0: 0'
sed 's/,-0.5\]/,-0.75]/' all.ndjson >c.ndjson
ok 'a changed store' capt-store load --out c c.ndjson
status 1 'diff: other numbers' capt-store diff a c
like 'the largest difference' "$(cat "$OUT")" '^largest difference: 0.25, smallest cosine'
ok 'diff: within tolerance' capt-store diff --tolerance 0.25 a c

# numbers beside the text
ok 'dump --npy' capt-store dump --npy arrays a
cp "$OUT" beside
is 'a line says where' "$(sed -n 2p beside)" '{"id":1,"sections":[{"name":"grid","dtype":"f16","dim":3,"from":2,"rows":2},{"name":"boxes","dtype":"f32","dim":1,"from":1,"rows":1}]}'
ok 'load --npy' capt-store load --manifest a.json --npy arrays --out n beside
ok 'the same bytes' cmp a n
status 1 'load without --npy' capt-store load --out x beside
like 'says what is missing' "$(cat "$ERR")" 'beside:1: "grid" has its numbers in a .npy file'
sed 's/"from":2/"from":2000000000000000000/' beside >beyond
status 1 'rows that are not there' capt-store load --npy arrays --out x beyond
like 'are named' "$(cat "$ERR")" 'beyond:2: "grid": rows .* are not in its .npy file'
sed 's/"grid"/"..\/grid"/' beside >escape
status 1 'a section that leads elsewhere' capt-store load --npy arrays --out x escape
ok 'two images' capt-store dump --npy two --id 5 --id 7 a
ok 'of bf16' sh -c "sed 's/f16/bf16/' all.ndjson | capt-store load --out bf && capt-store dump --npy bfs bf | capt-store load --npy bfs --out bf2 && capt-store diff bf bf2"
ok 'are arrays of NumPy' python3 - <<'P'
import struct
def head(path):
    d = open(path, 'rb').read()
    n = struct.unpack('<H', d[8:10])[0]
    return eval(d[10:10 + n]), len(d) - 10 - n
h, n = head('arrays/grid.npy')
assert h == {'descr': '<f2', 'fortran_order': False, 'shape': (600, 3)} and n == 3600, h
h, n = head('two/boxes.npy')
assert h == {'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)} and n == 8, h
assert head('bfs/grid.npy')[0]['descr'] == '<f4'
P

# which images must be there
sed -n '1,300s/.*"id":\([0-9]*\).*/{"id":\1}/p' all.ndjson >ids
ok 'verify --ids' capt-store verify --ids ids a
status 1 'verify --ids: some are missing' capt-store verify --ids ids p0
like 'the first is named' "$(cat "$ERR")" 'p0: 180 of 300 images of ids are missing, the first is 120'
status 1 'merge --ids' capt-store merge --ids ids --out x p0 p1
like 'counts them too' "$(cat "$ERR")" 'x: 1 of 300 images of ids are missing, the first is 299'
rm -f x

# many shards, few open files
seq 0 99 | while read -r i; do sed -n "$((3 * i + 1)),$((3 * i + 3))p" all.ndjson | capt-store load --out "many$i" || exit 1; done
ok 'a hundred shards' bash -c 'ulimit -Sn 40; capt-store merge --out hundred many*'
ok 'the same bytes' cmp a hundred

# a merge that was killed
: >km.part
status 1 'a left-over part' capt-store merge --out km p0 p1 p2
like 'is named' "$(cat "$ERR")" 'km.part is left from an unfinished run: continue it with --resume'
ok 'goes on' capt-store merge --resume --out km p0 p1 p2
ok 'to the same bytes' cmp a km
cp a km.part
ok 'goes on from the last step' capt-store compact --resume --out km a
is 'the part is gone' "$(ls km.part* 2>/dev/null)" ''
sh -c 'head -n 150 all.ndjson | { cat; echo broken; } >half; ! capt-store load --resume --out km half 2>/dev/null'
status 1 'but not from the part of something else' capt-store merge --resume --out km p0 p1 p2
like 'which is named' "$(cat "$ERR")" 'not of a merge'
ok 'and kept' test -s km.part
rm -f km.part

# stopped and resumed
ok 'half' sh -c 'head -n 150 all.ndjson | { cat; echo broken; } >half; ! capt-store load --resume --out r half 2>/dev/null && test -f r.part && ! test -e r'
status 1 'a part is left' capt-store load --out r all.ndjson
ok 'resume' capt-store load --resume --out r all.ndjson
ok 'the same bytes' cmp a r
is 'the part is gone' "$(ls r.part* 2>/dev/null)" ''
: >q.part && chmod 600 q.part
ok 'an empty part resumes' capt-store load --resume --out q all.ndjson

# damage
ok 'quickcheck' capt-store quickcheck a b
ok 'verify' capt-store verify a b
size=$(wc -c <a)
head -c $((size / 2)) a >short
status 1 'cut in half' capt-store quickcheck short
like 'says so' "$(cat "$ERR")" 'cut short'
status 1 'cut to one page' sh -c 'head -c 4096 a >short; capt-store info short'
status 1 'empty' sh -c ': >short; capt-store verify short'
status 1 'not a store' capt-store info all.ndjson
status 1 'a folder' capt-store info .
status 1 'not there' capt-store info nothing
flip() # OFFSET: the byte becomes another one
{
    cp a flipped && chmod 600 flipped
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $((($(dd if=a bs=1 skip="$1" count=1 2>/dev/null | od -An -tu1 | tr -d ' ') + 85) % 256)))" | dd of=flipped bs=1 seek="$1" conv=notrunc 2>/dev/null
}
at=$(LC_ALL=C grep -obUa CPTF a | sed -n 150p | cut -d : -f 1)
for o in 0 6 9 20 33 48 60 64 80 112 115 300; do
    flip $((at + o))
    status 1 "a byte at $o of a record" capt-store verify flipped
done
worst=0
for o in 16 24 40 48 64 100 120 4112 4136 4160 4200 8192 8202 8204 8208 8212 8220; do
    flip $o
    timeout 20 "$B/capt-store" verify flipped >/dev/null 2>&1 || { got=$?; [ $got -le 1 ] || worst="$got at $o"; }
done
is 'a byte of a database page: never a signal' "$worst" 0

for o in 0 3 30 60; do
    python3 -c 'import re, sys
d = bytearray(open("a", "rb").read())
for m in re.finditer(b"\"encoder\"", bytes(d)): # older versions of it lie in free pages
    d[m.start() + int(sys.argv[1])] ^= 4
open("flipped", "wb").write(d)' $o
    status 1 "a bit of the manifest" capt-store verify flipped
    like 'is named' "$(cat "$ERR")" 'manifest: checksum mismatch'
done
for o in 16 24 40 48 64 100 120 4112 4136 4160 4200 8192 8202 8204 8208 8212 8220; do
    flip $o
    for c in info ls dump 'merge --out y' 'diff a'; do
        # shellcheck disable=SC2086
        timeout 20 "$B/capt-store" $c flipped >/dev/null 2>&1 || { got=$?; [ $got -le 1 ] || worst="$got at $o by $c"; }
        rm -f y y.part*
    done
done
is 'nor in those that only read' "$worst" 0
python3 - <<'P'
d = bytearray(open('a', 'rb').read())
for page in 0, 4096: # the magic numbers of the two first pages as a machine of the other byte order writes them
    d[page + 16:page + 20] = d[page + 16:page + 20][::-1]
open('swapped', 'wb').write(d)
P
status 1 'the other byte order' capt-store info swapped
like 'is refused as such' "$(cat "$ERR")" 'other byte order'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    mkdir closed && cp a closed/a && chmod 555 closed && chmod 444 closed/a && chmod 755 "$T"
    cp "$B/capt-store" capt-store && chmod 755 capt-store
    ok "someone else's store in a folder that cannot be written" setpriv --reuid 65534 --regid 65534 --clear-groups ./capt-store verify closed/a
    is 'nothing was put beside it' "$(ls closed)" a
    if mount -t tmpfs none closed 2>/dev/null; then
        cp a closed/a && mount -o remount,ro closed
        ok 'a read-only file system' ./capt-store verify closed/a
        status 1 'where nothing can be written' ./capt-store compact --out closed/b a
        umount closed
    fi
fi
status 1 'a limit of the file size' bash -c 'ulimit -f 40; capt-store compact --out limited a'
like 'is named' "$(cat "$ERR")" 'limited.*: File too large'
is 'and leaves nothing' "$(ls limited* 2>/dev/null)" ''

# hostile text
bad() # NAME REGEX TEXT
{
    printf '%s\n' "$3" >bad
    status 1 "hostile: $1" capt-store load --out h bad && like "hostile: $1 is named" "$(cat "$ERR")" "$2"
}
r='"sections":[{"name":"g","dtype":"f16","dim":2,"rows":'
bad 'not JSON' 'bad:1: ' 'x'
bad 'no id' 'bad:1: "id" is missing' "{${r}[[1,2]]}]}"
bad 'no sections' '"sections" is missing' '{"id":1}'
bad 'short row' 'row 0 has not 2 numbers' "{\"id\":1,${r}[[1]]}]}"
bad 'text in a row' 'row 0, column 1 is no number' "{\"id\":1,${r}[[1,\"2\"]]}]}"
bad 'too large a number' 'row 1, column 0 does not fit f16' "{\"id\":1,${r}[[1,2],[70000,2]]}]}"
bad 'two kinds of ids' 'the ids before are integers' "{\"id\":1,${r}[[1,2]]}]}
{\"id\":\"1\",${r}[[1,2]]}]}"
bad 'an id twice' 'already stored' "{\"id\":1,${r}[[1,2]]}]}
{\"id\":1,${r}[[1,2]]}]}"
bad 'another dim' 'the manifest has 0x2 f16' "{\"id\":1,${r}[[1,2]]}]}
{\"id\":2,\"sections\":[{\"name\":\"g\",\"dtype\":\"f16\",\"dim\":1,\"rows\":[[1]]}]}"
bad 'an empty file' 'no records' ''
is 'no store came of that' "$(ls h h.part 2>/dev/null)" ''
status 2 'no command' capt-store frobnicate a
status 2 'no --out' capt-store merge a b
status 2 'operands' capt-store diff a

# safetensors
printf '\100\000\000\000\000\000\000\000{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}          \000\000\200\077\000\000\000\100' >w.safetensors
ok 'ls of safetensors' capt-store ls w.safetensors
is 'a tensor' "$(cat "$OUT")" "$(printf 'w\tf32\t(2)')"
ok 'info of safetensors' capt-store info w.safetensors
ok 'verify of safetensors' capt-store verify w.safetensors
head -c 76 w.safetensors >w2.safetensors
status 1 'cut safetensors' capt-store verify w2.safetensors
python3 - <<'P'
import json, struct
def tensor(name, dtype, shape, data):
    return name, dtype, shape, data
def write(path, tensors, meta):
    head, at, body = {'__metadata__': meta} if meta else {}, 0, b''
    for name, dtype, shape, data in tensors:
        head[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + len(data)]}
        at += len(data)
        body += data
    text = json.dumps(head, separators=(',', ':')).encode()
    text += b' ' * (-(len(text) + 8) % 64)
    open(path, 'wb').write(struct.pack('<Q', len(text)) + text + body)
numbers = [((i * 2654435761) % 1000003 - 500000) / 977 for i in range(70000)]
t = [('d', 'F64', [2], struct.pack('<2d', 0.1, -1e300)), ('l', 'I64', [1], struct.pack('<q', -2**62)), ('f', 'F32', [70, 1000], struct.pack('<70000f', *numbers)),
     ('i', 'I32', [], struct.pack('<i', -7)), ('b', 'BF16', [2], bytes([0x80, 0x3f, 0, 0x80])), ('h', 'F16', [1, 2], bytes([0, 0x3c, 1, 0])),
     ('none', 'F16', [0, 3], b''), ('u', 'U8', [3], bytes([0, 1, 255]))]
write('many.safetensors', t, {'format': 'x', 'note': 'caf\u00e9 "quoted"'})
t[2] = ('f', 'F32', [70, 1000], struct.pack('<70000f', numbers[0] + 0.25, *numbers[1:]))
write('other.safetensors', t, {})
t[2] = ('f', 'F32', [70, 1000], struct.pack('<70000f', *numbers[1:], float('nan')))
write('nan.safetensors', t, {})
P
ok 'dump of safetensors' capt-store dump many.safetensors
cp "$OUT" weights.ndjson
is 'has its lines' "$(jq -r 'if .metadata then "metadata" elif .from then "\(.tensor) from \(.from)" else "\(.tensor) \(.dtype) \(.shape)" end' weights.ndjson | tr '\n' ';')" \
    'metadata;b bf16 [2];d f64 [2];f f32 [70,1000];f from 65536;h f16 [1,2];i i32 [];l i64 [1];none f16 [0,3];u u8 [3];'
ok 'load of it' capt-store load --out back.safetensors weights.ndjson
ok 'gives the same weights' capt-store diff many.safetensors back.safetensors
ok 'dump again' capt-store dump back.safetensors
cp "$OUT" again.ndjson
ok 'and the same text' cmp weights.ndjson again.ndjson
ok 'which is the same file when it is ours' sh -c 'capt-store dump back.safetensors | capt-store load --out third && cmp third back.safetensors'
status 1 'diff of weights' capt-store diff many.safetensors other.safetensors
like 'in numbers' "$(cat "$OUT")" '^largest difference: 0.25, smallest cosine of a tensor: 0.99'
like 'and tensors' "$(cat "$OUT")" '^tensors in both: 8, only in many.safetensors: 0'
status 1 'diff: NaN is far from all' capt-store diff --tolerance 1e9 many.safetensors nan.safetensors
ok 'diff: but not from itself' capt-store diff nan.safetensors nan.safetensors
status 1 'diff of a store and weights' capt-store diff a many.safetensors
status 1 'dump of NaN' capt-store dump nan.safetensors
like 'is named' "$(cat "$ERR")" 'nan.safetensors: tensor "f": element 69999 is NaN'
ok 'info --json of safetensors' sh -c 'capt-store info --json many.safetensors | jq -e ".tensors == 8 and .numbers == 70011 and .metadata.format == \"x\""'
badw() # NAME REGEX TEXT
{
    printf '%s\n' "$3" >bad
    status 1 "hostile weights: $1" capt-store load --out hw bad && like "hostile weights: $1 is named" "$(cat "$ERR")" "$2"
}
badw 'too few values' 'hw: tensor "w": 1 values of 2' '{"tensor":"w","dtype":"f32","shape":[2],"values":[1]}'
badw 'too many' 'bad:1: tensor "w": 3 values from 0 do not follow' '{"tensor":"w","dtype":"f32","shape":[2],"values":[1,2,3]}'
badw 'a huge shape' 'bad:1: tensor "w": impossible shape' '{"tensor":"w","dtype":"f32","shape":[4294967296,4294967296],"values":[]}'
badw 'a negative one' 'impossible shape' '{"tensor":"w","dtype":"f32","shape":[-1],"values":[]}'
badw 'a large one without values' 'hw: tensor "w": 0 values of 1000000000000' '{"tensor":"w","dtype":"f32","shape":[1000000000000],"values":[]}'
badw 'an unknown type' 'unknown dtype' '{"tensor":"w","dtype":"f8","shape":[1],"values":[1]}'
badw 'a name twice' 'is there twice' '{"tensor":"w","dtype":"f32","shape":[1],"values":[1]}
{"tensor":"w","dtype":"f32","shape":[1],"values":[1]}'
badw 'no number' 'value 0 is no u8 number' '{"tensor":"w","dtype":"u8","shape":[1],"values":[256]}'
badw 'metadata of a number' 'metadata "x" is no string' '{"metadata":{"x":1}}'
badw 'values that do not begin' 'do not follow' '{"tensor":"w","from":4,"values":[1]}'
is 'no weights came of that' "$(ls hw hw.part 2>/dev/null)" ''
done_testing
