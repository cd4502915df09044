#!/bin/sh
# capt-beam: options, order, ensembles, bad inputs. Networks of some ten thousand weights on 100 toy pictures.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"

train() # OUT options...
{
    out=$1
    shift
    # shellcheck disable=SC2086
    capt-train $tiny --captions r.ndjson --vocab v.json --batch 20 --lr 3e-3 --quiet "$@" --out "$out"
}
train a.ckpt --store s.mdb --section grid --epochs 12
train b.ckpt --store s.mdb --section grid --epochs 12 --seed 2
train g.ckpt --store s.mdb --section global --epochs 4
train p.ckpt --images toy/images --encoder random --encoder-config vit.json --tune-encoder --epochs 4
capt-train --model gpt2 --set width=64 --set layers=1 --set heads=4 --set tokens=0 --set words=10 --captions r.ndjson --vocab v.json --store s.mdb \
    --section grid --epochs 8 --batch 20 --lr 3e-3 --quiet --out w.ckpt

beam() # options and FILE
{
    capt-beam --model a.ckpt --store s.mdb --threads 1 "$@"
}
holds() # NAME FILTER: of the records the last command wrote, which jq's own output would replace
{
    cp "$OUT" last
    ok "$1" jq -es "$2" last
}
said()
{
    like "$1" "$(cat "$ERR")" "$2"
}
same() # NAME FILE: the last output is FILE
{
    cp "$OUT" got
    ok "$1" cmp got "$2"
}
other()
{
    cp "$OUT" got
    status 1 "$1" cmp -s got "$2"
}
ids()
{
    jq -c .id "$1" | tr '\n' ' '
}

ok 'a plain run' beam --split all --out all.ndjson r.ndjson
is 'a line an image' "$(wc -l <all.ndjson)" 100
is 'in the order of the records' "$(ids all.ndjson)" "$(ids r.ndjson)"
ok 'with caption, score and model' jq -es 'all((.caption | type) == "string" and .logprob < 0 and (.model | length) == 32 and (has("candidates") | not))' all.ndjson
is 'trained_on is right' "$(jq -r 'select(.trained_on) | .id' all.ndjson | sort)" "$(jq -r 'select(.split == "train" or .split == "restval") | .id' r.ndjson | sort)"
sort -R --random-source=r.ndjson r.ndjson >mixed.ndjson
ok 'records in another order, out of a pipe' sh -c "capt-beam --model a.ckpt --store s.mdb --split all --threads 2 --batch 7 - <mixed.ndjson"
is 'keep it' "$(ids "$OUT")" "$(ids mixed.ndjson)"
is 'and have the same captions' "$(sort "$OUT")" "$(sort all.ndjson)"
ok 'standard input' sh -c "capt-beam --model a.ckpt --store s.mdb --split all <r.ndjson"
same 'the same lines' all.ndjson
ok '--split' beam --split test,val r.ndjson
is 'takes these' "$(ids "$OUT")" "$(jq -c 'select(.split == "test" or .split == "val")' r.ndjson | jq -c .id | tr '\n' ' ')"
jq -c 'del(.split)' r.ndjson >nosplit.ndjson
ok 'no --split' beam r.ndjson
is 'takes the test images' "$(ids "$OUT")" "$(jq -c 'select(.split == "test") | .id' r.ndjson | tr '\n' ' ')"
ok 'records without a split' beam nosplit.ndjson
is 'belong to each' "$(wc -l <"$OUT")" 100
jq -c '{id}' r.ndjson >bare.ndjson
ok 'records of ids alone' beam bare.ndjson
same 'the same lines' all.ndjson
jq -c 'select(.split == "test")' r.ndjson >t.ndjson
ok 'an ensemble, one thread' beam --model b.ckpt --threads 1 --nbest 3 t.ndjson
cp "$OUT" e1
ok 'two threads' beam --model b.ckpt --threads 2 --nbest 3 t.ndjson
same 'the same lines' e1
for d in ref guard; do
    ok "--device $d" beam --device $d t.ndjson
done
beam t.ndjson >plain 2>/dev/null

# what to search for
ok '--nbest' beam --nbest 4 t.ndjson
cp "$OUT" nbest
ok 'gives candidates, best first, the first one on top' jq -es \
    'all((.candidates | length) == 4 and .caption == .candidates[0].caption and .logprob == .candidates[0].logprob and ([.candidates[].logprob] | . == (sort | reverse)) and
     ([.candidates[].caption] | length == (unique | length)))' nbest
is 'and the same caption' "$(jq -c .caption nbest)" "$(jq -c .caption plain)"
ok '--greedy' beam --greedy --beam 1 t.ndjson
cp "$OUT" greedy
ok '--beam 1' beam --beam 1 t.ndjson
same 'the same lines' greedy
ok 'a beam finds no worse captions' sh -c "jq -es 'map(.logprob) | add' plain >pl; jq -es 'map(.logprob) | add' greedy >gr; jq -en --slurpfile a pl --slurpfile b gr '\$a[0] >= \$b[0] - 1e-6'"
ok '--max-words' beam --max-words 4 t.ndjson
holds 'is kept' 'all(.caption | split(" ") | length <= 4)'
ok 'a shorter model than --max-words' beam --model w.ckpt --max-words 1000 t.ndjson
holds 'keeps its own' 'all(.caption | split(" ") | length <= 10)'
ok '--no-repeat' beam --no-repeat --beam 3 t.ndjson
holds 'no word twice running' 'all(.caption | split(" ") as $w | all(range(1; $w | length); $w[.] != $w[. - 1]))'
ok '--length-penalty' beam --length-penalty 1 --nbest 5 t.ndjson
for o in none avg 0.7 wu:0.9; do
    ok "--length-penalty $o" beam --length-penalty $o --nbest 5 t.ndjson
done
ok '--groups' beam --groups 2 --beam 4 --nbest 4 --diversity 100 t.ndjson
holds 'the groups begin with other words' 'all([.candidates[].caption | split(" ")[0]] | unique | length >= 2)'
ok '--block-ngram' beam --block-ngram 1 t.ndjson
holds 'no word twice' 'all(.caption | split(" ") | length == (unique | length))'
ok '--ngram-penalty' beam --block-ngram 3 --ngram-penalty 1.386 t.ndjson
ok '--min-words' beam --min-words 12 t.ndjson
holds 'is kept' 'all(.caption | split(" ") | length >= 12)'
ok '--no-bad-endings' beam --no-bad-endings --beam 3 t.ndjson
holds 'is kept' 'all(.caption | test(" (a|an|the|in|at|of|with|on|to|is)$") | not)'
ok '--block-ngram 1' beam --block-ngram 1 --beam 3 --min-words 6 t.ndjson
holds 'no word comes twice' 'all(.caption | split(" ") | length == (unique | length))'
ok '--repeatable' beam --block-ngram 1 --repeatable a --repeatable the --repeatable unheard --beam 3 --min-words 6 t.ndjson
holds 'but these may' '(all(.caption | split(" ") - ["a", "the"] | length == (unique | length))) and any(.caption | split(" ") | length > (unique | length))'
ok '--logprobs' beam --logprobs t.ndjson
holds 'adds up' 'all(((.token_logprob | add) - .logprob | fabs) < 1e-4 and (.tokens | length) == (.token_logprob | length) and (.tokens | length) >= (.caption | split(" ") | length))'
capt-train --model attend-tell --set width=32 --captions r.ndjson --vocab v.json --store s.mdb --section grid --epochs 4 --batch 20 --lr 3e-3 --quiet --out at.ckpt
ok '--attention' capt-beam --model at.ckpt --store s.mdb --attention t.ndjson
is 'says what the rows are' "$(jq -rs 'map(.attention_on) | unique | join(" ")' "$OUT")" crop
holds 'adds up' 'all(.attention_rows as $s | (.attention | length) == $s * (.tokens | length) and (((.attention | add) - (.tokens | length)) | fabs) < 0.01)'
ok 'a captioner of another kind in an ensemble' capt-beam --model a.ckpt --model at.ckpt --store s.mdb --attention t.ndjson
python3 - <<'P' # three regions an image, one of the first: a store that tells where they are
import base64, json, struct
with open("r.tsv", "w") as f:
    for k, line in enumerate(open("r.ndjson")):
        n = 1 if k == 0 else 3
        boxes = [0, 0, 24, 12, 24, 12, 48, 36, 12, 6, 36, 30][: 4 * n]
        code = lambda x: base64.b64encode(struct.pack("<%df" % len(x), *x)).decode()
        f.write("%s\t48\t36\t%d\t%s\t%s\n" % (json.loads(line)["id"], n, code(boxes), code([(k * 7 + i) % 5 - 2 for i in range(4 * n)])))
P
ok 'regions with boxes' vinvl-import --quiet --format butd-tsv --dim 4 --dtype f32 --store regions.mdb r.tsv
capt-train --model updown --set width=16 --set embed=8 --set attention=8 --set feature_rows=4 --captions r.ndjson --vocab v.json --store regions.mdb --section regions \
    --epochs 1 --batch 20 --quiet --out ud.ckpt
ok 'their attention' capt-beam --model ud.ckpt --store regions.mdb --attention --split all r.ndjson
holds 'comes with the boxes as shares of the picture' '(.[0] | .attention_rows == 4 and .attention_boxes == [0, 0, 0.5, 0.33333]) and
    all(.[1:][]; .attention_on == "regions" and .attention_boxes == [0, 0, 0.5, 0.33333, 0.5, 0.33333, 1, 1, 0.25, 0.16667, 0.75, 0.83333])'
ok 'of an ensemble' capt-beam --model ud.ckpt --model ud.ckpt --store regions.mdb --attention t.ndjson
holds 'over the same regions, too' 'all(.attention_boxes | length == 12)'
ok '--attention of one with an image token a row' beam --attention t.ndjson
holds 'adds up, too' 'all(.attention_rows == 16 and (((.attention | add) - (.tokens | length)) | fabs) < 0.01)'
capt-train --model show-tell --set width=16 --set embed=16 --captions r.ndjson --vocab v.json --store s.mdb --section global --epochs 1 --batch 20 --quiet --out st.ckpt
ok '--attention of one that has none' capt-beam --model st.ckpt --store s.mdb --attention t.ndjson
holds 'is not there' 'all(has("attention") | not)'
ok '--require' beam --require red --require 'a box' --forbid the --max-words 12 t.ndjson
holds 'is kept' 'all(.caption | test("\\bred\\b") and test("\\ba box\\b") and (test("\\bthe\\b") | not))'
ok 'words of a record' sh -c 'jq -c ".require = [\"blue\"]" t.ndjson | capt-beam --model a.ckpt --store s.mdb'
holds 'are kept' 'all(.caption | test("\\bblue\\b"))'
ok 'no room' beam --require red --require blue --require green --max-words 2 t.ndjson
like 'is told' "$(cat "$ERR")" '10 captions lack a required word'
status 1 '--require of a word it does not know' beam --require zebra t.ndjson
like 'is named' "$(cat "$ERR")" '"zebra" is not in the model.s vocabulary'
status 2 '--forbid with --sample' beam --sample 1 --forbid red t.ndjson
for o in '--top-k 1' '--top-p 0.000001'; do
    # shellcheck disable=SC2086
    ok "--sample $o" beam --sample 1 $o t.ndjson
    is 'is greedy' "$(jq -r .caption "$OUT")" "$(jq -r .caption greedy)"
done
for o in '--length-penalty wu' '--length-penalty x' '--length-penalty 11' '--groups 3 --beam 4' '--top-p 2' '--top-k -1'; do
    # shellcheck disable=SC2086
    status 2 "$o" beam $o t.ndjson
done
ok '--allow-unk' beam --allow-unk t.ndjson
ok '--compute bf16' beam --compute bf16 t.ndjson
ok 'a wide beam' beam --beam 100 --nbest 100 t.ndjson
ok '--sample' beam --sample 4 --seed 1 t.ndjson
cp "$OUT" s1
ok 'gives as many candidates' jq -es 'all((.candidates | length) == 4)' s1
ok 'the same seed, another batch and threads' beam --sample 4 --seed 1 --batch 3 --threads 2 t.ndjson
same 'the same lines' s1
ok 'another seed' beam --sample 4 --seed 2 t.ndjson
other 'other lines' s1
ok 'a low temperature' beam --sample 1 --temperature 0.001 t.ndjson
is 'is greedy' "$(jq -r .caption "$OUT")" "$(jq -r .caption greedy)"

# ensembles
for how in prob logprob; do
    ok "an ensemble of a model and itself, $how" beam --model a.ckpt --ensemble $how t.ndjson
    is 'says what it says' "$(jq -c .caption "$OUT")" "$(jq -c .caption plain)"
    ok "two models, $how" beam --model b.ckpt --ensemble $how t.ndjson
    cp "$OUT" e.$how
    ok "weights 3,3, $how" beam --model b.ckpt --ensemble $how --ensemble-weights 3,3 t.ndjson
    same 'are equal weights' e.$how
    ok "weights 1,0, $how" beam --model b.ckpt --ensemble $how --ensemble-weights 1,0 t.ndjson
    is 'are the first alone' "$(jq -c .caption "$OUT")" "$(jq -c .caption plain)"
    ok "weights 0.2,0.8, $how" beam --model b.ckpt --ensemble $how --ensemble-weights 0.2,0.8 t.ndjson
    other 'are another mixture' e.$how
done
status 1 'prob and logprob differ' cmp -s e.prob e.logprob
like 'the name of an ensemble is its own' "$(jq -r .model e.prob | sort -u)" '^[0-9a-f]{32}$'
ok 'models with a store each' capt-beam --model a.ckpt --model g.ckpt --store s.mdb --store s.mdb t.ndjson
ok 'one store for two sections' capt-beam --model a.ckpt --model g.ckpt --store s.mdb t.ndjson
ok 'models of other lengths' beam --model w.ckpt t.ndjson
jq -c 'if .id % 3 == 0 then .captions += .captions + .captions else . end' r.ndjson >dup.ndjson
vocab-build --quiet --type word --min-count 1 --out order.json dup.ndjson
is 'the same tokens' "$(jq -S '.tokens | sort' order.json)" "$(jq -S '.tokens | sort' v.json)"
status 1 'in another order' test "$(jq -c .tokens order.json)" = "$(jq -c .tokens v.json)"
train o.ckpt --store s.mdb --section grid --epochs 6 --vocab order.json
ok 'an ensemble with it' beam --model o.ckpt t.ndjson
other 'differs from the first model alone' plain
for weights in 'o.ckpt a.ckpt 0,1' 'a.ckpt o.ckpt 1,0'; do
    set -- $weights
    ok "of $1 and $2, all weight on a.ckpt" capt-beam --model "$1" --model "$2" --ensemble-weights "$3" --store s.mdb t.ndjson
    is 'says what that one says' "$(jq -c .caption "$OUT")" "$(jq -c .caption plain)"
    jq .logprob "$OUT" >mixed
    is 'as likely, but for the rounding of the logarithm of a mean' "$(jq .logprob plain | paste mixed - | awk '{ d = $1 - $2 } d > 1e-6 || d < -1e-6')" ''
done
vocab-build --quiet --type word --min-count 5 --out v5.json r.ndjson
train five.ckpt --store s.mdb --section grid --epochs 1 --vocab v5.json
status 1 'another vocabulary' beam --model five.ckpt t.ndjson
said 'names a token' 'model 2 does not have the token "[a-z]+" of the first one'
status 1 'also the other way round' sh -c 'capt-beam --model five.ckpt --model a.ckpt --store s.mdb t.ndjson'
said 'names a token' 'model 2 has the token "[a-z]+", which the first one lacks'

# pictures
ok "pictures by the model's encoder" capt-beam --model p.ckpt --images toy/images t.ndjson
cp "$OUT" p1
ok 'threads and batches' capt-beam --model p.ckpt --images toy/images --threads 2 --batch 3 t.ndjson
same 'the same lines' p1
ok 'its encoder from a file' capt-beam --model p.ckpt --images toy/images --encoder p.ckpt t.ndjson
is 'the same captions' "$(jq -c .caption "$OUT")" "$(jq -c .caption p1)"
clip-featurize --quiet --weights p.ckpt --images toy/images --features both --dtype f32 --store p.mdb t.ndjson
ok 'its stored features' capt-beam --model p.ckpt --store p.mdb t.ndjson
is 'the same captions' "$(jq -c .caption "$OUT")" "$(jq -c .caption p1)"
train e.ckpt --images toy/images --encoder random --encoder-config vit.json --tune-encoder --train-split test --epochs 1
clip-featurize --quiet --weights e.ckpt --images toy/images --features global --store e.mdb r.ndjson
train f.ckpt --store e.mdb --epochs 1
ok 'features of an encoder that saw the test images' capt-beam --model f.ckpt --store e.mdb r.ndjson
is 'mark them' "$(jq -c .trained_on "$OUT" | sort | uniq -c | tr -s ' ')" ' 10 true'
like 'the store tells it' "$(capt-store info e.mdb)" '^encoder trained on: 10 images$'
is 'and what made the encoder' "$(capt-store info --json e.mdb | jq -r '.provenance[].program' | tr '\n' ' ')" 'capt-train clip-featurize '
like 'programs name the instruction set' "$(capt-store info f.ckpt | grep ^provenance)" '"program":"capt-train","version":"[^"]*","backend":"(cpu|ref) ?[^"]*"'
ok 'an ensemble on pictures' capt-beam --model p.ckpt --model p.ckpt --images toy/images t.ndjson
for f in cmyk grey short huge missing; do
    echo "{\"id\":\"$f\",\"file\":\"$f.jpg\"}"
done >odd.ndjson
cp toy/images/000000000001.jpg odd/good.jpg
echo '{"id":"good","file":"good.jpg"}' >>odd.ndjson
for f in short huge missing; do
    grep "\"$f\"" odd.ndjson >one.ndjson
    status 1 "a picture: $f" capt-beam --model p.ckpt --images odd one.ndjson
    said "$f: is named" "$f.jpg"
done
for batch in 1 2 32; do
    ok "--max-bad 3 --batch $batch" capt-beam --model p.ckpt --images odd --max-bad 3 --errors bad.ndjson --batch $batch odd.ndjson
    is 'captions the others' "$(ids "$OUT")" '"cmyk" "grey" "good" '
    said 'counts' '3 bad records skipped'
    is 'and lists them' "$(jq -r .error bad.ndjson | grep -Eo '(short|huge|missing)\.jpg' | uniq | tr '\n' ' ')" 'short.jpg huge.jpg missing.jpg '
    cp "$OUT" batch.$batch
done
ok 'the same lines whatever the batch' sh -c 'cmp batch.1 batch.2 && cmp batch.1 batch.32'
ok '--max-bad of an ensemble' capt-beam --model p.ckpt --model p.ckpt --images odd --max-bad 3 --batch 2 odd.ndjson
is 'captions the others' "$(ids "$OUT")" '"cmyk" "grey" "good" '
status 1 'one too many' capt-beam --model p.ckpt --images odd --max-bad 2 --out x.ndjson odd.ndjson
status 1 '--max-pixels' capt-beam --model p.ckpt --images toy/images --max-pixels 100 --out x.ndjson t.ndjson
ok '--exif-rotate' capt-beam --model p.ckpt --images toy/images --exif-rotate t.ndjson
status 1 'a folder that is not there' capt-beam --model p.ckpt --images nowhere t.ndjson
status 1 'a model without an encoder' capt-beam --model a.ckpt --images toy/images t.ndjson
said 'is named' 'a.ckpt holds no encoder'

# outputs
ok '--coco' beam --coco c.json --out h.ndjson t.ndjson
ok 'is the official form' jq -e 'length == 10 and all(keys == ["caption", "image_id"])' c.json
is 'of the same captions' "$(jq -c '.[] | [.image_id, .caption]' c.json)" "$(jq -c '[.id, .caption]' h.ndjson)"
ok 'which coco-score takes' coco-score --refs r.ndjson --split test c.json
jq -c 'del(.annotations)' toy/captions_test.json >image_info_test2014.json
ok 'an image_info file of test images' sh -c 'coco-split -q --scheme coco2014 test=image_info_test2014.json >info.ndjson'
is 'gives records without captions' "$(jq -s 'any(.[]; has("captions"))' info.ndjson)" false
ok 'which are captioned' beam --coco server.json --out h2.ndjson info.ndjson
is 'for the server: every image once, its number, a sentence' "$(jq -c 'map([.image_id, (.image_id | type), (.caption | type)]) | sort' server.json)" \
    "$(jq -c '.images | map([.id, "number", "string"]) | sort' image_info_test2014.json)"
full()
{
    beam t.ndjson >/dev/full
}
status 1 'a full standard output' full
said 'is told' 'disk full'
status 1 'a full --out' beam --out /dev/full t.ndjson
status 1 'a full --coco' beam --coco /dev/full --out x.ndjson t.ndjson
said 'is told' '/dev/full: disk full'

# bad inputs
status 1 'a store that is not there' capt-beam --model a.ckpt --store nowhere --out x.ndjson t.ndjson
for o in '--model nowhere' '--model r.ndjson' '--split tset' 'nowhere.ndjson'; do
    # shellcheck disable=SC2086
    status 1 "$o" beam --out x.ndjson $o t.ndjson
done
for n in 0 7 100 5000 60000 100000; do
    head -c $n a.ckpt >cut.ckpt
    status 1 "a checkpoint cut to $n bytes" capt-beam --model cut.ckpt --store s.mdb --out x.ndjson t.ndjson
    said 'is named' 'cut.ckpt'
done
i=0
while [ $i -lt 10 ]; do
    i=$((i + 1))
    at=$(($(od -An -N4 -tu4 /dev/urandom) % $(wc -c <a.ckpt)))
    cp a.ckpt cut.ckpt
    flip cut.ckpt $at $((i % 8))
    status 1 "a checkpoint with bit $((i % 8)) of byte $at flipped" capt-beam --model cut.ckpt --store s.mdb --out x.ndjson t.ndjson
done
cp a.ckpt nan.ckpt
set_tensor nan.ckpt ln_f.weight nan
for o in '' '--sample 2' '--greedy' '--model b.ckpt'; do
    # shellcheck disable=SC2086
    status 1 "a NaN among the weights $o" capt-beam --model nan.ckpt --store s.mdb --out x.ndjson $o t.ndjson
    said 'is told' "scores are NaN"
done
clip-featurize --quiet --weights "$TOP/tests/golden/clip_resnet" --images toy/images --features both --store s2.mdb t.ndjson
status 1 'a store of another width' capt-beam --model a.ckpt --store s2.mdb --out x.ndjson t.ndjson
said 'is named' 's2.mdb'
echo '{"id":500}' | cat - t.ndjson >miss.ndjson
status 1 'an image that is not in the store' beam --out x.ndjson miss.ndjson
said 'is named' 'image 500 is not in the store'
ok 'or skipped' beam --max-bad 1 miss.ndjson
is 'and the rest is done' "$(wc -l <"$OUT")" 10
{
    cat t.ndjson
    printf '{"id":101,"captions":["'
    head -c 20000000 /dev/zero | tr '\0' a
    printf '"]}\nno record\n{"id":"x"}\n'
} >b.ndjson
status 1 'a line of 20 MB' beam --out x.ndjson b.ndjson
said 'is named' 'b.ndjson:11: the line is longer'
ok 'is skipped, and so are others' beam --max-bad 3 b.ndjson
is 'the rest is done' "$(wc -l <"$OUT")" 10
is 'no failed run left anything' "$(ls x.ndjson* 2>/dev/null)" ''

# shards
for i in 0 1 2; do
    ok "shard $i of 3" beam --split all --shard $i/3 --out shard$i --coco shard$i.json r.ndjson
done
is 'shards hold every third record' "$(ids shard1)" "$(jq -c .id r.ndjson | sed -n '2~3p' | tr '\n' ' ')"
is 'by turns they are the whole' "$(paste -d '\n' shard0 shard1 shard2 | sed '/^$/d' | cksum)" "$(cksum <all.ndjson)"
is '--coco has the same images' "$(jq -c '.[].image_id' shard2.json)" "$(jq -c .id shard2)"
ok '--shard after --split' beam --split test --shard 1/4 r.ndjson
is 'counts what the splits leave' "$(cat "$OUT")" "$(jq -r 'select(.split == "test") | .id' r.ndjson | sed -n '2~4p' | while read -r id; do grep "^{\"id\":$id," all.ndjson; done)"
ok 'a shard without records' beam --split test --shard 20/30 --out none.ndjson --coco none.json r.ndjson
is 'is empty' "$(cat none.ndjson none.json)" '[]'

# wrong usage
for o in '--nbest 6' '--greedy --nbest 2' '--greedy --beam 4' '--sample 2 --beam 4' '--sample 2 --greedy' '--sample 2 --model b.ckpt' '--beam 0' '--temperature 0' '--images toy/images' '--encoder p.ckpt' \
    '--store s.mdb --store s.mdb' '--ensemble mean' '--ensemble-weights 1,1' '--model b.ckpt --ensemble-weights 1' '--model b.ckpt --ensemble-weights 1,x' \
    '--model b.ckpt --ensemble-weights 0,0' '--model b.ckpt --ensemble-weights 1,-1' '--model b.ckpt --ensemble-weights 1,inf' '--batch 0' \
    '--shard 2/2' '--shard 1' '--shard -1/2' '--shard a/b' '--shard 0/0' '--shard 1/2x'; do
    # shellcheck disable=SC2086
    status 2 "$o" beam --out x.ndjson $o t.ndjson
done
status 2 'weights for another number of models' beam --ensemble-weights 1,2 t.ndjson
like 'says how many' "$(cat "$ERR")" 'want one number of 0 or more for each --model, of which there is 1 '
status 2 'no model' capt-beam --store s.mdb t.ndjson
status 2 'no input' capt-beam --model a.ckpt t.ndjson
status 1 'no records' beam --out x.ndjson /dev/null
is 'says so' "$(cat "$ERR")" 'capt-beam: /dev/null: no records'
status 1 'no records of the split' beam --out x.ndjson --split tset t.ndjson
is 'says so' "$(cat "$ERR")" 'capt-beam: t.ndjson: no records of split tset; --split all takes every one'
is 'and writes nothing' "$(ls x.ndjson* 2>/dev/null)" ''

# a signal while records are read
mkfifo wait
(exec capt-beam --model a.ckpt --store s.mdb wait 2>/dev/null) &
pid=$!
# shellcheck disable=SC2016
timeout 60 sh -c 'exec 9>wait; kill -TERM $1; while kill -0 $1 2>&-; do sleep 0.1; done' sh $pid &
got=0
wait $pid || got=$?
is 'SIGTERM before the records are read: exit status 75' "$got" 75

# a signal: no half file
(exec capt-beam --model a.ckpt --store s.mdb --batch 1 --beam 100 --threads 1 --quiet --split all --out sig.ndjson r.ndjson 2>sig.err) &
pid=$!
n=0
while [ ! -e sig.ndjson.part ] && [ $n -lt 100000 ]; do n=$((n + 1)); done
kill -TERM $pid
got=0
wait $pid || got=$?
is 'SIGTERM: exit status 75' "$got" 75
like 'says how far it came' "$(cat sig.err)" 'stopped after [0-9]+ of 100 images'
is 'and leaves nothing' "$(ls sig.ndjson* 2>/dev/null)" ''
done_testing
