#!/bin/sh
# coco-toy: equal bytes, both layouts, sizes of the splits, no scene in two places, nothing left behind.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

sums()
{
    (cd "$1" && find . -type f | sort | xargs cksum)
}
scenes() # FILE SPLIT-REGEX
{
    jq -r --arg s "$2" '.images[] | select(.split | test($s)) | .scene' "$1" | sort
}

ok 'a data set' coco-toy --images 300 --seed 3 --out a
is 'stdout stays empty' "$(cat "$OUT")" ''
is 'its files' "$(cd a && echo *)" \
    'captions_test.json captions_train.json captions_val.json dataset.json images instances_test.json instances_train.json instances_val.json'
mkdir b
ok 'an empty folder is taken' coco-toy --images 300 --seed 3 --out b/ -q
is '-q is quiet' "$(cat "$ERR")" ''
is 'equal options, equal bytes' "$(sums b)" "$(sums a)"
ok 'another seed' coco-toy --images 1000 --seed 4 --size 32 --out c
is 'another seed, other scenes' "$(scenes c/dataset.json . | head -n 300 | cksum | grep -c "$(scenes a/dataset.json . | cksum)")" 0

is 'sizes of the splits' "$(jq -c '[.images[].split] | group_by(.) | map({(.[0]): length}) | add' a/dataset.json)" \
    '{"restval":6,"test":30,"train":234,"val":30}'
is 'no scene twice' "$(scenes c/dataset.json . | uniq -d)" ''
scenes c/dataset.json 'train|restval' >c.train
scenes a/dataset.json 'train|restval' >a.train
scenes a/dataset.json '^test$' >a.test
scenes a/dataset.json '^val$' >a.val
is 'there are test scenes' "$(wc -l <a.test | tr -d ' ')" 30
is 'no test scene in training' "$(comm -12 a.test a.train)" ''
is 'no test scene in the training of another seed' "$(comm -12 a.test c.train)" ''
is 'no val scene in the training of another seed' "$(comm -12 a.val c.train)" ''

is 'ids and names' "$(jq -c '.images | map(.filepath == "images" and .cocoid == .imgid + 1 and (.filename | tonumber? // (rtrimstr(".jpg") | tonumber)) == .cocoid
    and (.sentids | length) == 5 and ([.sentences[].sentid] == .sentids)) | all' a/dataset.json)" true
is 'a picture an image' "$(jq -r '.images[].filename' a/dataset.json | sort)" "$(cd a/images && printf '%s\n' *)"
is 'tokens are the words of raw' "$(jq -c '[.images[].sentences[] | (.raw | ascii_downcase | rtrimstr(".")) == (.tokens | join(" "))] | all' a/dataset.json)" true
is 'a vocabulary of 60 to 100 words' "$(jq '[.images[].sentences[].tokens[]] | unique | length | . >= 60 and . <= 100' c/dataset.json)" true
is 'captions differ' "$(jq '[.images[] | [.sentences[].raw] | unique | length] | add / length > 4.5' a/dataset.json)" true
is 'a and an' "$(jq -r '.images[].sentences[].raw' c/dataset.json | grep -Eic '\<a [aeiou]|\<an [^aeiou]|  |\$|\[')" 0

for s in train val test; do
    want=$(jq -c --arg s $s '[.images[] | select(.split == $s or ($s == "train" and .split == "restval"))]' a/dataset.json)
    is "captions_$s: the same images" "$(jq -c '[.images[].id]' a/captions_$s.json)" "$(printf %s "$want" | jq -c 'map(.cocoid)')"
    is "captions_$s: the same captions" "$(jq -c '.annotations | map([.image_id, .id, .caption])' a/captions_$s.json)" \
        "$(printf %s "$want" | jq -c 'map(.cocoid as $i | .sentences[] | [$i, .sentid, .raw])')"
    is "instances_$s: boxes inside the picture, known images and categories" "$(jq '([.images[].id] | unique) as $ids | ([.categories[].id]) as $cats |
        [.annotations[] | .bbox as [$x, $y, $w, $h] | $x >= 0 and $y >= 0 and $w > 2 and $h > 2 and $x + $w <= 64 and $y + $h <= 64 and .area <= $w * $h
        and (.image_id as $i | $ids | bsearch($i) >= 0) and (.category_id as $c | $cats | index($c) != null)] | all and length > 0' a/instances_$s.json)" true
done
is 'ids of boxes are unique' "$(cat a/instances_*.json | jq '.annotations[].id' | sort | uniq -d)" ''
# the caption's number and noun agree with the boxes
is 'as many boxes as things' "$(jq -c '[.images[] | [.cocoid, (if (.scene | test("left-of|above")) then 2 elif (.scene | test("^[0-9]")) then (.scene[0:1] | tonumber) else 1 end)]] | sort' a/dataset.json)" \
    "$(cat a/instances_*.json | jq -sc '[.[].annotations[].image_id] | group_by(.) | map([.[0], length]) | sort')"

ok 'one image' coco-toy --images 1 --size 200 --out one
is 'one image is for training' "$(jq -r '.images[].split' one/dataset.json)" train
status 1 'a folder in use' coco-toy --out a
like 'a folder in use is named' "$(cat "$ERR")" '^coco-toy: a: '
status 1 'a file in the way' coco-toy --out one/dataset.json
status 1 'no such parent' coco-toy --out none/x
status 2 'no --out' coco-toy
status 2 'no images' coco-toy --images 0 --out z
status 2 'an operand' coco-toy --out z y
mkdir -p d.part/images && echo old >d.part/images/000000000999.jpg
ok 'over the rest of a killed run' coco-toy --images 5 --out d
is 'the rest is gone' "$(cd d/images && echo *)" \
    '000000000001.jpg 000000000002.jpg 000000000003.jpg 000000000004.jpg 000000000005.jpg'
coco-toy --images 20000 --size 256 --out e 2>/dev/null &
pid=$!
while [ ! -d e.part ]; do sleep 0.1; done
sleep 0.2
status 1 'a second run keeps off the first' coco-toy --images 5 --out e
like 'and says why' "$(cat "$ERR")" 'e.part: another run is writing it$'
kill -TERM $pid
wait $pid
is 'stopped by a signal' $? 75
is 'nothing is left behind' "$(ls -d e e.part d.part z ./*.part 2>/dev/null)" ''
done_testing
