#!/bin/sh
# What the programs say of the same trouble, and what all of them read alike: empty files, a file of another kind, a byte order mark, standard output.
. "${0%/*}/../lib.sh"

cd "$T" || exit 1
vit=$TOP/tests/golden/clip_open_clip
tiny='--model gpt2 --set width=32 --set layers=1 --set heads=2 --set tokens=0'
coco-toy --out toy --images 10 --size 48 2>/dev/null
coco-split --quiet --scheme karpathy toy/dataset.json | jq -c '.split = (if .id > 8 then "test" else "train" end)' >r.ndjson
vocab-build --quiet --type word --min-count 1 --out v.json r.ndjson
clip-featurize --quiet --weights "$vit" --images toy/images --store s.mdb r.ndjson
# shellcheck disable=SC2086
train()
{
    capt-train --quiet $tiny --captions r.ndjson --vocab v.json --epochs 1 "$@" --out x.ckpt
}
train --store s.mdb
mv x.ckpt a.ckpt
capt-beam --quiet --model a.ckpt --store s.mdb --split all --out h.ndjson r.ndjson
tell() # NAME MESSAGE CMD...: fails with that message alone
{
    name=$1 message=$2
    shift 2
    status 1 "$name" "$@"
    is 'says so' "$(cat "$ERR")" "$message"
}
piped() # FILE CMD...
{
    file=$1
    shift
    cat "$file" | "$@"
}

# nothing in the file
: >empty
tell 'an empty vocabulary' 'capt-train: empty: the file is empty' train --store s.mdb --vocab empty
tell 'an empty configuration' 'capt-train: empty: the file is empty' train --store s.mdb --config empty
tell 'an empty encoder' 'capt-train: empty: the file is empty' train --images toy/images --encoder empty
tell "an empty encoder's configuration" 'capt-train: empty: the file is empty' train --images toy/images --encoder random --tune-encoder --encoder-config empty
tell 'empty weights' 'clip-featurize: empty: the file is empty' clip-featurize --weights empty --images toy/images --store x.mdb r.ndjson
tell 'an empty checkpoint' 'capt-beam: empty: the file is empty' capt-beam --model empty --store s.mdb r.ndjson
tell 'empty annotations' 'coco-split: empty: the file is empty' coco-split --scheme coco2017 empty
tell 'empty annotations from a pipe' 'coco-split: stdin: the file is empty' piped empty coco-split --scheme coco2017 -
tell 'empty hypotheses' 'coco-score: empty: the file is empty' coco-score --refs r.ndjson empty
tell 'no records' 'capt-beam: empty, empty: no records' capt-beam --model a.ckpt --store s.mdb empty empty
tell 'no records in many files' 'capt-beam: empty, empty, empty and 5 more: no records' \
    capt-beam --model a.ckpt --store s.mdb empty empty empty empty empty empty empty empty
tell 'no records from a pipe' 'clip-featurize: stdin: no records' piped empty clip-featurize --weights "$vit" --images toy/images --store x.mdb
tell 'no records of the split' 'clip-featurize: r.ndjson: no records of split tset; --split all takes every one' \
    clip-featurize --weights "$vit" --images toy/images --store x.mdb --split tset r.ndjson
tell 'no records to load' 'capt-store: empty: no records' capt-store load --out x.mdb empty
tell 'no captions' 'vocab-build: empty: no captions in split train or restval' vocab-build --type word empty
tell 'no rows' 'vinvl-import: empty: no rows' vinvl-import --format butd-tsv --store x.mdb empty

# a file of another kind
tell 'a store for a checkpoint' 'capt-beam: s.mdb: a feature store, no checkpoint or weights' capt-beam --model s.mdb --store s.mdb r.ndjson
tell 'a store for weights' 'clip-featurize: s.mdb: a feature store, no checkpoint or weights' clip-featurize --weights s.mdb --images toy/images --store x.mdb r.ndjson
tell 'records for annotations' "coco-split: r.ndjson: the end is expected, not '{': this looks like a record a line, where one JSON document is read" \
    coco-split --scheme karpathy r.ndjson
printf '{"id":"a\\u0000b"}\n' >nul.ndjson
tell 'an escaped NUL' 'capt-beam: nul.ndjson:1: bad JSON at column 16: a string holds \u0000' capt-beam --model a.ckpt --store s.mdb nul.ndjson

# more than any text has
truncate -s 2G huge
tell 'two gigabytes of hypotheses' 'coco-score: huge: larger than 1073741824 bytes' coco-score --refs r.ndjson huge
tell 'of references' 'coco-score: huge: larger than 1073741824 bytes' coco-score --refs huge h.ndjson
tell 'of a vocabulary' 'capt-train: huge: larger than 1073741824 bytes' train --store s.mdb --vocab huge

# standard output has one name
full() # CMD...
{
    tell "no room: $1" "$1: stdout: disk full" sh -c '"$@" >/dev/full' sh "$@"
}
full capt-beam --quiet --model a.ckpt --store s.mdb r.ndjson
full capt-store dump s.mdb
full capt-store dump a.ckpt
full capt-report --quiet --refs r.ndjson --images toy/images --out - h.ndjson
full vocab-build --quiet --type word r.ndjson
# shellcheck disable=SC2086
full capt-train --quiet $tiny --captions r.ndjson --vocab v.json --store s.mdb --log - --out x.ckpt

# nothing is nothing, not less
jq -c '{id, caption: "big big", candidates: [4, 6, 20] | map({caption: ([range(.) | "big"] | join(" "))})}' r.ndjson >big.ndjson
ok 'captions of one word' coco-score --refs r.ndjson --split all --metrics diversity --json big.ndjson
like 'do not differ' "$(cat "$OUT")" '"self-CIDEr":0\.0,'

# a byte order mark in front of a file is no part of it
marked() # FILE
{
    printf '\357\273\277' | cat - "$1" >"bom.${1##*/}"
}
for f in r.ndjson h.ndjson v.json toy/dataset.json toy/captions_train.json; do
    marked "$f"
done
echo '{"quiet":true}' >options.json
marked options.json
ok 'marks: records, vocabulary, options' train --config bom.options.json --captions bom.r.ndjson --vocab bom.v.json --store s.mdb
ok 'give the same bytes' cmp x.ckpt a.ckpt
same() # WANT CMD...: prints what is in WANT
{
    as=$1
    shift
    ok "marks: $1" "$@"
    cp "$OUT" got
    ok 'the same' cmp got "$as"
}
coco-score --refs r.ndjson --split all --json h.ndjson >score.want 2>/dev/null
same score.want coco-score --refs bom.r.ndjson --split all --json bom.h.ndjson
coco-split --quiet --scheme karpathy toy/dataset.json >split.want
same split.want coco-split --quiet --scheme karpathy bom.dataset.json
coco-split --quiet --scheme coco2017 toy/captions_train.json >split.want
same split.want coco-split --quiet --scheme coco2017 bom.captions_train.json
same h.ndjson capt-beam --quiet --model a.ckpt --store s.mdb --split all bom.r.ndjson
is 'nothing was made on the way' "$(ls x.mdb* 2>/dev/null)" ''
done_testing
