# Toy inputs and damage for tests of the programs that run a model. Source it after lib.sh: it goes to $T and makes there
#   toy/, r.ndjson (100 images: 80 train, 10 val, 10 test), v.json (words), s.mdb (grid 16x16, global 1x12; clip-vit), vit.json, rn.json
#   $tiny             options of a captioner of 30 thousand weights
#   stops N SIG NAME FILE CMD...    runs CMD, which writes FILE, again and again with --resume, and stops it N times in all by SIG at a
#                     random moment; the exit status each time, and the bytes of each finished FILE against FILE.want, are tested. CMD begins its program by $exec
#   flip FILE BYTE BIT | tensor FILE NAME | set_tensor FILE NAME FLOAT (first number of it, checksum put right)
# shellcheck shell=sh disable=SC2034
cd "$T" || exit 1
exec=
tiny='--model gpt2 --set width=32 --set layers=2 --set heads=2 --set tokens=0'
coco-toy --out toy --images 100 --size 48 2>/dev/null
coco-split --quiet --scheme karpathy toy/dataset.json >r.ndjson
vocab-build --quiet --type word --min-count 1 --out v.json r.ndjson
clip-featurize --quiet --weights "$TOP/tests/golden/clip_open_clip" --images toy/images --features both --store s.mdb r.ndjson
echo '{"type":"clip-vit","resolution":32,"patch":16,"width":32,"layers":1,"output_dim":16}' >vit.json
echo '{"type":"clip-resnet","resolution":32,"width":8,"layers1":1,"layers2":1,"layers3":1,"layers4":1,"output_dim":16}' >rn.json

random_ms() # below N
{
    echo $(($(od -An -N2 -tu2 /dev/urandom) % $1))
}

stops() # N SIG NAME FILE CMD...
{
    want=$1 sig=$2 title=$3 file=$4
    shift 4
    case $B in */debug/*) want=3 ;; esac # sanitizers are slow
    if [ "$sig" = KILL ]; then code=137; else code=75; fi
    stopped=0 others='' done=0 different=0 tries=0
    while [ "$stopped" -lt "$want" ] && [ "$tries" -lt 400 ]; do
        rm -f "$file" "$file".*part stop.log
        while [ ! -e "$file" ] && [ "$tries" -lt 400 ]; do
            tries=$((tries + 1))
            rm -f stop.log
            (exec='exec' && "$@" --resume --log stop.log </dev/null >/dev/null 2>stop.err) &
            pid=$!
            await stop.log
            sleep "0.$(printf %03d "$(random_ms 60)")"
            if [ "$stopped" -lt "$want" ]; then
                kill -"$sig" $pid 2>/dev/null
            fi
            got=0
            wait $pid 2>/dev/null || got=$?
            case $got in
            0) ;;
            "$code") stopped=$((stopped + 1)) ;;
            *) others="$others $got: $(tail -n 1 stop.err)"; break 2 ;;
            esac
        done
        done=$((done + 1))
        cmp -s "$file" "$file.want" || different=$((different + 1))
    done
    is "$title: stopped $want times by $sig" "$stopped" "$want"
    is "$title: exit status $code or 0" "$others" ''
    is "$title: every one of the finished runs gave the same bytes" "$different of $done" "0 of $done"
    is "$title: nothing unfinished is left" "$(ls "$file".*part 2>/dev/null)" ''
}

flip() # FILE BYTE BIT
{
    python3 - "$@" <<'P'
import sys
f = open(sys.argv[1], 'r+b')
f.seek(int(sys.argv[2]))
b = f.read(1)[0] ^ 1 << int(sys.argv[3])
f.seek(int(sys.argv[2]))
f.write(bytes([b]))
P
}

tensor() # FILE NAME
{
    python3 - "$@" <<'P'
import hashlib, json, struct, sys
d = open(sys.argv[1], 'rb').read()
n = struct.unpack('<Q', d[:8])[0]
a, b = json.loads(d[8:8 + n])[sys.argv[2]]['data_offsets']
print(hashlib.md5(d[8 + n + a:8 + n + b]).hexdigest())
P
}

set_tensor() # FILE NAME FLOAT
{
    python3 - "$@" <<'P'
import json, struct, sys
path, name, value = sys.argv[1:]
d = bytearray(open(path, 'rb').read())
n = struct.unpack('<Q', d[:8])[0]
h = json.loads(d[8:8 + n])
a, b = h[name]['data_offsets']
d[8 + n + a:12 + n + a] = struct.pack('<f', float(value))
crc = 0xffffffff
for x in d[8 + n + a:8 + n + b]:
    crc ^= x
    for _ in range(8):
        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
meta = h['__metadata__']
crcs = json.loads(meta['crc32c'])
crcs[name] = '%08x' % (crc ^ 0xffffffff)
meta['crc32c'] = json.dumps(crcs, separators=(',', ':'))
text = json.dumps(h, separators=(',', ':'), ensure_ascii=False).encode()
text += b' ' * (-(len(text) + 8) % 64)
open(path, 'wb').write(struct.pack('<Q', len(text)) + text + d[8 + n:])
P
}

# pictures: odd/{cmyk,grey,short,huge}.jpg
mkdir odd
base64 -d >odd/cmyk.jpg <<'J'
/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAbEhQXFBEbFxYXHhwbIChCKyglJShROj0wQmBVZWRfVV1baniZgWpxkHNbXYW1hpCeo6ut
q2eAvMm6pseZqKuk/8AAFAgAIAAoBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIB
AwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZH
SElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV
1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwDfmre873rfd66CqM1Hne9QO9FUZqPO96gd6KozUed71A70
VRmo873qB3oruJqz/O961XeiqM1Hne9QO9FUZqPO96gd6KozUed71A70VRmo873qB3oruJqzvO961XeiqM1Hne9QO9FUZqPO96gd
6KozUed71A70VRmo873qB3oruJqz/O961XeiqM1Hne9QO9FUZqPO96gd6KozUed71A70VRmo873qB3or/9k=
J
base64 -d >odd/grey.jpg <<'J'
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/
wAALCAAYACABAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEI
I0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ip
qrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/AMKOKrUcVWY4qtRxVnRxVajiqzHFVqOKs6OKrUcVWY4q
tRxV/9k=
J
head -c 900 toy/images/000000000001.jpg >odd/short.jpg
python3 - toy/images/000000000001.jpg odd/huge.jpg <<'P'
import struct, sys
d = bytearray(open(sys.argv[1], 'rb').read())
at = 2
while d[at + 1] not in (0xc0, 0xc1, 0xc2):
    at += 2 + struct.unpack('>H', d[at + 2:at + 4])[0]
d[at + 5:at + 9] = struct.pack('>HH', 65500, 65500)
open(sys.argv[2], 'wb').write(d)
P
