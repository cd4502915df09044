#!/bin/sh
# R3. Every program that writes files, on a disk that fills up (a tmpfs of 16 MB, an ext4 of 32 MB) and under a limit of the file size:
# exit status 1, a message that says so, nothing under the final name, no signal; with room made, the same command completes, to the bytes
# it would have written at once. Where file systems cannot be mounted the limit is left. Budget: a minute and a half.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"
S=$T/small
mkdir "$S"
trap 'umount "$S" 2>/dev/null; rm -rf "$T"' EXIT

leave() # KILOBYTES
{
    rm -f "$S/filler"
    free=$(df -k --output=avail "$S" | tail -n 1)
    [ "$free" -le "$1" ] || head -c $(((free - $1) * 1024)) /dev/zero >"$S/filler" 2>/dev/null
    while [ "$1" = 0 ] && head -c 512 /dev/zero >>"$S/filler" 2>/dev/null; do :; done
}

limited() # KILOBYTES CMD...
{
    # shellcheck disable=SC2016
    bash -c 'ulimit -f "$1"; shift; exec "$@"' - "$@"
}

# CMD writes small/FILE; $again goes behind it the second time; $also is what else it may leave
writer() # NAME FILE CMD...
{
    what="$disk: $1" file=$S/$2
    shift 2
    ok "$what" "$@"
    cp "$file" "$T/want"
    rm -f "$file"
    kb=$(($(wc -c <"$T/want") / 1024))
    case $disk in
    tmpfs) rooms="0 4 $((kb / 2)) $((kb - 4))" ;;
    ext4) rooms="0 $((kb / 2))" ;;
    *) rooms="limit $((kb / 2))" ;;
    esac
    for room in $rooms; do
        [ "$room" != limit ] || [ "$kb" -gt 1 ] || break
        [ "$room" != limit ] || continue
        [ "$room" -ge 0 ] && [ "$room" -lt "$kb" ] || continue
        if [ "$disk" = limit ]; then
            status 1 "$what: $room of $kb kB are allowed" limited "$room" "$@"
            like "$what: says that the file is too large" "$(cat "$ERR")" 'File too large'
        else
            leave "$room"
            status 1 "$what: room for $room of $kb kB" "$@"
            like "$what: says that the disk is full" "$(cat "$ERR")" 'disk full'
            leave 33000
        fi
        is "$what: and leaves no file" "$(ls "$file" 2>/dev/null)" ''
        # shellcheck disable=SC2086
        ok "$what: completes when there is room" "$@" $again
        ok "$what: with the same bytes" cmp "$file" "$T/want"
        is "$what: and nothing beside" "$(find "$S" -mindepth 1 -maxdepth 1 ! -name "${file##*/}" ! -name lost+found ! -name n)" ''
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
capt-beam --quiet --model a.ckpt --store s.mdb --split all --out hyp.ndjson r.ndjson
python3 - <<'P'
import struct
n = 400
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 64), }" % n
head += ' ' * (-(len(head) + 11) % 64) + '\n'
open('f.npy', 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + struct.pack('<%df' % (n * 64), *[k % 97 for k in range(n * 64)]))
open('names', 'w').writelines('%d\n' % (k + 1) for k in range(n))
P
clip-featurize --quiet --weights "$TOP/tests/golden/clip_transformers" --images toy/images --shard 0/2 --store s0.mdb many.ndjson
clip-featurize --quiet --weights "$TOP/tests/golden/clip_transformers" --images toy/images --shard 1/2 --store s1.mdb many.ndjson

capt-store dump s0.mdb >s0.text
capt-store dump a.ckpt >a.text
split()
{
    coco-split --quiet --scheme karpathy toy/dataset.json >"$S/r.ndjson"
}
all_writers()
{
if [ "$disk" != limit ]; then
    leave 4
    status 1 "$disk: coco-split into a full file" split
    like 'says so' "$(cat "$ERR")" 'disk full'
    leave 33000
    rm -f "$S/r.ndjson"
fi
writer vocab-build v.json vocab-build --quiet --type word --min-count 1 --out "$S/v.json" r.ndjson
again=--resume
writer clip-featurize s.mdb clip-featurize --quiet --weights "$TOP/tests/golden/clip_transformers" --images toy/images --store "$S/s.mdb" many.ndjson
again=$(vinvl-import --help | grep -q -e --resume && echo --resume)
writer vinvl-import f.mdb vinvl-import --quiet --format npy --names names --store "$S/f.mdb" f.npy
writer 'capt-store merge' m.mdb capt-store merge --quiet --out "$S/m.mdb" s0.mdb s1.mdb
writer 'capt-store compact' m.mdb capt-store compact --quiet --out "$S/m.mdb" s0.mdb
again=--resume
writer 'capt-store load' l.mdb capt-store load --quiet --out "$S/l.mdb" s0.text
writer 'capt-store load of weights' l.ckpt capt-store load --quiet --out "$S/l.ckpt" a.text
writer 'capt-store dump --npy' n/grid.npy capt-store dump --quiet --npy "$S/n" s0.mdb
rm -rf "${S:?}/n"
again=--resume
# shellcheck disable=SC2086
writer capt-train t.ckpt capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --epochs 1 --quiet --out "$S/t.ckpt"
# shellcheck disable=SC2086
writer 'capt-train, saving' t.ckpt capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --epochs 1 --save-minutes 0 --quiet \
    --out "$S/t.ckpt"
again=--resume
writer capt-tag g.ckpt capt-tag --captions r.ndjson --store s.mdb --epochs 1 --quiet --out "$S/g.ckpt"
writer capt-scst t.ckpt capt-scst --init a.ckpt --captions r.ndjson --store s.mdb --epochs 1 --quiet --out "$S/t.ckpt"
writer capt-beam h.ndjson capt-beam --quiet --model a.ckpt --store s.mdb --split all --out "$S/h.ndjson" r.ndjson
writer 'capt-beam --coco' c.json capt-beam --quiet --model a.ckpt --store s.mdb --out h.ndjson --split all --coco "$S/c.json" r.ndjson
writer 'coco-score --write-df' t.df coco-score --quiet --refs r.ndjson --split train --metrics cider --write-df "$S/t.df"
writer 'coco-score --per-image' p.ndjson coco-score --quiet --refs r.ndjson --split all --per-image "$S/p.ndjson" hyp.ndjson
writer capt-report r.html capt-report --quiet --refs r.ndjson --images toy/images --out "$S/r.html" hyp.ndjson
if [ "$disk" != limit ]; then
    leave 0
    mkdir "$S/toy" 2>/dev/null
    status 1 "$disk: coco-toy" coco-toy --out "$S/toy" --images 5
    like 'says that the disk is full' "$(cat "$ERR")" 'disk full'
    leave 33000
    rm -rf "$S/toy"
fi
}

disk=limit
all_writers
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=16m none "$S" 2>/dev/null; then
    disk=tmpfs
    all_writers
    umount "$S"
else
    skip tmpfs 'it cannot be mounted: no device'
fi
head -c 32M /dev/zero >"$T/disk"
if [ "$(id -u)" = 0 ] && mkfs.ext4 -q -m 0 -b 4096 -O ^has_journal "$T/disk" 2>/dev/null && mount -o loop "$T/disk" "$S" 2>/dev/null; then
    disk=ext4
    all_writers
    umount "$S"
else
    skip ext4 'it cannot be mounted: no device'
fi
done_testing
