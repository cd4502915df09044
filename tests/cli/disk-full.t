#!/bin/sh
# Every program that writes files, on a disk that fills up: exit status 1, a message that says so, nothing under the final name; with
# room made, the same command completes, to the bytes it would have written at once.
. "${0%/*}/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all 'only root can mount a small file system: no device'
mkdir "$T/small"
mount -t tmpfs -o size=16m none "$T/small" 2>/dev/null || skip_all 'a small file system cannot be mounted: no device'
trap 'umount "$T/small"; rm -rf "$T"' EXIT
. "$TOP/tests/toy.sh"
S=$T/small

leave() # KILOBYTES
{
    rm -f "$S/filler"
    free=$(df -k --output=avail "$S" | tail -n 1)
    [ "$free" -le "$1" ] || head -c $(((free - $1) * 1024)) /dev/zero >"$S/filler"
}

writer() # NAME FILE CMD...: CMD writes small/FILE; $again goes behind it the second time
{
    what=$1 file=$S/$2
    shift 2
    ok "$what" "$@"
    cp "$file" "$T/want"
    rm -f "$file"
    kb=$(($(wc -c <"$T/want") / 1024))
    for room in 0 4 $((kb / 2)) $((kb - 4)); do
        [ "$room" -ge 0 ] && [ "$room" -lt "$kb" ] || continue
        leave "$room"
        status 1 "$what: room for $room of $kb kB" "$@"
        like "$what: says that the disk is full" "$(cat "$ERR")" 'disk full'
        is "$what: and leaves no file" "$(ls "$file" 2>/dev/null)" ''
        leave 16384
        # shellcheck disable=SC2086
        ok "$what: completes when there is room" "$@" $again
        ok "$what: with the same bytes" cmp "$file" "$T/want"
        is "$what: and nothing beside" "$(find "$S" -mindepth 1 -maxdepth 1 ! -name "${file##*/}")" ''
        rm -f "$file"
    done
    again=
}

again=
i=0
while [ $i -lt 20 ]; do
    jq -c --argjson n $i '.id += 100 * $n' r.ndjson
    i=$((i + 1))
done >many.ndjson
# shellcheck disable=SC2086
capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --epochs 1 --quiet --out a.ckpt
capt-beam --quiet --model a.ckpt --store s.mdb --out hyp.ndjson r.ndjson
python3 - <<'P'
import struct
n = 400
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 64), }" % n
head += ' ' * (-(len(head) + 11) % 64) + '\n'
open('f.npy', 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + struct.pack('<%df' % (n * 64), *[k % 97 for k in range(n * 64)]))
open('names', 'w').writelines('%d\n' % (k + 1) for k in range(n))
P
clip-featurize --quiet --weights "$TOP/tests/golden/clip_vit.safetensors" --images toy/images --shard 0/2 --store s0.mdb many.ndjson
clip-featurize --quiet --weights "$TOP/tests/golden/clip_vit.safetensors" --images toy/images --shard 1/2 --store s1.mdb many.ndjson

split()
{
    coco-split --quiet --scheme karpathy toy/dataset.json >"$S/r.ndjson"
}
leave 4
status 1 'coco-split into a full file' split
like 'says so' "$(cat "$ERR")" 'disk full'
leave 16384
rm -f "$S/r.ndjson"
writer vocab-build v.json vocab-build --quiet --type word --min-count 1 --out "$S/v.json" r.ndjson
again=--resume
writer clip-featurize s.mdb clip-featurize --quiet --weights "$TOP/tests/golden/clip_vit.safetensors" --images toy/images --store "$S/s.mdb" many.ndjson
again=$(vinvl-import --help | grep -q -e --resume && echo --resume)
writer vinvl-import f.mdb vinvl-import --quiet --format npy --names names --store "$S/f.mdb" f.npy
writer 'capt-store merge' m.mdb capt-store merge --quiet --out "$S/m.mdb" s0.mdb s1.mdb
again=--resume
# shellcheck disable=SC2086
writer capt-train t.ckpt capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --epochs 1 --quiet --out "$S/t.ckpt"
# shellcheck disable=SC2086
writer 'capt-train, saving' t.ckpt capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --epochs 1 --save-minutes 0 --quiet \
    --out "$S/t.ckpt"
again=--resume
writer capt-scst t.ckpt capt-scst --init a.ckpt --captions r.ndjson --store s.mdb --epochs 1 --quiet --out "$S/t.ckpt"
writer capt-beam h.ndjson capt-beam --quiet --model a.ckpt --store s.mdb --out "$S/h.ndjson" r.ndjson
writer 'capt-beam --coco' c.json capt-beam --quiet --model a.ckpt --store s.mdb --out h.ndjson --coco "$S/c.json" r.ndjson
writer 'coco-score --write-df' t.df coco-score --quiet --refs r.ndjson --split train --metrics cider --write-df "$S/t.df"
writer 'coco-score --per-image' p.ndjson coco-score --quiet --refs r.ndjson --split all --per-image "$S/p.ndjson" hyp.ndjson
writer capt-report r.html capt-report --quiet --refs r.ndjson --images toy/images --out "$S/r.html" hyp.ndjson
leave 0
mkdir "$S/toy" 2>/dev/null
status 1 'coco-toy' coco-toy --out "$S/toy" --images 5
like 'says that the disk is full' "$(cat "$ERR")" 'disk full'
done_testing
