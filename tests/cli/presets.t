#!/bin/bash
# Every preset in pipelines/config/ is taken by its program: those of the papers for 20 updates on one image at a time, at the published learning rate and
# with the published sizes but for the number of layers; those of a data set for one update. A preset NAME.scst.json goes on where NAME.json ended.
. "${0%/*}/../lib.sh"
configs=$TOP/pipelines/config
cd "$T" || exit 1

ok 'a toy data set' coco-toy --quiet --images 60 --size 32 --out toy
ok 'records' sh -c "coco-split --quiet --scheme karpathy toy/dataset.json >toy.ndjson"
python3 - <<'P'
import json, struct
records = [json.loads(line) for line in open("toy.ndjson")]
names = [r["file"] for r in records]
open("names", "w").write("\n".join(names) + "\n")
with open("r.ndjson", "w") as f: # ids as the names of features are
    for r in records:
        f.write(json.dumps(dict(r, id=r["file"].split(".")[0])) + "\n")
for section, shape in (("global", (8,)), ("grid", (4, 8)), ("regions", (4, 8))):
    n = len(names) * (32 if len(shape) > 1 else 8)
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % ((len(names),) + shape,)
    with open(section + ".npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<%df" % n, *((i * 37 % 101) / 50 - 1 for i in range(n))))
P
ok 'words' vocab-build --quiet --type word --out v.json r.ndjson
for s in global grid regions; do
    ok "features: $s" vinvl-import --quiet --format npy --section $s --names names --store $s.mdb $s.npy
done

# the learning rate of the 20th update: in full, or on its way up (m2 and transformer: width^-0.5 20 warm-up^-1.5; gpt2: 20 / 5000)
rate() # PRESET
{
    case $1 in
    show-tell | updown) echo 5e-4 ;;
    attend-tell) echo 4e-4 ;;
    transformer) echo 3.125e-7 ;;
    m2) echo 8.8388347648e-7 ;;
    gpt2) echo 8e-8 ;;
    show-tell.scst | attend-tell.scst | updown.scst) echo 5e-5 ;;
    transformer.scst) echo 1e-5 ;;
    m2.scst | gpt2.scst) echo 5e-6 ;;
    esac
}
shallow() # PRESET: two layers for those of tens of millions of parameters
{
    case $1 in transformer | m2 | gpt2) echo --set layers=2 ;; esac
}
finite() # LOG UPDATES RATE: that many, all of finite loss; the last at this rate (- for any)
{
    awk -v n="$2" -v rate="$3" '/"event":"step"/ {
            steps++
            bad += !match($0, /"loss":-?[0-9]/)
            match($0, /"lr":[0-9.e+-]+/)
            lr = substr($0, RSTART + 5, RLENGTH - 5)
        }
        END { exit !(steps == n && !bad && (rate == "-" || (lr / rate - 1) ^ 2 < 1e-12)) }' "$1"
}
section() # PRESET
{
    sed -n 's/.*"section": *"\([a-z]*\)".*/\1/p' "$configs/$1.json"
}
for file in "$configs"/*.json; do
    preset=${file##*/}
    preset=${preset%.json}
    case $preset in *.scst) continue ;; esac
    updates=1
    [ -z "$(rate "$preset")" ] || updates=20
    store=$(section "$preset").mdb
    # shellcheck disable=SC2046
    ok "$preset: $updates updates" capt-train --config "$file" $(shallow "$preset") --captions r.ndjson --vocab v.json --store "$store" --batch 1 --max-updates $updates --log "$preset.log" --out "$preset.ckpt"
    ok "$preset: at the preset's rate" finite "$preset.log" $updates "$(rate "$preset" | grep . || echo -)"
    [ -e "$configs/$preset.scst.json" ] || continue
    ok "$preset: as many for CIDEr" capt-scst --config "$configs/$preset.scst.json" --init "$preset.ckpt" --captions r.ndjson --store "$store" --batch 1 --max-updates $updates \
        --log "$preset.scst.log" --out "$preset.scst.ckpt"
    ok "$preset: at that preset's rate" finite "$preset.scst.log" $updates "$(rate "$preset.scst" | grep . || echo -)"
    rm -f "$preset.ckpt" "$preset.scst.ckpt"
done
for file in "$configs"/*.scst.json; do
    ok "${file##*/} has a preset to go on from" test -e "${file%.scst.json}.json"
done
for preset in show-tell attend-tell updown transformer m2 gpt2; do
    is "$preset is in the manual's table" "$(grep -c "^| \`$preset\` " "$TOP/pipelines/README.md")" 1
done
done_testing
