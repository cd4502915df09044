#!/bin/sh
# pipelines/caption and pipelines/check-demo.
. "${0%/*}/../lib.sh"

CAPT_BIN=$B
export CAPT_BIN
caption=$TOP/pipelines/caption
cd "$T" || exit 1
set_up()
{
    coco-toy --images 60 --out toy &&
        coco-split --quiet --scheme karpathy toy/dataset.json >toy.ndjson &&
        vocab-build --quiet --type word --out vocab.json toy.ndjson &&
        echo '{"type":"clip-vit","resolution":64,"patch":16,"width":32,"layers":1}' >encoder.json &&
        capt-train --model gpt2 --set layers=1 --set width=32 --set heads=2 --captions toy.ndjson --vocab vocab.json \
            --images toy/images --encoder random --encoder-config encoder.json --tune-encoder --epochs 4 --lr 3e-3 --out small.ckpt
}
ok 'a small model' set_up

picture=toy/images/000000000001.jpg
mkdir -p 'a folder/with blanks' far
cp "$picture" 'a folder/with blanks/my "photo" $HOME.JPG'
cp toy/images/000000000002.jpg far/2.jpg
cp toy/images/000000000003.jpg ./-x.jpg
want()
{
    printf '{"id":1,"file":"%s"}\n' "$1" | capt-beam --quiet --model small.ckpt --images toy/images | jq -r .caption
}

status 1 'without a model' env CAPT_MODEL=none.ckpt "$caption" "$picture"
is 'is said' "$(cat "$ERR")" 'caption: none.ckpt: no such file'
status 1 'a folder for a model' env CAPT_MODEL=far "$caption" "$picture"
is 'is said' "$(cat "$ERR")" 'caption: far: a folder, not a checkpoint'
status 1 'without programs' env CAPT_BIN=/nowhere "$caption" "$picture"
like 'is said too' "$(cat "$ERR")" 'capt-beam is not there: run make first'
CAPT_MODEL=small.ckpt
export CAPT_MODEL
ok 'one picture' "$caption" "$picture"
is 'one caption, the one of capt-beam' "$(cat "$OUT")" "$(want 000000000001.jpg)"
ok 'pictures of several folders, with blanks, quotes and a dash' "$caption" -- -x.jpg far/2.jpg 'a folder/with blanks/my "photo" $HOME.JPG'
is 'their captions, in order' "$(cat "$OUT")" "$(want 000000000003.jpg; want 000000000002.jpg; want 000000000001.jpg)"
ln -s ../far/2.jpg 'a folder/link.jpg'
echo text >'a folder/notes.txt'
ok 'a folder, and a file that is a link' "$caption" 'a folder' far
is 'its pictures by name' "$(cat "$OUT")" "$(want 000000000002.jpg; want 000000000002.jpg)"
mkdir bare
status 1 'a folder without pictures' "$caption" far bare
like 'is named' "$(cat "$ERR")" 'bare: a folder without pictures'
ok 'the encoder by name' env CAPT_ENCODER=small.ckpt CAPT_THREADS=1 "$caption" "$picture"
is 'gives the same' "$(cat "$OUT")" "$(want 000000000001.jpg)"
status 1 'a picture that is not there' "$caption" "$picture" 'no such.jpg'
is 'is named' "$(cat "$ERR")" 'capt-beam: no such.jpg: No such file or directory'
echo text >'not a "picture".jpg'
status 1 'a file that is no picture' "$caption" "$picture" 'not a "picture".jpg'
like 'is named by its own name' "$(cat "$ERR")" '^capt-beam: not a "picture".jpg: '
is 'after the caption of the one before it' "$(cat "$OUT")" "$(want 000000000001.jpg)"
status 2 'no picture' "$caption"
status 2 'an unknown option' "$caption" --beam "$picture"
ok '--help' "$caption" --help
like '--help: its use' "$(cat "$OUT")" '^caption PICTURE.jpg'
is '--help: comments only' "$(grep -c '[=;]' "$OUT")" 0

# check-demo, on outcomes made up
mkdir demo
cp -r toy demo/toy
cp toy.ndjson demo/toy.ndjson
for f in one.xe two.xe one.scst two.scst ensemble; do
    grep '"split":"test"' toy.ndjson | sed 's/^\({"id":[0-9]*\).*/\1,"caption":"x","trained_on":false}/' >demo/$f.ndjson
done
put()
{
    for f in constant nearest one.xe one.scst two.xe two.scst; do
        echo "{\"n\":1,\"CIDEr\":$1,\"signature\":\"s\"}" >demo/$f.score
        shift
    done
}
check=$TOP/pipelines/check-demo
put 0.25 0.5 1.25 1.5 1.25 1.375
ok 'a good outcome' "$check" demo
put 0.75 0.5 1.25 1.5 1.25 1.375
status 1 'a floor that is not beaten by 0.5' "$check" demo
like 'is said' "$(cat "$OUT")" '^NO .*"constant"'
put 0.25 0.5 1.25 1.25 1.25 1.375
status 1 'SCST that raises nothing' "$check" demo
like 'is said' "$(cat "$OUT")" "^NO .*first model's CIDEr"
put 0.25 0.5 1e1 1.5 1.25 1.375
status 1 'numbers are read as numbers' "$check" demo
put 0.25 0.5 1.25 1.5 1.25 1.375
sed 's/false/true/' demo/one.scst.ndjson >x && mv x demo/one.scst.ndjson
status 1 'a test image trained on' "$check" demo
like 'is said' "$(cat "$OUT")" '^NO .*trained on'
sed 's/true/false/' demo/one.scst.ndjson >x && mv x demo/one.scst.ndjson
cp "demo/toy/images/$(sed -n '/"split":"train"/{s/.*"file":"\([^"]*\)".*/\1/p;q;}' toy.ndjson)" \
    "demo/toy/images/$(sed -n '/"split":"test"/{s/.*"file":"\([^"]*\)".*/\1/p;q;}' toy.ndjson)"
status 1 'a test picture that is a training picture' "$check" demo
like 'is said' "$(cat "$OUT")" '^NO .*training picture'
rm demo/two.xe.score
status 1 'a score that is missing' "$check" demo
done_testing
