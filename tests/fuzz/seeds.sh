#!/bin/sh
# Writes small inputs of every fuzz target to FOLDER/TARGET/: seeds.sh FOLDER. Uses the programs on the PATH.
set -e
top=$(cd "${0%/*}/../.." && pwd)
mkdir -p "$1"
cd "$1"
for t in annot config jpeg load meteor npy record regions safetensors scoring source store text weights; do
    rm -rf $t
    mkdir $t
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
coco-toy --out "$work/toy" --images 6 --size 32 2>/dev/null
coco-split --quiet --scheme karpathy "$work/toy/dataset.json" >record/captions
vocab-build --quiet --type word --min-count 1 --out "$work/v.json" record/captions 2>/dev/null
cp "$work/toy/images/000000000001.jpg" jpeg/toy
base64 -d "$top/tests/fuzz/progressive.b64" >jpeg/progressive
cp "$work/toy/dataset.json" annot/karpathy
cp "$work/toy/captions_val.json" annot/captions
cp "$work/toy/instances_val.json" annot/instances
printf 'a_1.jpg#0\tA dog .\na_1.jpg#1\tThe dog runs .\nb_2.jpg#0\tTwo men .\n' >annot/tokens
printf 'a_1.jpg\nb_2\n' >annot/names
printf '{"id":1,"caption":"a dog","logprob":-1.5,"model":"x","trained_on":false,"candidates":[{"caption":"a dog","logprob":-1.5}]}\n' >record/hypotheses
printf '{"id":"a","tags":["dog","cat"],"scores":[0.5,0.25]}\n' >record/tags
grep '^good' "$top/tests/golden/records.tsv" | grep -v '<<' | cut -f 2- | while IFS='	' read -r kind line; do printf '%s\\n' "$line" >>"record/$kind.lines"; done
printf '{"event":"step","step":1,"epoch":0,"loss":2.5,"lr":0.001}\n{"event":"val","step":1,"val_loss":null,"CIDEr":0.5}\n' >record/log
box=AACAPwAAAEAAAEBBAACAQQ== one=AACAPwAAAEAAAEBA geo=AACAPwAAgD4AAIA+AABAPwAAQD8AAAA/AAAAPw==
printf '7\t640\t480\t1\t%s\t%s\n8\t640\t480\t1\t%s\t%s\n' $box $one $box $one >regions/butd
printf '7\t{"num_boxes":1,"features":"%s"}\n' $one >regions/json
printf '7\t1\t%s\n' $geo >regions/columns
printf '7\t{"objects":[{"rect":[1,2,12,16],"class":"dog","conf":0.5,"feature":"%s"}]}\n' $one >regions/sgb
printf '7\t[{"class":"dog","conf":0.5,"rect":[1,2,12,16]}]\n7\t{"image_w":3,"image_h":4,"objects":[]}\n7\t[{"height":4,"width":3}]\n' >regions/beside
head -c 300 "$work/toy/images/000000000001.jpg" | base64 -w 0 >regions/base64
cp annot/karpathy record/captions record/hypotheses scoring/
cp annot/captions scoring/annotations
printf '[{"image_id":1,"caption":"a dog"},{"image_id":2,"caption":"a cat"}]' >scoring/results
coco-score --quiet --refs record/captions --split all --metrics cider --write-df scoring/df 2>/dev/null
cp "$work/v.json" text/words
printf 'dog\n00000001 00000002\nhound\n00000001\n' >meteor/synsets
printf '0.5\na dog\nthe hound\n' | gzip -n >meteor/table
printf "A dog's dinner, isn't it? (12:30) caf\303\251 can't\n[dog] [bark]\n" >text/lines
python3 - <<'P'
import json, struct
byte = [*range(33, 127), *range(161, 173), *range(174, 256)]
letters = [chr(b) for b in byte] + [chr(256 + i) for i in range(256 - len(byte))]
merges = ['\u0120 a', 't h', 'th e']
words = {w: i for i, w in enumerate(letters + [m.replace(' ', '') for m in merges] + ['<|endoftext|>'])}
open('source/gpt2', 'w', encoding='utf8').write(json.dumps(words) + '\n---\n#version: 0.2\n' + ''.join(m + '\n' for m in merges))
open('source/bert', 'w').write('\n'.join(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'dog', '##s', 'run', "'", ',', '!']) + '\n')
for name, descr, size in ('f4', '<f4', 4), ('f2', '<f2', 2), ('f8', '<f8', 8):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (3, 4), }" % descr
    head += ' ' * (-(len(head) + 11) % 64) + '\n'
    open('npy/' + name, 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + bytes(12 * size))
def section(name, dtype, rows, dim, at):
    return name.encode().ljust(12, b'\0') + bytes([dtype, 0, 0, 0]) + struct.pack('<IIQ', rows, dim, at)
data = struct.pack('<8f', *range(8))
for n in 1, 2:
    at = [112 + 64 * i for i in range(n)]
    table = b''.join(section(('grid', 'global')[i], 0, (2, 1)[i], (4, 8)[i], at[i]) for i in range(n))
    value = bytearray(b'CPTF' + struct.pack('<HBBQIIQIIQ', 1, 0, n, at[-1] + 32, 32 * n, at[0], at[-1] + 32 - at[0], 0, 0, 0) + table)
    for a in at:
        value += bytes(a - len(value)) + data
    open('store/record%d' % n, 'wb').write(value)
P
clip-featurize --quiet --weights "$top/tests/golden/clip_transformers" --images "$work/toy/images" --features both --store "$work/s.mdb" record/captions
capt-store info --json "$work/s.mdb" >store/manifest
printf '{"flag":true,"whole":5,"number":0.25,"text":"x","texts":["a","b"],"choice":"bc","threads":2,"seed":1}' >config/file
printf -- '--flag\n--whole=5\n--number\n0.5\n--texts\na\n--texts\nb\n--choice\nd\n-v\n--\nx\n' >config/arguments
printf '{"id":1,"sections":[{"name":"g","dtype":"f16","dim":2,"rows":[[1,2],[3,-0.0]]}]}\n{"id":2,"sections":[{"name":"g","dtype":"f16","dim":2,"from":0,"rows":1}]}\n' >load/store
printf '{"metadata":{"a":"b"}}\n{"tensor":"w","dtype":"f32","shape":[2,2],"values":[1,2]}\n{"tensor":"w","from":2,"values":[3,4]}\n{"tensor":"u","dtype":"u8","shape":[],"values":[255]}\n' >load/weights
cp "$top/tests/golden/clip_open_clip/open_clip_model.safetensors" weights/vit
cp "$top/tests/golden/clip_resnet/open_clip_model.safetensors" weights/resnet
capt-train --model gpt2 --set width=4 --set layers=1 --set heads=1 --set tokens=0 --captions record/captions --vocab "$work/v.json" --store "$work/s.mdb" --section grid \
    --epochs 1 --quiet --out weights/checkpoint
cp weights/checkpoint weights/vit safetensors/
