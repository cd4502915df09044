#!/bin/sh
# Tags before the words, from coco-split --instances or tag records to captions: capt-train, capt-scst and capt-beam with --tags.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"

said()
{
    like "$1" "$(cat "$ERR")" "$2"
}
train() # OUT options...
{
    out=$1
    shift
    # shellcheck disable=SC2086
    $exec capt-train $tiny --captions t.ndjson --vocab v.json --store s.mdb --section grid --batch 20 --epochs 1 --lr 1e-3 --threads 1 "$@" --out "$out"
}
scst() # OUT options...
{
    out=$1
    shift
    $exec capt-scst --init a.ckpt --captions t.ndjson --store s.mdb --batch 20 --epochs 1 --lr 1e-3 --threads 1 "$@" --out "$out"
}
tag_tokens() # CKPT
{
    python3 -c '
import json, struct, sys
f = open(sys.argv[1], "rb")
meta = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]
print(json.loads(meta["config"])["model"]["tag_tokens"])' "$1"
}
beam() # options...
{
    capt-beam --model a.ckpt --store s.mdb --split test "$@"
}
coco-split --quiet --scheme karpathy --instances toy/instances_train.json --instances toy/instances_val.json --instances toy/instances_test.json toy/dataset.json >t.ndjson
is 'the toy records have one tag or two' "$(jq '.tags | length' t.ndjson | sort -nu | tr '\n' ' ')" '1 2 '
jq -c '{id, tags}' t.ndjson >tags.ndjson

# training
ok 'trains with the tags of the records' train a.ckpt --tags t.ndjson
said 'says how many there are' '^capt-train: 80 of 80 training images have tags \(0 without\), [0-9]+ tokens; 0 words of tags are not in the vocabulary'
said 'and of those it validates on' '10 of 10 validation images have tags'
is 'the configuration has room for 20' "$(tag_tokens a.ckpt)" 20
ok 'tag records are the same' train b.ckpt --tags tags.ndjson
ok 'bit for bit' cmp a.ckpt b.ckpt
ok 'by two threads' train b.ckpt --tags t.ndjson --threads 2 --load-threads 3
ok 'the same bytes' cmp a.ckpt b.ckpt
ok 'without tags' train none.ckpt
is 'the configuration has none' "$(tag_tokens none.ckpt)" 0
ok 'the tags of the records change nothing then' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 20 --epochs 1 --lr 1e-3 --threads 1 --out none2.ckpt"
ok 'the same bytes' cmp none.ckpt none2.ckpt
head -n 50 tags.ndjson | jq -c '.tags = ["star", "zyx"]' >half.ndjson
ok 'a file with some of the images' train c.ckpt --tags half.ndjson
said 'the rest keep their own' '80 of 80 training .* [1-9][0-9]* words of tags are not'
jq -c 'del(.tags)' half.ndjson >empty.ndjson
ok 'records without tags' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --max-updates 1 --tags empty.ndjson --out c.ckpt"
said 'are warned of' 'warning: 0 of 80 training images have tags|0 of 80 training images have tags \(80 without\)'
for o in '--set tag_tokens=1' '--accum 2' '--all-captions' '--sampling-max 0.5 --sampling-step 0.5 --sampling-every 1 --epochs 2' '--val-cider' '--set positions=64' '--section global --set tokens=3'; do
    # shellcheck disable=SC2086
    ok "with $o" train o.ckpt --tags t.ndjson $o
done
ok 'goes on from a captioner with tags' train o.ckpt --tags t.ndjson --init a.ckpt
status 1 'which wants them' train o.ckpt --init a.ckpt
said 'and says so' 'a.ckpt reads tags before the words: give --tags FILE'
rm -f o.ckpt

# a stopped run
train d.ckpt.want --tags t.ndjson --save-minutes 0 2>/dev/null
stops 4 TERM 'training with tags' d.ckpt train d.ckpt --tags t.ndjson --save-minutes 0
left=1
for _ in 1 2 3 4 5 6 7 8; do
    rm -f e.ckpt* e.log
    (exec='exec' && train e.ckpt --tags t.ndjson --save-minutes 0 --epochs 40 --log e.log </dev/null >/dev/null 2>&1) &
    pid=$!
    await e.log
    sleep 0.3
    kill -TERM $pid 2>/dev/null
    wait $pid
    left=$?
    [ $left = 0 ] || break
done
is 'a run was stopped' "$left" 75
status 1 'is not continued with other tags' train e.ckpt --tags half.ndjson --save-minutes 0 --epochs 40 --resume
said 'which is said' 'e.ckpt.part was started with input tags = .* now it is'
status 1 'or without' train e.ckpt --save-minutes 0 --epochs 40 --resume
said 'which is said, too' 'e.ckpt.part was started with input tags, now without'

# every captioner, and the other vocabularies
for m in gpt2 show-tell attend-tell updown transformer m2; do
    opts='--set width=16'
    [ $m = gpt2 ] && opts="$opts --set heads=2 --set layers=2 --set tokens=0"
    # shellcheck disable=SC2086
    ok "$m: trains" capt-train --model $m $opts --captions t.ndjson --tags t.ndjson --vocab v.json --store s.mdb --section grid --batch 20 --epochs 4 --lr 1e-2 --out $m.ckpt
    ok "$m: captions" capt-beam --model $m.ckpt --store s.mdb --split test --beam 3 --tags t.ndjson --out m1.ndjson t.ndjson
    ok "$m: one at a time" capt-beam --model $m.ckpt --store s.mdb --split test --beam 3 --tags t.ndjson --batch 1 --out m2.ndjson t.ndjson
    ok "$m: the same bytes" cmp m1.ndjson m2.ndjson
    ok "$m: SCST" capt-scst --init $m.ckpt --captions t.ndjson --tags t.ndjson --store s.mdb --batch 20 --epochs 1 --lr 1e-5 --max-updates 2 --out m3.ckpt
done
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a red blue circle square there is on the . '[' ']' '##s' star t '##h' >bert.txt
ok 'a BERT vocabulary' vocab-build --type bert --source bert.txt --out bert.vocab r.ndjson
ok 'reads brackets, too' train bert.ckpt --vocab bert.vocab --tags t.ndjson
is 'three tokens for a tag' "$(sed -n 's/.*have tags (0 without), \([0-9]*\) tokens.*/\1/p' "$ERR" | head -n 1)" \
    "$(jq -s 'map(select(.split == "train" or .split == "restval") | .tags | length * 3) | add' t.ndjson)"

# decoding
ok 'captions with tags' beam --tags t.ndjson --out a.ndjson t.ndjson
said 'says how many' '^capt-beam: 10 of 10 images have tags'
ok 'of tag records, with records that have none' beam --tags tags.ndjson --out b.ndjson r.ndjson
ok 'the same' cmp a.ndjson b.ndjson
jq -c '.tags = ["square"]' tags.ndjson >square.ndjson
jq -c '.tags = ["star", "star", "star"]' tags.ndjson >star.ndjson
train n.ckpt --tags t.ndjson --epochs 30 --lr 1e-2 --quiet
capt-beam --model n.ckpt --store s.mdb --split test --tags square.ndjson --quiet --out b.ndjson t.ndjson
capt-beam --model n.ckpt --store s.mdb --split test --tags star.ndjson --quiet --out c.ndjson t.ndjson
status 1 'other tags give other captions' cmp -s b.ndjson c.ndjson
status 1 'a model with tags wants them' beam t.ndjson
said 'and says so' '^capt-beam: a.ckpt reads tags before the words: give --tags FILE'
status 1 'a model without refuses them' capt-beam --model none.ckpt --store s.mdb --split test --tags t.ndjson t.ndjson
said 'and says so' '^capt-beam: none.ckpt reads no tags: leave --tags out'
head -n 95 tags.ndjson | jq -c 'if .id % 3 == 0 then .tags = [] elif .id % 3 == 1 then .tags += ["red", "blue", "star"] else . end' >uneven.ndjson
for o in '--beam 3' '--greedy' '--sample 3' '--sample 2 --top-k 4' '--sample 2 --top-p 0.9' '--beam 4 --groups 2 --nbest 4' '--beam 3 --logprobs --max-words 5' \
    '--beam 2 --model a.ckpt' '--beam 2 --model b.ckpt --ensemble logprob' '--device ref'; do
    # shellcheck disable=SC2086
    ok "$o: all together" beam $o --tags uneven.ndjson --split all --out u1.ndjson r.ndjson
    # shellcheck disable=SC2086
    ok "$o: three at a time" beam $o --tags uneven.ndjson --split all --batch 3 --out u2.ndjson r.ndjson
    ok "$o: the same bytes" cmp u1.ndjson u2.ndjson
done
ok 'images without tags' beam --tags uneven.ndjson --split all --max-words 3 --out u2.ndjson r.ndjson
said 'are counted' '^capt-beam: [0-9]+ of 100 images have tags \([1-9][0-9]* without\)'
status 1 'an ensemble of one that reads tags and one that does not' beam --model none.ckpt --tags t.ndjson t.ndjson
said 'is refused' 'none.ckpt reads no tags'
is 'captions keep their length' "$(beam --tags star.ndjson --max-words 4 --quiet t.ndjson | jq -r .caption | awk 'NF > 4' | wc -l)" 0

# SCST
ok 'SCST with tags' scst f.ckpt --tags t.ndjson
ok 'by two threads' scst g.ckpt --tags t.ndjson --threads 2
ok 'the same bytes' cmp f.ckpt g.ckpt
ok 'with other tags' scst g.ckpt --tags half.ndjson
status 1 'other weights' cmp -s f.ckpt g.ckpt
for o in '--baseline greedy' '--baseline beam-mean' '--compat m2'; do
    # shellcheck disable=SC2086
    ok "$o" scst g.ckpt --tags uneven.ndjson $o
done
status 1 'wants tags' scst g2.ckpt
said 'and says so' 'a.ckpt reads tags before the words'
status 1 'refuses them' capt-scst --init none.ckpt --captions t.ndjson --store s.mdb --tags t.ndjson --out g2.ckpt
said 'and says so' 'none.ckpt reads no tags'
ok 'its captioner reads them' capt-beam --model f.ckpt --store s.mdb --split test --tags t.ndjson --out f.ndjson t.ndjson

# wrong
for o in '--set tag_tokens=5' '--tags t.ndjson --set tag_tokens=0' '--tags - --captions -'; do
    # shellcheck disable=SC2086
    status 2 "$o" train x.ckpt $o
done
bad() # NAME REGEX: of x.tags
{
    status 1 "$1" beam --tags x.tags t.ndjson
    said 'named in one line' "$2"
    is 'and only one' "$(grep -c . "$ERR")" 1
}
status 1 'no such file' beam --tags nowhere.ndjson t.ndjson
said 'named' 'nowhere.ndjson: No such file'
(head -n 3 tags.ndjson; echo '{"id":4,"tags":["star"') >x.tags
bad 'no JSON' 'x.tags:4: '
(head -n 3 tags.ndjson; echo '{"id":4,"tags":"star"}') >x.tags
bad 'a tag where a list should be' 'x.tags:4: "tags"'
(head -n 3 tags.ndjson; echo '{"tags":["star"]}') >x.tags
bad 'no id' 'x.tags:4: "id" is missing'
(head -n 3 tags.ndjson; head -n 1 tags.ndjson) >x.tags
bad 'an id twice' 'x.tags:4: .*1.*x.tags:1'
(head -n 3 tags.ndjson; echo '{"id":"4","tags":["star"]}') >x.tags
bad 'ids of two kinds' 'x.tags:4: '
jq -c '.id |= tostring' tags.ndjson >x.tags
bad 'ids of another kind' 'x.tags: ids are strings, those of the images are integers'
python3 -c 'print("{\"id\":1,\"tags\":[\"" + "x" * (1 << 20) + "\"]}")' >x.tags
bad 'a tag of a megabyte' 'x.tags:1: the line is longer than 1048576 bytes'
python3 -c 'print("{\"id\":1,\"tags\":[\"" + "x" * 300 + "\"]}")' >x.tags
bad 'a long tag' 'x.tags:1: .*tags'
jq -c '.tags = ["st]a[r", "circle"]' tags.ndjson >x.tags
ok 'brackets in a tag are blanks' beam --tags x.tags --out x.ndjson t.ndjson
jq -c '.tags = ["st a r", "circle"]' tags.ndjson >y.tags
beam --tags y.tags --quiet --out y.ndjson t.ndjson
ok 'the same captions' cmp x.ndjson y.ndjson
ok 'cut in the middle' sh -c 'head -c -5 tags.ndjson >x.tags'
bad 'a line that is cut' 'x.tags:[0-9]+: '
done_testing
