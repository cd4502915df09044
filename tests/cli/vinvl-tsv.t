#!/bin/sh
# vinvl-import: every TSV layout against values computed in Python; files beside; what is refused, and where it says so; the same
# bytes for any threads, order, shards and interruptions; the warning when a model meets other features.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

cat >make.py <<'P'
import base64, json, os, random, struct
random.seed(7)
D = 8
b64 = lambda b: base64.b64encode(b).decode()
f32 = lambda v: struct.pack('<%df' % len(v), *v)
f16 = lambda v: struct.pack('<%de' % len(v), *v)
images = []
for k, i in enumerate([42, 7, 391895, 100, 9, 31, 250000]): # not in the order of their keys
    W, H = (640, 512) if k % 2 else (256, 480)
    n = 1 + k % 5
    boxes = []
    for _ in range(n):
        w, h = random.randrange(1, 8) * 16, random.randrange(1, 8) * 32
        x, y = random.randrange(0, W - w, 16), random.randrange(0, H - h, 16)
        boxes.append([x, y, x + w, y + h])
    x = [[random.randrange(-512, 512) / 64 for _ in range(D)] for _ in range(n)]
    geo = [[b[0] / W, b[1] / H, b[2] / W, b[3] / H, (b[2] - b[0]) / W, (b[3] - b[1]) / H] for b in boxes]
    objects = [{"class": random.choice(["dog", "cat", "traffic light", "caf\u00e9"]), "rect": b, "conf": round(random.random(), 3)} for b in boxes]
    images.append(dict(id=i, W=W, H=H, n=n, boxes=boxes, x=x, geo=geo, objects=objects))
flat = lambda rows: [v for r in rows for v in r]
swap = lambda g: g[:4] + [g[5], g[4]]
def write(name, lines, index=True):
    os.makedirs(os.path.dirname(name) or '.', exist_ok=True)
    at, offsets = 0, []
    with open(name, 'wb') as f:
        for line in lines:
            offsets.append(at)
            at += f.write((line + '\n').encode())
    if index:
        open(name[:-4] + '.lineidx', 'w').writelines('%d\n' % o for o in offsets)
def butd(m):
    return '%d\t%d\t%d\t%d\t%s\t%s' % (m['id'], m['W'], m['H'], m['n'], b64(f32(flat(m['boxes']))), b64(f32(flat(m['x']))))
key = lambda m: '%012d' % m['id']
def form_a(m, rows, pack=f32):
    return key(m) + '\t' + json.dumps({"num_boxes": m['n'], "features": b64(pack(flat(rows)))})
def form_b(m, rows, pack=f32):
    return '%d\t%d\t%s' % (m['id'], m['n'], b64(pack(flat(rows))))
with_geo = lambda m: [a + b for a, b in zip(m['x'], m['geo'])]
with_swap = lambda m: [a + swap(b) for a, b in zip(m['x'], m['geo'])]
label = lambda m: key(m) + '\t' + json.dumps(m['objects'])
predictions = lambda m: '%d\t' % m['id'] + json.dumps({"image_h": m['H'], "image_w": m['W'], "objects": m['objects']})
hw = lambda m: key(m) + '\t' + json.dumps([{"height": m['H'], "width": m['W']}])
def sgb(m):
    return key(m) + '\t' + json.dumps({"objects": [dict(o, bbox_id=k, feature=b64(f32(m['x'][k])), attributes=["red"], attr_scores=[.5]) for k, o in enumerate(m['objects'])],
                                       "predicates": [], "relations": []})
write('butd.tsv', map(butd, images), False)
write('shards/a.tsv.0', map(butd, images[:3]), False)
write('shards/a.tsv.1', map(butd, images[3:]), False)
write('plain.tsv', [form_a(m, m['x']) for m in images])
write('a.tsv', [form_a(m, with_geo(m)) for m in images])
write('hw.tsv', map(hw, images))
write('swapped.tsv', [form_b(m, with_swap(m)) for m in images])
write('half.tsv', [form_b(m, with_geo(m), f16) for m in images])
write('label.tsv', map(label, images))
write('predictions.tsv', map(predictions, images))
write('sgb.tsv', map(sgb, images))
write('set/train.feature.tsv', [form_a(m, with_geo(m)) for m in images])
write('set/train.label.tsv', map(label, images))
write('set/train.hw.tsv', map(hw, images))
open('set/train.yaml', 'w').write('feature: train.feature.tsv\nlabel: "train.label.tsv"\nhw: train.hw.tsv # sizes\n')
os.makedirs('list', exist_ok=True)
open('list/some.yaml', 'w').write('feature: ../set/train.feature.tsv\nlinelist: some.linelist.tsv\n')
open('list/some.linelist.tsv', 'w').write('6\n0\n1\n')
for c, part in ('2', images[:2]), ('10', images[2:]):
    write('chunks/%s/features.tsv' % c, [form_b(m, with_geo(m)) for m in part])
    write('chunks/%s/predictions.tsv' % c, map(predictions, part))
    json.dump({str(m['id']): k for k, m in enumerate(part)}, open('chunks/%s/imageid2idx.json' % c, 'w'))
json.dump([dict(id=m['id'], x=m['x'], geo=m['geo'], boxes=m['boxes'], size=[[m['W'], m['H']]], objects=m['objects']) for m in images], open('want.json', 'w'))
P
cat >check.py <<'P'
# check.py STORE NAME,NAME: every number of these sections: x features, xg features with geometry, boxes, size
import json, os, struct, subprocess, sys
want = {m['id']: m for m in json.load(open('want.json'))}
names = sys.argv[2].split(',')
only = int(sys.argv[3]) if len(sys.argv) > 3 else len(want)
seen = 0
as_f32 = lambda rows: [[struct.unpack('<f', struct.pack('<f', v))[0] for v in r] for r in rows]
for line in subprocess.run(['capt-store', 'dump', sys.argv[1]], capture_output=True, check=True, text=True).stdout.splitlines():
    o = json.loads(line)
    m = want[o['id']]
    parts = {'x': m['x'], 'xg': [a + b for a, b in zip(m['x'], m['geo'])], 'boxes': m['boxes'], 'size': m['size']}
    assert [s['name'] for s in o['sections']] == ['regions' if n in ('x', 'xg') else n for n in names], (line, names)
    for n, s in zip(names, o['sections']):
        near = s["dtype"] != "f32" or n == "boxes" or "NEAR" in os.environ
        got, exp = as_f32(s['rows']), as_f32(parts[n])
        assert len(got) == len(exp) and all(len(a) == len(b) for a, b in zip(got, exp)), (o['id'], n)
        for a, b in zip(got, exp):
            for v, w in zip(a, b):
                assert v == w if not near else abs(v - w) <= 5e-4 * max(abs(w), .5), (o['id'], n, v, w)
    seen += 1
assert seen == only, seen
P
python3 make.py

import_all() # STORE WANT ARGUMENTS...
{
    st=$1 what=$2
    shift 2
    ok "$st" vinvl-import --dtype f32 --store "$st" "$@"
    ok "$st: every number" python3 check.py "$st" "$what"
}
import_all butd x,boxes,size butd.tsv
import_all butd2 x,boxes,size --format butd-tsv shards
ok 'shards = one file, but for the hash of the input' capt-store diff butd butd2
import_all plain x --format vinvl-tsv plain.tsv
import_all a xg --format oscar-tsv a.tsv
like 'recognises the geometry' "$(vinvl-import --dtype f32 --store a1 a.tsv 2>&1)" 'geometry: .*column 12 = column 10 - column 8; the files end with w/W h/H'
import_all ahw xg,boxes,size --hw hw.tsv a.tsv
import_all swapped xg --format vinvl-tsv swapped.tsv
like 'says what it swapped' "$(vinvl-import --dtype f32 --store sw swapped.tsv 2>&1)" 'column 13 = column 10 - column 8; the files end with h/H w/W'
ok 'the same numbers' capt-store diff a swapped
is 'and so says the manifest' "$(capt-store info --json swapped | jq -c '[.geometry, .provenance[0].input.geometry]')" '["x1/W y1/H x2/W y2/H w/W h/H","h/H w/W"]'
ok 'half' vinvl-import --dtype f32 --store half --dim 14 half.tsv
ok 'half: every number' env NEAR=1 python3 check.py half xg
is 'f16 is seen by its bytes' "$(capt-store info --json half | jq -r '.provenance[0].input.numbers')" f16
import_all labels xg,boxes --predictions label.tsv a.tsv
import_all predictions xg,boxes,size --tags p.ndjson --predictions predictions.tsv a.tsv
import_all sgb x,boxes --format sgb-tsv --tags s.ndjson sgb.tsv
import_all sgbhw x,boxes,size --hw hw.tsv sgb.tsv
import_all yaml xg,boxes,size set/train.yaml
import_all folder xg,boxes,size set
ok 'the same' capt-store diff yaml folder
import_all chunks.store xg,boxes,size --tags c.ndjson chunks
ok 'some lines' vinvl-import --dtype f32 --store some list
ok 'are those' python3 check.py some xg 3
is 'of the list' "$(capt-store ls some | cut -f 1 | tr '\n' ' ')" '250000 42 7 '
ok 'from a pipe' sh -c 'cat butd.tsv | vinvl-import --dtype f32 --store piped -'
ok 'the same bytes' cmp piped butd
ok 'from standard input' sh -c 'vinvl-import --dtype f32 --store redirected - <butd.tsv'
ok 'the same bytes' cmp redirected butd
ok 'f16' vinvl-import --store f16 a.tsv
ok 'f16: every number' python3 check.py f16 xg
ok 'bf16' vinvl-import --dtype bf16 --store bf16 plain.tsv
ok 'string ids' vinvl-import --ids string --store strings plain.tsv
is 'are the keys' "$(capt-store ls strings | cut -f 1 | head -n 2 | tr '\n' ' ')" '000000000007 000000000009 '

# tags
cat >tags.py <<'P'
import json, sys
want = {m['id']: m for m in json.load(open('want.json'))}
for line in open(sys.argv[1]):
    t = json.loads(line)
    m = want.pop(t['id'])
    assert t['objects'] == [dict({k: o[k] for k in ('class', 'conf')}, rect=[float(v) for v in o['rect']]) for o in m['objects']], t
    best = {}
    for o in m['objects']:
        best[o['class']] = max(best.get(o['class'], 0), o['conf'])
    assert t['tags'] == sorted(best, key=lambda c: -best[c]) and t['scores'] == sorted(best.values(), reverse=True), t
assert not want
P
for f in p s c; do
    ok "tags $f" python3 tags.py $f.ndjson
done
ok 'all alike' cmp p.ndjson c.ndjson
status 2 'no objects' vinvl-import --tags t.ndjson --store e butd.tsv
printf '7\t[]\n' >few.tsv
ok 'images without objects' vinvl-import --tags few.ndjson --predictions few.tsv --store few plain.tsv
like 'are counted' "$(cat "$ERR")" '7 images have no tags'
is 'and have no tags' "$(head -n 1 few.ndjson)" '{"id":100,"tags":[],"objects":[]}'
sed '2s/}, {.*/}]/' label.tsv >one.tsv
ok 'another number of objects' vinvl-import --predictions one.tsv --store one plain.tsv
like 'is told' "$(cat "$ERR")" '1 images have not one object a region: they are stored without boxes'

# the same bytes whatever the way
for t in 1 2 5; do
    ok "$t threads" vinvl-import --threads $t --dtype f32 --store t$t --tags t$t.ndjson --predictions predictions.tsv a.tsv
    ok "the same bytes" cmp t$t predictions
    ok "the same tags" cmp t$t.ndjson p.ndjson
done
ok 'resumed when there is nothing' vinvl-import --resume --dtype f32 --store r --tags r.ndjson --predictions predictions.tsv a.tsv
ok 'the same bytes' cmp r predictions
ok 'done' vinvl-import --resume --dtype f32 --store r --tags r.ndjson --predictions predictions.tsv a.tsv
like 'says so' "$(cat "$ERR")" 'nothing to do'

# what is wrong, and where
bad() # NAME REGEX SED-SCRIPT FILE [ARGUMENTS]
{
    name=$1 re=$2 script=$3 file=$4
    shift 4
    rm -rf bad && mkdir bad
    sed "$script" "$file" >bad/x.tsv
    status 1 "$name" vinvl-import --store e "$@" bad/x.tsv
    like "$name: says so" "$(cat "$ERR")" "$re"
    is "$name: leaves nothing" "$(ls e e.part 2>/dev/null)" ''
    ok "$name: --max-bad 1" vinvl-import --max-bad 1 --errors errors --store m "$@" bad/x.tsv
    is "$name: the others are there" "$(capt-store ls m | wc -l | tr -d ' ') $(wc -l <errors | tr -d ' ')" '6 1'
    rm -f m errors
}
T1=$(printf '\t')
at='bad/x.tsv:3: id 391895: '
bad 'five columns' "${at}5 columns, a bottom-up row has 6" "3s/${T1}[^$T1]*\$//" butd.tsv
bad 'width 0' "${at}the width is \"0\"" "3s/${T1}256/${T1}0/" butd.tsv
bad 'no boxes' "${at}the number of boxes is \"0\"" "3s/480${T1}3/480${T1}0/" butd.tsv
bad '257 boxes' "${at}the number of boxes is \"257\", not a number from 1 to 256" "3s/480${T1}3/480${T1}257/" butd.tsv
bad 'one box more than there are' "${at}128 characters of features: 4 boxes of 8 numbers have 172 as f32, 88 as f16" "3s/480${T1}3/480${T1}4/" butd.tsv
bad 'a character missing' "${at}127 characters of features" '3s/.$//' butd.tsv
bad 'four characters missing' "${at}124 characters of features: 3 boxes of 8 numbers have 128 as f32, 64 as f16" '3s/....$//' butd.tsv
bad 'a wrong character' "${at}the features: character 128, '!', is wrong in base64" '3s/.$/!/' butd.tsv
bad 'a blank' "${at}the features: character 128, byte 0x20" '3s/.$/ /' butd.tsv
bad 'padding inside' "${at}the features: character 124, '=', is wrong" '3s/.\(....\)$/=\1/' butd.tsv
bad 'NaN' "${at}NaN or infinity at row 0, column 0 of the features" "3s/${T1}[^$T1]\{8\}\([^$T1]*\)\$/${T1}AADAfwAA\1/" butd.tsv
bad 'infinity' "${at}NaN or infinity at row 0, column 0 of the features" "3s/${T1}[^$T1]\{8\}\([^$T1]*\)\$/${T1}AACAfwAA\1/" butd.tsv
bad 'a box out of the picture' "${at}box 0, .*, is not inside a picture of 5 x 480" "3s/${T1}256/${T1}5/" butd.tsv
bad 'an image twice' 'bad/x.tsv:3: id 7: this image is in bad/x.tsv:2: id 7 already' '3s/^391895/7/' butd.tsv
bad 'no id' 'bad/x.tsv:3: no id' '3s/^391895//' butd.tsv
bad 'another kind of id' 'bad/x.tsv:3: id cat: cat: the name does not end with a number' '3s/^391895/cat/' butd.tsv --ids int
bad 'JSON cut' "bad/x.tsv:3: id 000000391895: bad JSON" '3s/}$//' plain.tsv
bad 'num_boxes a string' 'id 000000391895: "num_boxes" is not an integer' '3s/"num_boxes": 3/"num_boxes": "3"/' plain.tsv
bad 'features a number' 'id 000000391895: "features" is missing or no string' '3s/"features": "[^"]*"/"features": 0/' plain.tsv
bad 'no features' 'id 000000391895: "features" is missing or no string' '3s/"features"/"feature"/' plain.tsv
bad 'an object without its feature' 'id 000000391895: object 1 has no "feature"' '3s/"feature": /"f": /2' sgb.tsv
bad 'a feature of another width' 'id 000000391895: the features have 4 characters, 8 numbers of f32 have 44' '3s/"feature": "[^"]*"/"feature": "AAAA"/2' sgb.tsv
bad 'a rectangle of three' 'id 000000391895: "rect" of object 0 is not four numbers' '3s/"rect": \[[0-9]*, /"rect": [/' sgb.tsv
bad 'an empty box' 'id 000000391895: box 0, .* has no width or height' '3s/"rect": \[[0-9, ]*\]/"rect": [9, 9, 9, 20]/' sgb.tsv
bad 'confidence 2' 'id 000000391895: "conf" of object 0 is not a number from 0 to 1' '3s/"conf": [0-9.]*/"conf": 2/' sgb.tsv
bad 'a control character in a class' 'id 000000391895: a control character in the class of object 0' '3s/"class": "[^"]*"/"class": "a\\u0007"/' sgb.tsv
bad 'other last columns' 'id 391895: the last six columns are not the boxes' "3s/[^$T1]*\$/$(head -c 168 /dev/zero | base64 -w 0)/" swapped.tsv

cp a.tsv li.tsv
printf '\357\273\277' | cat - plain.tsv >marked.tsv
awk '{ print NR == 1 ? 0 : $1 + 3 }' plain.lineidx >marked.lineidx
ok 'a byte order mark' vinvl-import --quiet --store marked.mdb marked.tsv
vinvl-import --quiet --store plain.mdb plain.tsv
ok 'is no part of the first id' capt-store diff marked.mdb plain.mdb
printf '0\n9\n' >li.lineidx
status 1 'a lineidx of another file' vinvl-import --store e li.tsv
like 'says so' "$(cat "$ERR")" 'li.lineidx: does not belong to li.tsv: line 2 begins at byte'
head -n 3 a.tsv >li.tsv
cp a.lineidx li.lineidx
status 1 'a file cut short' vinvl-import --store e li.tsv
like 'says so' "$(cat "$ERR")" 'li.lineidx: has more lines than li.tsv, which is cut short'
sed 's/: 1/: 0/' chunks/10/imageid2idx.json >i.json
cp i.json chunks/10/imageid2idx.json
status 1 'an index of another file' vinvl-import --store e chunks
like 'says so' "$(cat "$ERR")" 'imageid2idx.json: "[0-9]+" is row 0 of chunks/10/features.tsv'
printf 'img: x.tsv\n' >img.yaml
status 1 'a yaml without features' vinvl-import --store e img.yaml
status 1 'what is not there' vinvl-import --store e .nothing
mkdir empty
status 1 'an empty folder' vinvl-import --store e empty
: >none.tsv
status 1 'an empty file' vinvl-import --store e none.tsv
status 1 'text that holds no features' vinvl-import --store e "$TOP/CHANGES.md"
status 1 'another layout than said' vinvl-import --format butd-tsv --store e plain.tsv
mkfifo fifo
status 1 'a FIFO' vinvl-import --store e fifo
{ printf '7\t640\t480\t1\t'; head -c 70000000 /dev/zero | tr '\0' A; } >l.tsv
{ echo; cat butd.tsv; } >>l.tsv
status 1 'a row over 64 MiB' vinvl-import --store e l.tsv
like 'says so' "$(cat "$ERR")" 'l.tsv:1: id 7: the row is longer than 67108864 bytes'
rm -f l.tsv
is 'no store came of all that' "$(ls e e.part 2>/dev/null)" ''

# killed at any time, then resumed: the same bytes
python3 - <<'P'
for name in 'butd', 'sgb', 'predictions':
    rows = [line.split('\t', 1) for line in open(name + '.tsv')]
    open('many.tsv' if name == 'butd' else 'many.%s.tsv' % name, 'w').writelines('%d\t%s' % (1000 * k + i, r[1]) for k in range(300) for i, r in enumerate(rows))
P
ok 'many images' vinvl-import --store whole many.tsv
is 'are there' "$(capt-store ls whole | wc -l | tr -d ' ')" 2100
ok 'with tags' vinvl-import --store whole2 --tags whole2.ndjson many.sgb.tsv
ok 'with tags from beside' vinvl-import --store whole3 --tags whole3.ndjson --predictions many.predictions.tsv many.tsv
killed() # NAME WHOLE ARGUMENTS...
{
    st=$1 whole=$2
    shift 2
    for wait in 0 0.01 0.02 0.03 0.05 0.08; do
        vinvl-import -q --resume --store "$st" "$@" &
        pid=$!
        sleep $wait
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
    done
    ok "$st six times, resumed" vinvl-import --resume --store "$st" "$@"
    ok 'the same bytes' cmp "$st" "$whole"
    [ ! -f "$st.ndjson" ] || ok 'the same tags' cmp "$st.ndjson" "$whole.ndjson"
    is 'and no part' "$(ls "$st".part* "$st".ndjson.part 2>/dev/null)" ''
}
killed killed1 whole many.tsv
killed killed2 whole2 --tags killed2.ndjson many.sgb.tsv
killed killed3 whole3 --tags killed3.ndjson --predictions many.predictions.tsv many.tsv
sed '2099s/.$/!/' many.tsv >broken.tsv
status 1 'a bad row' vinvl-import --resume --store late broken.tsv
status 1 'other input' vinvl-import --resume --store late many.tsv
like 'is refused' "$(cat "$ERR")" 'cannot resume, it was made with other options: .*"provenance" is'

# a model meets other features
python3 - <<'P'
import json
with open('caps.ndjson', 'w') as f:
    for m in json.load(open('want.json')):
        f.write(json.dumps({"id": m['id'], "file": "%d.jpg" % m['id'], "split": "train", "captions": ["a dog"]}) + '\n')
P
ok 'vocabulary' vocab-build -q --type word --min-count 1 --out v.json caps.ndjson
ok 'train' capt-train -q --model gpt2 --set width=4 --set layers=1 --set heads=1 --set tokens=0 --set feature_rows=5 --captions caps.ndjson --vocab v.json --store a --section regions --epochs 1 --out m.ckpt
is 'the model knows the fingerprint' "$(capt-store info m.ckpt | sed -n 's/^config: //p' | jq -c '[.store.fingerprint.dim, .store.geometry]')" '[14,"x1/W y1/H x2/W y2/H w/W h/H"]'
ok 'caption' capt-beam --model m.ckpt --store a --split train caps.ndjson
is 'without a warning' "$(grep -c 'look like' "$ERR")" 0
ok 'features four times as large' sh -c 'capt-store dump a | jq -c ".sections[].rows |= map(map(. * 4))" >big.ndjson && capt-store load --out big big.ndjson'
ok 'caption' capt-beam --model m.ckpt --store big --split train caps.ndjson
like 'warns' "$(cat "$ERR")" 'do not look like those m.ckpt was trained on, captions may be much worse: geometry columns x1/W y1/H x2/W y2/H w/W h/H there, not known here; standard deviation [0-9.]+ there, [0-9.]+ here'
ok 'optimise' capt-scst --init m.ckpt --captions caps.ndjson --store big --epochs 1 --out s.ckpt
like 'warns too' "$(cat "$ERR")" 'do not look like those m.ckpt was trained on'
exec=
train() {
    $exec capt-train -q --model gpt2 --set width=4 --set layers=1 --set heads=1 --set tokens=0 --set feature_rows=5 --captions caps.ndjson --vocab v.json --section regions "$@"
}
ok '--init on the same features' train --store a --init m.ckpt --epochs 1 --out i.ckpt
is 'without a warning' "$(grep -c 'look like' "$ERR")" 0
ok '--init on others' train --store big --init m.ckpt --epochs 1 --out i.ckpt
like 'warns' "$(cat "$ERR")" 'do not look like those m.ckpt was trained on'
ok '--init-part embedding' train --store big --init m.ckpt --init-part embedding --epochs 1 --out i.ckpt
is 'does not' "$(grep -c 'look like' "$ERR")" 0
# a run of LOG that is stopped once it has begun
stopped() {
    log=$1
    shift
    (exec='exec' && train --epochs 1000000 --out k.ckpt --log "$log" "$@" 2>>k.err) &
    pid=$!
    await "$log"
    kill -TERM $pid
    wait $pid
}
status 75 'a run that is stopped' stopped k.log --store a
status 1 'does not go on with features four times as large' train --epochs 1000000 --out k.ckpt --store big --resume
like 'which are not those it was started with' "$(cat "$ERR")" 'k.ckpt.part.*features'
is 'so far without a warning' "$(grep -c 'look like' k.err)" 0
ok 'the same numbers, whose geometry nobody knows' sh -c 'capt-store dump a | capt-store load --out nameless -'
status 75 'goes on' stopped k2.log --store nameless --resume
like 'with a warning' "$(cat k.err)" 'do not look like those k.ckpt was trained on.*geometry'
like 'info shows it' "$(capt-store info a)" '^fingerprint of regions: 1 to 5 rows \(mean [0-9.]+\) of 14, mean '
like 'info shows the geometry' "$(capt-store info a)" '^geometry: the last six columns are x1/W'

if [ "$SHARED" ]; then
    D=$SHARED/data/vinvl
    ok 'bottom-up features' vinvl-import --dtype f32 --store rb "$D/butd_5images.tsv"
    ok 'the same as arrays' vinvl-import --dtype f32 --ids int --store ra "$D/cocobu_att"
    capt-store dump ra | jq -c '[.id, .sections[0].rows]' >ra.json
    capt-store dump rb | jq -c '[.id, .sections[0].rows]' >rb.json
    ok 'number for number' cmp ra.json rb.json
    ok 'VinVL' vinvl-import --dtype f32 --hw "$D/vinvl_hw_5images.tsv" --store rv "$D/vinvl_features_5images.tsv"
    like 'its order is h, w' "$(cat "$ERR")" 'column 2053 = column 2050 - column 2048; the files end with h/H w/W'
    capt-store dump rv | jq -c '[.id, [.sections[0].rows[][:2048]]]' >rv.json
    ok 'number for number' cmp rv.json rb.json
    ok 'whole' capt-store verify ra rb rv
    ok 'labels of the authors' vinvl-import --predictions "$D/mini_tsv/data/train.label.tsv" --tags mini.ndjson --store mini "$D/vinvl_features_5images.tsv"
    is 'as tags' "$(jq -c 'select(.id == 522418) | .tags' mini.ndjson)" '["Dog","Cat"]'
    status 1 'pictures are no features' vinvl-import --store e "$D/mini_tsv/data"
else
    skip 'real features' 'no shared data'
fi
done_testing
