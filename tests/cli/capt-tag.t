#!/bin/sh
# capt-tag: training of each head, tags of all images, what a captioner makes of them; bad inputs, stopped runs.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"

said()
{
    like "$1" "$(cat "$ERR")" "$2"
}
coco-split --quiet --scheme karpathy --instances toy/instances_train.json --instances toy/instances_val.json --instances toy/instances_test.json toy/dataset.json >t.ndjson
train() # OUT options...
{
    out=$1
    shift
    $exec capt-tag --captions t.ndjson --store s.mdb --section grid --batch 20 --epochs 2 --lr 1e-2 --threads 1 "$@" --out "$out"
}
tags() # CKPT options...
{
    ckpt=$1
    shift
    capt-tag --model "$ckpt" --store s.mdb "$@"
}
f1() # of the last note
{
    sed -n 's/.*validation images: .*F1 \([0-9.]*\) .*/\1/p' "$ERR"
}

ok '--list-heads' capt-tag --list-heads
like 'names them with their keys' "$(tr '\n' ' ' <"$OUT")" '  linear: .*    threshold .*  cnn: .*    layers .*  lstm: .*    width '
for h in linear cnn lstm; do
    ok "$h: trains" train $h.ckpt --head $h --log $h.log
    said "$h: tells what" '80 training images, 10 validation images, [0-9]+ tags, 1\.[0-9]+ an image'
    said "$h: tells how good it is" '10 validation images: precision [01]\.[0-9]+, recall [01]\.[0-9]+, F1 [01]\.[0-9]+ with tags of probability 0\.[0-9]+ or more'
    is "$h: the log has it, too" "$(jq -r 'select(.event == "val") | [.precision, .recall, .F1, .threshold, .val_loss] | map(type) | unique[]' $h.log | sort -u)" number
    ok "$h: the checkpoint is whole" capt-store verify $h.ckpt
    ok "$h: by two threads" train $h.2 --head $h --threads 2 --load-threads 3
    ok "$h: the same bytes" cmp $h.ckpt $h.2
    ok "$h: tags" tags $h.ckpt --out $h.ndjson
    is "$h: all images" "$(jq -s length $h.ndjson)" 100
    ok "$h: one at a time" tags $h.ckpt --batch 1 --out $h.2
    ok "$h: the same bytes" cmp $h.ndjson $h.2
    ok "$h: three at most" tags $h.ckpt --threshold 0 --top-k 3 --out three.ndjson
    is "$h: are given, the likeliest first" "$(jq -s 'all(.[]; (.tags | length) <= 3 and .scores == (.scores | sort | reverse) and (.tags | length) == (.tags | unique | length))' three.ndjson)" true
    ok "$h: of some records" tags $h.ckpt --split test --out some.ndjson t.ndjson
    is "$h: these only" "$(jq -r .id some.ndjson | tr '\n' ' ')" "$(jq -r 'select(.split == "test") | .id' t.ndjson | tr '\n' ' ')"
    train $h.ckpt.want --head $h --save-minutes 0 2>/dev/null
    stops 3 TERM "$h" $h.ckpt train $h.ckpt --head $h --save-minutes 0
done
ok 'a longer training' train long.ckpt --head cnn --epochs 60 --best --val-split train
is 'learns its images' "$(f1 | awk '{print ($1 > 0.55)}')" 1
ok 'stops when F1 stands still' train c.ckpt --epochs 50 --checks 2 --lr 1e-9
ok 'pooled features' train g.ckpt --section global --head linear
status 1 'convolutions want a grid' train x.ckpt --section global --head cnn --set feature_rows=2
for o in '--seed 3' '--max-updates 3' '--schedule linear' '--schedule constant' '--decay 0.3' '--clip 0.01' '--set dropout=0' '--warmup 3' '--beta1 0.5 --beta2 0.9' '--train-split train,val'; do
    # shellcheck disable=SC2086
    ok "$o" train o.ckpt $o
    status 1 "$o changes the checkpoint" cmp -s linear.ckpt o.ckpt
done

# tags from elsewhere
ok 'nouns of captions, since the records have no tags' capt-tag --captions r.ndjson --store s.mdb --epochs 2 --verbose --out n.ckpt
said 'how many is said' '[0-9]+ nouns among the 200 most frequent content words of the captions are tags'
said 'and which' 'tag [0-9]+: circle, [0-9]+ images'
is 'no verb, adjective or preposition is among them' "$(sed -n 's/^capt-tag: tag [0-9]*: \([^,]*\),.*/\1/p' "$ERR" | grep -cxE 'red|blue|small|is|on|a|above|stacked')" 0
ok 'nouns of few words' train n5.ckpt --nouns 20
said 'are fewer' ' nouns among the 20 most frequent'
jq -c '{id, tags: ["traffic light", "dog"]}' t.ndjson >other.ndjson
ok '--tags' train o.ckpt --tags other.ndjson --epochs 9
ok 'its tags' tags o.ckpt --out o.ndjson
is 'may have two words' "$(jq -c '.tags | sort' o.ndjson | sort -u)" '["dog","traffic light"]'

# what they are for
ok 'a captioner reads them' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 20 --epochs 1 --tags linear.ndjson --out tagged.ckpt"
said 'of all images' 'of 80 training images have tags'
ok 'and captions with them' capt-beam --model tagged.ckpt --store s.mdb --split test --tags linear.ndjson --out tagged.ndjson r.ndjson
trained() # RECORDS SPLIT...: how many of the images of these splits, in all and trained on
{
    file=$1
    shift
    jq -c --argjson splits "$(printf '%s\n' "$@" | jq -R . | jq -sc .)" --slurpfile r r.ndjson '($r | map({key: (.id | tostring), value: .split}) | from_entries) as $of
        | select($of[.id | tostring] as $s | $splits | index($s)) | .trained_on' "$file" | sort | uniq -c | tr -s ' \n' ' '
}
is 'tags say what their tagger was trained on' "$(trained linear.ndjson train restval)" ' 80 true '
is 'and what not' "$(trained linear.ndjson val test)" ' 20 false '
is 'and name it' "$(jq -r .model linear.ndjson | sort -u | grep -cE '^[0-9a-f]{32}$')" 1
is 'so no caption is of an image that was trained on' "$(trained tagged.ndjson test)" ' 10 false '
ok 'a tagger of test images' train leaky.ckpt --train-split test
ok 'its tags' tags leaky.ckpt --out leaky.ndjson
is 'say so' "$(trained leaky.ndjson test)" ' 10 true '
ok 'a captioner that reads them late' capt-beam --model tagged.ckpt --store s.mdb --split test --tags leaky.ndjson --out late.ndjson r.ndjson
said 'a warning' 'the tagger of 10 of the 10 images was trained on them'
is 'is found out' "$(trained late.ndjson test)" ' 10 true '
ok 'scored' coco-score --refs r.ndjson --split test late.ndjson
said 'that is counted' 'late.ndjson: 10 of 10 captions are of images the model was trained on'
ok 'one that learns from them' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 20 --epochs 1 --tags leaky.ndjson --out early.ckpt"
ok 'and reads others' capt-beam --model early.ckpt --store s.mdb --split test --tags linear.ndjson --out early.ndjson r.ndjson
is 'is found out' "$(trained early.ndjson test)" ' 10 true '
ok 'one optimised with them' sh -c 'capt-scst --init tagged.ckpt --captions r.ndjson --store s.mdb --tags leaky.ndjson --epochs 1 --max-updates 1 --out optimised.ckpt'
ok 'that reads others' capt-beam --model optimised.ckpt --store s.mdb --split test --tags linear.ndjson --out early.ndjson r.ndjson
is 'is found out' "$(trained early.ndjson test)" ' 10 true '
ok 'a tagger of their tags' train second.ckpt --tags leaky.ndjson
ok 'its tags' tags second.ckpt --out second.ndjson
is 'say what went into it' "$(trained second.ndjson train restval test)" ' 90 true '
jq -c 'del(.trained_on, .model)' leaky.ndjson >silent.ndjson
ok 'of tags that do not say' capt-beam --model tagged.ckpt --store s.mdb --split test --tags silent.ndjson --out silent.out r.ndjson
is 'nothing is known' "$(trained silent.out test)" ' 10 false '
jq -c --slurpfile t leaky.ndjson '. as $r | ($t[] | select(.id == $r.id)) as $x | . + {tags: $x.tags, trained_on: $x.trained_on}' r.ndjson >joined.ndjson
ok 'tags in the records themselves' capt-beam --model tagged.ckpt --store s.mdb --split test --tags joined.ndjson --out joined.out joined.ndjson
is 'are found out' "$(trained joined.out test)" ' 10 true '
status 1 'a tagger is no captioner' capt-beam --model linear.ckpt --store s.mdb --split test r.ndjson
said 'which is said' 'linear.ckpt is a tagger \(linear\): capt-tag applies it'
status 1 'not to be optimised' capt-scst --init lstm.ckpt --captions r.ndjson --store s.mdb --out x.ckpt
said 'which is said' 'lstm.ckpt is a tagger \(lstm\)'
status 1 'nor begun with' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --init linear.ckpt --out x.ckpt"
status 1 'a captioner is no tagger' tags tagged.ckpt
said 'which is said' 'tagged.ckpt is a captioner \(gpt2\), not a tagger'

# wrong
for o in '--head mlp' '--set width=3' '--set tag_tokens=3' '--epochs 0' '--lr 0' '--tags - --captions -' 'operand'; do
    # shellcheck disable=SC2086
    status 2 "$o" train x.ckpt $o
done
status 2 'nothing to do' capt-tag --store s.mdb
status 2 'two things to do' train x.ckpt --model linear.ckpt
status 2 'no store' capt-tag --model linear.ckpt
status 1 'no such store' capt-tag --model linear.ckpt --store nowhere.mdb
said 'named' 'nowhere.mdb'
status 1 'no such split' train x.ckpt --train-split never
said 'named' 't.ndjson has no record of split never'
(head -n 9 t.ndjson; echo '{"id":') >bad.ndjson
status 1 'a bad record' train x.ckpt --captions bad.ndjson
said 'named' 'bad.ndjson:10: '
(head -n 9 t.ndjson; echo '{"id":9999,"split":"train","captions":["a"],"tags":["star"]}') >bad.ndjson
status 1 'an image that is not in the store' train x.ckpt --captions bad.ndjson
said 'named' 'image 9999 is not in the store'
jq -c '.captions = ["xyzzy"] | del(.tags)' t.ndjson >bad.ndjson
status 1 'captions without nouns' train x.ckpt --captions bad.ndjson
said 'which is said' '^capt-tag: bad.ndjson: no nouns were found among the 1 most'
jq -c 'del(.captions, .tags)' t.ndjson >bad.ndjson
status 1 'neither tags nor captions' train x.ckpt --captions bad.ndjson
said 'which is said' '^capt-tag: bad.ndjson: there are no captions to find nouns in'
head -c 2000 linear.ckpt >cut.ckpt
status 1 'a checkpoint cut short' tags cut.ckpt
said 'named' 'cut.ckpt'
status 1 'a full disk' sh -c 'capt-tag --model linear.ckpt --store s.mdb >/dev/full'
rm -f x.ckpt*
touch x.ckpt.part
status 1 'a left-over part' train x.ckpt
said 'is named' 'x.ckpt.part is left over'
done_testing
