#!/bin/bash
# The families of experiments in pipelines/ on the toy data set: each from annotations to scores, and what sets it apart from the others.
. "${0%/*}/../lib.sh"
cd "$TOP" || exit 1
mkdir "$T/b" && ln -s "$B" "$T/b/bin"
toy=$T/toy
small='--set width=32 --epochs 1 --batch 16 --schedule constant --lr 1e-3' # over the presets'
tiny="--set layers=1 --set heads=2 --set ff=32 $small"
unset MODEL MODELS STAGES SECTION SPLIT SEED THREADS D
family() # NAME [VARIABLE]...
{
    name=$1
    shift
    make --no-print-directory -f "pipelines/$name.mk" B="$T/b" D="$T/$name" DATA="$toy" PICTURES="$toy/images" SPLIT_OPTIONS=--quiet BEAM=2 THREADS=1 \
        XE="$tiny" SCST='--epochs 1 --batch 16' "$@"
}
done_names() # FAMILY: what it has scored
{
    sed 's/^{"name":"\([^"]*\)".*/\1/' "$T/$1/scores.ndjson" | tr '\n' ';'
}
events() # FAMILY LOG EVENT: how many such records
{
    grep -c "\"event\":\"$3\"" "$T/$1/$2.log"
}
floors='floor: best constant caption;floor: caption of the nearest training image;'

ok 'a toy data set' coco-toy --quiet --images 60 --size 32 --out "$toy"
ok 'records' sh -c "coco-split --quiet --scheme karpathy '$toy/dataset.json' >'$T/r.ndjson'"
ok 'words' vocab-build --quiet --type word --out "$T/v.json" "$T/r.ndjson"
echo '{"type":"clip-vit","resolution":32,"patch":16,"width":32,"layers":1}' >"$T/e.json"
ok 'an encoder' capt-train --quiet --model gpt2 --set layers=1 --set width=32 --set heads=2 --captions "$T/r.ndjson" --vocab "$T/v.json" --images "$toy/images" \
    --encoder random --encoder-config "$T/e.json" --tune-encoder --max-updates 1 --out "$T/e.ckpt"

# --- Karpathy's split
karpathy=(ANNOTATIONS="$toy/dataset.json" ENCODER="$T/e.ckpt")
status 2 'no features' family karpathy ANNOTATIONS="$toy/dataset.json"
like 'and it says which there may be' "$(cat "$ERR")" '^One of FEATURES, DETECTIONS and ENCODER is needed$'
ok 'karpathy: one captioner of several' family karpathy "${karpathy[@]}" MODELS='show-tell gpt2' MODEL=show-tell XE="--set embed=32 $small" STAGES=xe
is 'and it alone' "$(done_names karpathy)" "${floors}show-tell.xe;"
ok 'two captioners, two stages' family karpathy "${karpathy[@]}" MODELS='transformer m2'
is 'captions of all, and the ensemble' "$(done_names karpathy)" "${floors}transformer.xe;m2.xe;transformer.scst;m2.scst;ensemble of transformer.scst m2.scst;"
ok 'again' family karpathy "${karpathy[@]}" MODELS='transformer m2' "$T/karpathy/report.html"
like 'there is nothing to do' "$(cat "$OUT")" 'is up to date'
is 'validated after each epoch' "$(events karpathy transformer.xe val)" 1
like 'the preset is what it was trained by' "$(head -n 1 "$T/karpathy/m2.scst.log")" '"compat":"m2"'
ok 'the section is the family'\''s' capt-store info "$T/karpathy/transformer.xe.ckpt"
like 'not the preset'\''s' "$(cat "$OUT")" 'grid'

# --- CIDEr optimisation
ok 'scst' family scst "${karpathy[@]}"
is 'a stage a baseline' "$(done_names scst)" "${floors}transformer.xe;transformer.loo;transformer.greedy;transformer.beam-mean;"
like 'each with its option' "$(head -qn 1 "$T"/scst/transformer.{greedy,beam-mean}.log | tr '\n' ' ')" '"baseline":"greedy".*"baseline":"beam-mean"'

# --- ensemble
ok 'ensemble' family ensemble "${karpathy[@]}" MODEL=transformer SEEDS='0 1 2' STAGES=xe
is 'of two and of all' "$(done_names ensemble)" "${floors}transformer.0.xe;transformer.1.xe;transformer.2.xe;ensemble of transformer.0.xe transformer.1.xe;ensemble of transformer.0.xe transformer.1.xe transformer.2.xe;"
ok 'of other seeds' sh -c "! cmp -s '$T/ensemble/transformer.0.xe.ckpt' '$T/ensemble/transformer.1.xe.ckpt'"

# --- official splits
for year in 2014 2017; do
    ok "coco$year" family coco$year ENCODER="$T/e.ckpt" STAGES=xe ANNOTATIONS="train=$toy/captions_train.json val=$toy/captions_val.json" all results
    is 'scored' "$(done_names coco$year)" "${floors}transformer.xe;"
    is 'nothing was chosen by the scored images' "$(events coco$year transformer.xe val)" 0
    ok 'are of all val images' python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
assert sorted(r["image_id"] for r in a) == sorted(i["id"] for i in b["images"]), a' "$T/coco$year/captions_transformer.xe_results.json" "$toy/captions_val.json"
done

# --- Flickr8k, with the training pictures mirrored
python3 - "$toy/dataset.json" "$T" <<'P'
import json, struct, sys
images = json.load(open(sys.argv[1]))["images"]
names = [m["filename"] for m in images]
with open(sys.argv[2] + "/Flickr8k.token.txt", "w") as f:
    f.writelines("%s#%d\t%s\n" % (m["filename"], k, s["raw"]) for m in images for k, s in enumerate(m["sentences"]))
open(sys.argv[2] + "/Flickr_8k.trainImages.txt", "w").write("\n".join(names[:40]) + "\n")
open(sys.argv[2] + "/Flickr_8k.devImages.txt", "w").write("\n".join(names[40:]) + "\n")
rows = names + ["flip_" + n for n in names[:40]]
open(sys.argv[2] + "/f.names.txt", "w").write("\n".join(rows) + "\n")
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 4, 8), }" % len(rows)
with open(sys.argv[2] + "/f.grid.npy", "wb") as f:
    f.write(b"\x93NUMPY\1\0" + struct.pack("<H", 118) + head.ljust(117).encode() + b"\n")
    f.write(struct.pack("<%df" % (len(rows) * 32), *[k * 7 % 11 / 5 for k in range(len(rows) * 32)]))
P
ok 'flickr8k' family flickr8k DATA="$T" FEATURES="$T/f" MIRRORED=1 VAL_IMAGES=8 MODEL=attend-tell STAGE=scst XE="--set embed=16 --set attention=16 $small"
like 'both stages train on the mirrored pictures, too' "$(cat "$OUT" "$ERR" | tr '\n' ' ')" ' 80 training images.* 80 training images'
is 'both stages are scored' "$(done_names flickr8k)" "${floors}attend-tell.xe;attend-tell.scst;"
is 'as records of their own' "$(grep -c '"id":"flip_.*"file":"flip_.*"split":"train"' "$T/flickr8k/mirrored.ndjson")" 40
is 'and tested on none' "$(grep -c '^' "$T/flickr8k/attend-tell.scst.ndjson") $(grep -c flip_ "$T/flickr8k/attend-tell.scst.ndjson")" '12 0'
is 'words count once' "$(jq -c .counts "$T/flickr8k/vocab.json")" "$(vocab-build --quiet --type word --min-count 5 --out "$T/once.json" "$T/flickr8k/records.ndjson" && jq -c .counts "$T/once.json")"

# --- detected regions
python3 - "$toy/dataset.json" >"$T/butd.tsv" <<'P'
import base64, json, struct, sys
b64 = lambda v: base64.b64encode(struct.pack('<%df' % len(v), *v)).decode()
for k, m in enumerate(json.load(open(sys.argv[1]))["images"]):
    n = 1 + k % 3
    print(m["cocoid"], 32, 32, n, b64([0, 0, 16, 16] * n), b64([(k * 7 + j) % 5 / 4 for j in range(8 * n)]), sep='\t')
P
ok 'vinvl' family vinvl ANNOTATIONS="$toy/dataset.json" DETECTIONS="$T/butd.tsv" REGIONS=3 MODELS='transformer.0 transformer.1' STAGES=xe
is 'scored, with the ensemble' "$(done_names vinvl)" "${floors}transformer.0.xe;transformer.1.xe;ensemble of transformer.0.xe transformer.1.xe;"
like 'read from regions' "$(capt-store info "$T/vinvl/regions.mdb")" 'regions'
done_testing
