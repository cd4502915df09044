#!/bin/sh
# capt-train: options, bad inputs, stopped and killed runs. Networks of some ten thousand weights on 100 toy pictures.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"

run() # OUT options...
{
    out=$1
    shift
    # shellcheck disable=SC2086
    $exec capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 20 --epochs 1 --lr 1e-3 --threads 1 "$@" --out "$out"
}
pictures() # OUT CONFIG options...
{
    out=$1 enc=$2
    shift 2
    # shellcheck disable=SC2086
    $exec capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder random --encoder-config "$enc" --tune-encoder \
        --batch 20 --epochs 1 --lr 1e-3 --threads 1 "$@" --out "$out"
}
said()
{
    like "$1" "$(cat "$ERR")" "$2"
}

# what it can do
ok '--list-models' capt-train --list-models
like 'names captioners and encoders with their keys' "$(tr '\n' ' ' <"$OUT")" '  gpt2: .*    width .*  clip-vit: .*    patch .*  clip-resnet: .*    layers4 '
ok 'a plain run' run a.ckpt --log a.log
said 'tells what it trains' '80 training images, 10 validation images, .* gpt2 f32 on cpu'
is 'nothing unfinished is left' "$(ls a.ckpt?* 2>/dev/null)" ''
is 'logs its beginning, every update, a validation and its end' "$(jq -r .event a.log | sort | uniq -c | tr -s ' \n' ' ')" ' 1 end 1 start 4 step 1 val '
ok 'the checkpoint is whole' capt-store verify a.ckpt
ok 'by two threads' run b.ckpt --threads 2 --load-threads 4
ok 'the same bytes' cmp a.ckpt b.ckpt
ok 'bf16, two threads' run b1.ckpt --threads 2 --compute bf16
ok 'bf16, one' run b2.ckpt --threads 1 --compute bf16
ok 'the same bytes' cmp b1.ckpt b2.ckpt
status 1 'other than those of f32' cmp -s a.ckpt b1.ckpt
for o in '--device ref' '--device guard' '--seed 5' '--all-captions' '--max-updates 3' '--val-cider' '--val-split val,test' '--val-split none' \
    '--train-split train,val' '--accum 3' '--schedule constant' '--schedule linear --lr-end 1e-5' '--schedule noam --lr 0.1 --warmup 9' '--ema 0.5' '--warmup 2' '--decay 0.1' \
    '--beta1 0.5 --beta2 0.9' '--epsilon 1e-3' '--clip 0' '--clip 0.01' '--clip-value 0.001' '--label-smoothing 0.1' '--section global --set tokens=3' '--set map=mlp' \
    '--set dropout=0' '--set words=8' '--set positions=64' '--init a.ckpt' \
    '--init a.ckpt --init-part decoder' '--init a.ckpt --init-part embedding' '--init a.ckpt --freeze-embedding'; do
    # shellcheck disable=SC2086
    ok "$o" run o.ckpt $o --log o.log
    status 1 "$o changes the checkpoint" cmp -s a.ckpt o.ckpt
done
is '--freeze-embedding kept it' "$(tensor o.ckpt wte.weight)" "$(tensor a.ckpt wte.weight)"
run o.ckpt --init a.ckpt 2>/dev/null
status 1 'and without it is trained' test "$(tensor o.ckpt wte.weight)" = "$(tensor a.ckpt wte.weight)"
two() # OUT options...: epochs enough for what begins later
{
    out=$1
    shift
    run "$out" --batch 40 --epochs 6 "$@"
}
two a2.ckpt --schedule constant 2>/dev/null
for o in '--schedule step --lr-epochs 1' '--schedule plateau --patience 1 --lr-factor 0.01 --lr 1e-9' '--sampling-max 0.5 --sampling-step 0.5 --sampling-every 1' '--best --lr 0.3'; do
    # shellcheck disable=SC2086
    ok "$o" two o.ckpt --schedule constant $o --log o.log
    status 1 "$o changes the checkpoint" cmp -s a2.ckpt o.ckpt
done
is 'nothing but checkpoints is left' "$(ls ./*.part 2>/dev/null)" ''
two o.ckpt --schedule plateau --patience 1 --lr-factor 0.25 --lr 1e-9 --log o3.log 2>/dev/null
is '--schedule plateau falls where validation stands still' "$(jq -r 'select(.event == "step") | .lr' o3.log | sort -gru | head -n 3 | tr '\n' ' ')" '1e-09 2.5e-10 6.25e-11 '
run o.ckpt --lr 1e-9 --epochs 50 --checks 2 --log o4.log 2>/dev/null
is '--checks stops where validation stands still' "$(jq -r 'select(.event == "val") | .epoch' o4.log | tail -n 1)" 2
for m in show-tell attend-tell updown transformer m2; do
    ok "$m: trains on a grid" capt-train --model $m --set width=16 --captions r.ndjson --vocab v.json --store s.mdb --section grid --batch 40 --max-updates 2 --out z.ckpt
    ok "$m: captions" capt-beam --model z.ckpt --store s.mdb --split test --beam 2 --out z.ndjson r.ndjson
    is "$m: a line an image" "$(jq -s length z.ndjson)" 10
    status 1 "$m: a configuration that makes no model" capt-train --model $m --set width=0 --captions r.ndjson --vocab v.json --store s.mdb --out x.ckpt
    said 'is named' "$m"
done
run o.ckpt --val-cider --log o2.log 2>/dev/null
like '--val-cider logs CIDEr and a caption' "$(grep '"val"' o2.log)" '"CIDEr":.*"samples":\["'
for o in '--flip' '--crop' '--flip --crop' '--section grid' '--section global --set tokens=1' '--encoder-lr 1e-4' '--device ref'; do
    # shellcheck disable=SC2086
    ok "pictures: $o" pictures p.ckpt vit.json $o
done
ok 'pictures: the encoder of a checkpoint, frozen' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder p.ckpt --epochs 1 --out q.ckpt"
is 'is not in the new checkpoint' "$(capt-store ls q.ckpt | grep -c encoder)" 0
ok '--init with its own encoder' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --init p.ckpt --tune-encoder --epochs 1 --out q.ckpt"
like 'which is in it' "$(capt-store ls q.ckpt)" '^encoder\.'
echo '{"epochs":1,"batch":20,"lr":0.001,"section":"grid","set":["width=32","layers=2","heads=2","tokens=0"]}' >conf.json
ok '--config' capt-train --config conf.json --model gpt2 --captions r.ndjson --vocab v.json --store s.mdb --threads 1 --out c.ckpt
ok 'does as the options do' cmp a.ckpt c.ckpt

# the vocabularies of others
python3 - <<'P'
import json
byte = [*range(33, 127), *range(161, 173), *range(174, 256)]
alphabet = [chr(b) for b in byte] + [chr(256 + i) for i in range(256 - len(byte))]
merges = ['\u0120 a', 't h', 'r e', 'th e']
words = alphabet + [m.replace(' ', '') for m in merges] + ['<|endoftext|>']
json.dump({w: i for i, w in enumerate(words)}, open('gpt2.json', 'w'))
open('merges.txt', 'w', encoding='utf8').write('#version: 0.2\n' + ''.join(m + '\n' for m in merges))
P
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a red blue circle square there is on the . '##s' star t '##h' >bert.txt
[ -z "$SHARED" ] || [ ! -f "$SHARED/data/tokenizers/gpt2/vocab.json" ] || cp "$SHARED/data/tokenizers/gpt2/vocab.json" gpt2.json
[ -z "$SHARED" ] || [ ! -f "$SHARED/data/tokenizers/gpt2/merges.txt" ] || cp "$SHARED/data/tokenizers/gpt2/merges.txt" merges.txt
ok 'a GPT-2 vocabulary' vocab-build --type gpt2 --source gpt2.json --merges merges.txt --out gpt2.vocab r.ndjson
ok 'a BERT vocabulary' vocab-build --type bert --source bert.txt --out bert.vocab r.ndjson
for v in gpt2 bert; do
    ok "$v: trains" run $v.ckpt --vocab $v.vocab --max-updates 2
    ok "$v: captions" capt-beam --model $v.ckpt --store s.mdb --split test --beam 2 --batch 5 --out $v.ndjson r.ndjson
    is "$v: a line an image" "$(jq -s length $v.ndjson)" 10
done

# wrong usage
status 2 'an unknown model' run x.ckpt --model lstm
said 'lists the known' 'lstm: not one of gpt2'
for o in '--model' '--lr 0' '--lr nan' '--lr -1' '--epochs 0' '--batch 0' '--batch 1000000 --accum 1000000' '--schedule quadratic' '--label-smoothing 1' \
    '--beta2 1' '--init-part none' '--set widht=3' '--set width' '--set width=a' '--set width=1e3' '--set width=99999999999999999999' \
    '--set dropout=nan' '--set feature=global' '--set feature_dim=3' '--images toy/images' '--encoder random' '--tune-encoder' \
    '--device abacus' 'operand'; do
    # shellcheck disable=SC2086
    status 2 "$o" run x.ckpt $o
done
for o in --model --captions --vocab --store; do
    # shellcheck disable=SC2046
    status 2 "without $o" capt-train $(echo "$tiny --captions r.ndjson --vocab v.json --store s.mdb --out x.ckpt" | sed "s/$o [^ ]*//")
done
status 2 'pictures without an encoder' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --out x.ckpt"
status 2 'a random encoder that stays random' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder random --out x.ckpt"
status 2 'a word that a key does not have' run x.ckpt --set map=x
said 'those it has are named' '--set map=x: not one of '
for m in show-tell attend-tell updown transformer m2; do
    status 2 "$m: an unknown variant" capt-train --model $m --set compat=other --captions r.ndjson --vocab v.json --store s.mdb --out x.ckpt
    said 'the known ones are named' '--set compat=other: not one of [a-z0-9]+\|[a-z0-9]+ '
done

# configurations that make no model
for o in width=31 width=0 width=-4 width=2000000000 words=1 words=2000000000 layers=0 layers=1000000 heads=0 dropout=1 dropout=-1 tokens=-1 \
    tokens=2000000000 positions=5 feature_rows=3; do
    status 1 "--set $o" run x.ckpt --set $o
    said "$o is named" 'gpt2|rows'
done

# files that are not there, or not what they should be
for o in '--captions nowhere' '--vocab nowhere' '--store nowhere' '--init nowhere' '--vocab r.ndjson' '--store r.ndjson' '--init r.ndjson' '--store a.ckpt'; do
    # shellcheck disable=SC2086
    status 1 "$o" run x.ckpt $o
    said "$o: is named" "${o#* }"
done
status 1 'a folder that is not there is told at once' run nowhere/x.ckpt --epochs 1000000
said 'by name' 'nowhere: No such file'
status 1 'a folder as output' run toy --epochs 1000000
status 1 'no record of the split' run x.ckpt --train-split tarin
said 'is named' 'no record of split tarin'
status 1 'a section the store lacks' run x.ckpt --section regions
said 'is named' 'no section "regions"'
status 1 'an encoder that is none' sh -c "capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder a.ckpt --out x.ckpt"
said 'says so' 'a.ckpt: this checkpoint holds no encoder'
status 1 '--encoder-config of an unknown type' pictures x.ckpt v.json
echo '{"type":"clip-vit","resolution":32,"patch":5,"width":32}' >bad.json
status 1 '--encoder-config that makes no encoder' pictures x.ckpt bad.json

# models and inputs that do not go together; SC2086: $long is several words
# shellcheck disable=SC2086
vocab-build --quiet --type word --min-count 5 --out v5.json r.ndjson
status 1 '--init with another vocabulary' run x.ckpt --init a.ckpt --vocab v5.json
said 'is named' 'a.ckpt was trained with another vocabulary'
ok 'but the rest of it may be taken' run x.ckpt --init a.ckpt --init-part decoder --vocab v5.json
rm -f x.ckpt
status 1 '--init of another shape' run x.ckpt --init a.ckpt --set width=64
said 'names the tensor' 'a.ckpt: .* has .* elements'
clip-featurize --quiet --weights "$TOP/tests/golden/clip_resnet" --images toy/images --features both --store s2.mdb r.ndjson
long='--epochs 50'
# shellcheck disable=SC2086
(exec='exec' && run cut.ckpt $long --log cut.log >/dev/null 2>&1) &
pid=$!
await cut.log
kill -TERM $pid
wait $pid 2>/dev/null
ok 'a run stopped early leaves its state' test -e cut.ckpt.part

# unfinished runs
status 1 'a run left over' run cut.ckpt $long
said 'says how to go on' 'cut.ckpt.part is left over .*--resume'
status 1 'resumed with another option' run cut.ckpt $long --resume --lr 2e-3
said 'names it' '"?lr"?'
status 1 'resumed with another model' run cut.ckpt $long --resume --set layers=1
said 'names what differs' '"?set"?'
head -n 99 r.ndjson >r99.ndjson
status 1 'resumed with other captions' run cut.ckpt $long --resume --captions r99.ndjson
said 'says so' 'captions|split'
status 1 'resumed with another vocabulary' run cut.ckpt $long --resume --vocab v5.json
said 'says so' 'vocab'
status 1 "resumed with another encoder's store" run cut.ckpt $long --resume --store s2.mdb
said 'says so' 'width|encoder|rows|features'
cp cut.ckpt.part saved
for n in 0 7 8 100 1000 5000 20000 100000; do
    head -c $n saved >cut.ckpt.part
    status 1 "cut to $n bytes" run cut.ckpt $long --resume
    said "cut to $n bytes: is named" 'cut.ckpt.part'
done
i=0
while [ $i -lt 12 ]; do
    i=$((i + 1))
    at=$(($(od -An -N4 -tu4 /dev/urandom) % $(wc -c <saved)))
    cp saved cut.ckpt.part
    flip cut.ckpt.part $at $((i % 8))
    status 1 "bit $((i % 8)) of byte $at flipped" run cut.ckpt $long --resume
done
cp saved cut.ckpt.part
ok 'undamaged, it goes on' run cut.ckpt $long --resume
ok 'undisturbed' run cut2.ckpt $long
ok 'the same bytes' cmp cut.ckpt cut2.ckpt
cp a.ckpt d.ckpt.part
status 1 'a finished checkpoint in the place of an unfinished run' run d.ckpt --resume
said 'is named' 'd.ckpt.part holds no unfinished run'
for n in 0 9 3000 60000; do
    head -c $n a.ckpt >init.ckpt
    status 1 "--init cut to $n bytes" run x.ckpt --init init.ckpt
done
cp a.ckpt init.ckpt
flip init.ckpt $(($(wc -c <a.ckpt) - 5000)) 3
status 1 '--init with a bit flipped' run x.ckpt --init init.ckpt
said 'names the tensor' 'init.ckpt: .* is damaged'
cp a.ckpt init.ckpt
flip init.ckpt 400 1
status 1 '--init with a bit of its configuration flipped' run x.ckpt --init init.ckpt

# numbers that are none
cp a.ckpt nan.ckpt
set_tensor nan.ckpt ln_f.weight nan
status 1 'a NaN among the weights' run x.ckpt --init nan.ckpt
said 'ends the run, naming the update' 'update 1: the loss is not finite'
python3 - <<'P'
import struct
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"
head += ' ' * (-(len(head) + 11) % 64) + '\n'
open('nan.npy', 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + struct.pack('<8f', 1, 2, 3, float('nan'), 5, 6, 7, 8))
P
printf '1\n2\n' >names
status 1 'vinvl-import refuses a NaN' vinvl-import --format npy --names names --store nan.mdb nan.npy
said 'by name' 'NaN|not finite|infinit'

# unfinished stores
cp s.mdb half.mdb.part
status 1 'an unfinished store' run x.ckpt --store half.mdb
status 1 'by its own name' run x.ckpt --store half.mdb.part --captions r99.ndjson --init nowhere
head -c 100000 s.mdb >half.mdb
status 1 'a store cut short' run x.ckpt --store half.mdb
said 'is named' 'half.mdb'

# records
record() # NAME REGEX LINE
{
    printf '%s\n' "$3" | cat r.ndjson - >b.ndjson
    status 1 "$1" run x.ckpt --captions b.ndjson
    said "$1: is named" "$2"
}
record 'no JSON' 'b.ndjson:101: ' 'a dog'
record 'no id' 'b.ndjson:101: "id" is missing' '{"split":"train","captions":["a"]}'
record 'no captions' '^capt-train: b.ndjson:101: image 101 has no captions' '{"id":101,"split":"train"}'
record 'captions of the wrong type' 'b.ndjson:101: "captions"' '{"id":101,"split":"train","captions":"a"}'
record 'ids of two kinds' 'b.ndjson:101: the id is a string' '{"id":"101","split":"train","captions":["a"]}'
record 'an id twice' 'b.ndjson:101: id 1 was already given' '{"id":1,"split":"train","captions":["a"]}'
record 'not in the store' 'image 101 is not in the store' '{"id":101,"split":"train","captions":["a"]}'
record 'not UTF-8' 'b.ndjson:101: ' "$(printf '{"id":101,"split":"train","captions":["\377"]}')"
{
    cat r.ndjson
    printf '{"id":101,"split":"train","captions":["'
    head -c 20000000 /dev/zero | tr '\0' a
    printf '"]}\n'
} >b.ndjson
status 1 'a line of 20 MB' run x.ckpt --captions b.ndjson
said 'is named' 'b.ndjson:101: the line is longer'

# pictures
for f in cmyk grey short huge missing; do
    echo "{\"id\":1,\"file\":\"$f.jpg\",\"split\":\"train\",\"captions\":[\"a red circle\"]}" >one.ndjson
    case $f in cmyk | grey) want=0 ;; *) want=1 ;; esac
    status $want "a picture: $f" pictures x.ckpt vit.json --captions one.ndjson --images odd
    [ $want = 0 ] || said "$f: is named" "$f.jpg"
    rm -f x.ckpt
done
rm -f x.ckpt.part
status 1 '--max-pixels' pictures x.ckpt vit.json --max-pixels 100
said 'names the first' '\.jpg: .*pixels'
is 'no failed run left a checkpoint' "$(ls x.ckpt* 2>/dev/null)" ''

# stopped, killed: the same bytes. --threads 1 above and 2 here
run t.ckpt.want --batch 5 --accum 3 --epochs 60 --set dropout=0.2 --quiet
stops 20 TERM 'features' t.ckpt run t.ckpt --batch 5 --accum 3 --epochs 60 --set dropout=0.2 --quiet --threads 2
all='--batch 10 --epochs 12 --set dropout=0.2 --quiet --schedule plateau --patience 1 --ema 0.9 --sampling-max 0.5 --sampling-step 0.25 --sampling-every 2 --checks 4'
# shellcheck disable=SC2086
run u.ckpt.want $all
# shellcheck disable=SC2086
stops 6 TERM 'means, mixed words, falls' u.ckpt run u.ckpt $all --threads 2
# shellcheck disable=SC2086
stops 4 KILL 'means, mixed words, falls' u.ckpt run u.ckpt $all --save-minutes 0
pictures n.ckpt.want rn.json --batch 5 --accum 3 --epochs 10 --flip --crop --quiet
stops 6 TERM 'pictures, batch statistics' n.ckpt pictures n.ckpt rn.json --batch 5 --accum 3 --epochs 10 --flip --crop --quiet --threads 2
stops 4 KILL 'pictures, batch statistics' n.ckpt pictures n.ckpt rn.json --batch 5 --accum 3 --epochs 10 --flip --crop --quiet --save-minutes 0
tuned() # OUT options...: an encoder from a file, whose statistics stay
{
    out=$1
    shift
    # shellcheck disable=SC2086
    $exec capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder n.ckpt.want --tune-encoder --batch 5 --epochs 6 \
        --lr 1e-3 --quiet "$@" --out "$out"
}
tuned l.ckpt.want
stops 4 TERM 'an encoder from a file' l.ckpt tuned l.ckpt
is 'which kept its statistics' "$(tensor l.ckpt.want encoder.bn1.running_mean)" "$(tensor n.ckpt.want encoder.bn1.running_mean)"
done_testing
