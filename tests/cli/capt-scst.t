#!/bin/sh
# capt-scst: options, bad inputs, stopped and killed runs. Networks of some ten thousand weights on 100 toy pictures.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"

# shellcheck disable=SC2086
capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --batch 20 --epochs 20 --lr 3e-3 --quiet --out a.ckpt
for net in vit rn; do
    # shellcheck disable=SC2086
    capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder random --encoder-config $net.json --tune-encoder \
        --batch 10 --epochs 6 --lr 3e-3 --quiet --out $net.ckpt
done

run() # OUT options...
{
    out=$1
    shift
    $exec capt-scst --init a.ckpt --captions r.ndjson --store s.mdb --batch 20 --epochs 1 --lr 1e-3 --threads 1 "$@" --out "$out"
}
pictures() # NET OUT options...
{
    net=$1 out=$2
    shift 2
    $exec capt-scst --init "$net.ckpt" --captions r.ndjson --images toy/images --batch 20 --epochs 1 --lr 1e-3 --threads 1 "$@" --out "$out"
}
said()
{
    like "$1" "$(cat "$ERR")" "$2"
}

ok 'a plain run' run b.ckpt --log b.log
said 'tells its reward' "reward CIDEr-D over 80 images' captions, the end of a sentence counted"
said 'and where it begins' '^capt-scst: before training: validation CIDEr [0-9]'
is 'nothing unfinished is left' "$(ls b.ckpt?* 2>/dev/null)" ''
is 'logs its beginning, every update, a validation before and one after, and its end' "$(jq -r .event b.log | tr '\n' ' ')" 'start val step step step step val end '
ok 'with rewards' jq -es 'map(select(.event == "step")) | all(.reward >= 0 and .advantage_sd > 0 and .length > 0)' b.log
ok 'the checkpoint is whole' capt-store verify b.ckpt
status 1 'and another than before' test "$(tensor a.ckpt wte.weight)" = "$(tensor b.ckpt wte.weight)"
# CLIPScore: the reward of the likeliest captions is what coco-score gives them
clip() # OUT options...
{
    run "$@" --clip-weights "$TOP/tests/golden/clip_open_clip" --clip-bpe "$TOP/tests/golden/clip_merges.txt.gz" --clip-images toy/images
}
ok 'CLIPScore alone' clip clip.ckpt --clipscore-weight 2 --cider-weight 0 --temperature 0.001 --samples 2 --batch 80 --max-updates 1 --log clip.log
said 'is told' 'and 2 times CLIPScore \(clip:[0-9a-f]{8}\)'
capt-beam --model a.ckpt --store s.mdb --greedy --split train,restval r.ndjson >greedy.ndjson 2>/dev/null
coco-score --refs r.ndjson --split train,restval --metrics rouge --images toy/images --clip-weights "$TOP/tests/golden/clip_open_clip" \
    --clip-bpe "$TOP/tests/golden/clip_merges.txt.gz" --json greedy.ndjson >clip.json 2>/dev/null
ok 'and is the score of the captions' jq -es --slurpfile s clip.json 'map(select(.event == "step")) | .[0].reward - 2 * $s[0].CLIPScore | fabs < 1e-4' clip.log
ok 'mixed with CIDEr-D' clip mixed.ckpt --clipscore-weight 2 --temperature 0.001 --samples 2 --batch 80 --max-updates 1 --log mixed.log
ok 'they add up' jq -es --slurpfile s clip.json 'map(select(.event == "step")) | .[0].reward - 2 * $s[0].CLIPScore > 0.01' mixed.log
ok 'with greedy captions as the baseline' clip greedy.ckpt --clipscore-weight 1 --baseline greedy --max-updates 1
status 2 'without weights' run x.ckpt --clipscore-weight 1
status 2 'without a share' clip x.ckpt
ok 'two threads' run c.ckpt --threads 2 --load-threads 3
ok 'the same bytes' cmp b.ckpt c.ckpt
ok 'document frequencies' coco-score --refs r.ndjson --split train,restval --write-df train.df --df-eos --metrics cider
ok '--df of the same captions' run d.ckpt --df train.df
is 'is taken without a warning' "$(grep -c 'other references' "$ERR")" 0
ok 'document frequencies of other captions' coco-score --refs r.ndjson --split val --write-df val.df --df-eos --metrics cider
ok '--df of other captions' run d2.ckpt --df val.df
like 'is warned of' "$(cat "$ERR")" 'val.df was counted over other references'
is 'gives the same weights' "$(tensor b.ckpt wte.weight)" "$(tensor d.ckpt wte.weight)"
for o in '--seed 3' '--samples 2' '--baseline greedy' '--baseline greedy --samples 1' '--temperature 0.5' '--no-eos' '--checks 0 --epochs 2' '--max-updates 2' \
    '--compute bf16' '--device ref' '--device guard' '--schedule linear --warmup 2' '--schedule cosine' '--decay 0.1' '--beta1 0 --beta2 0.5' \
    '--clip 0.01' '--clip 0' '--clip-value 0.001' '--epsilon 1e-3' '--lr-end 1e-3 --schedule linear' '--train-split train,val' '--val-split none' '--val-split test' \
    '--bleu-weight 0.5' '--cider-weight 0 --bleu-weight 1' '--cider-weight 2' '--compat m2' '--schedule step --lr-epochs 1 --epochs 2' '--schedule noam --lr 0.01 --warmup 3'; do
    # shellcheck disable=SC2086
    ok "$o" run o.ckpt $o
    status 1 "$o changes the checkpoint" cmp -s b.ckpt o.ckpt
done
ok 'the parts of --compat m2' run o2.ckpt --baseline beam-mean --no-eos
run o.ckpt --compat m2 2>/dev/null
status 1 'are not all of it' test "$(tensor o.ckpt wte.weight)" = "$(tensor o2.ckpt wte.weight)"
ok 'it stops when validation does not rise' run w.ckpt --lr 10 --clip 0 --epochs 9 --checks 1
said 'with a warning' 'not risen for 1 epochs: stopped, back to the weights of'
is 'and has the best weights' "$(tensor w.ckpt wte.weight)" "$(tensor a.ckpt wte.weight)"
for net in vit rn; do
    ok "$net: pictures" pictures $net p.ckpt
    is "$net: the encoder is kept" "$(capt-store ls p.ckpt | grep -c '^encoder')" "$(capt-store ls $net.ckpt | grep -c '^encoder')"
    ok "$net: --tune-encoder" pictures $net q.ckpt --tune-encoder --encoder-lr 1e-4
done
is 'an encoder that is not tuned stays' "$(tensor p.ckpt encoder.conv1.weight)" "$(tensor rn.ckpt encoder.conv1.weight)"
status 1 'one that is does not' test "$(tensor q.ckpt encoder.conv1.weight)" = "$(tensor rn.ckpt encoder.conv1.weight)"
is 'but for its statistics' "$(tensor q.ckpt encoder.bn1.running_var)" "$(tensor rn.ckpt encoder.bn1.running_var)"

# wrong usage
for o in '--samples 1' '--samples 0' '--images toy/images' '--tune-encoder' '--encoder rn.ckpt' '--baseline mean' '--temperature 0' '--lr 0' '--batch 0' 'operand'; do
    # shellcheck disable=SC2086
    status 2 "$o" run x.ckpt $o
done
for o in --init --captions --store; do
    # shellcheck disable=SC2046
    status 2 "without $o" capt-scst $(echo "--init a.ckpt --captions r.ndjson --store s.mdb --out x.ckpt" | sed "s/$o [^ ]*//")
done

# files
for o in '--init nowhere' '--captions nowhere' '--store nowhere' '--df nowhere' '--init r.ndjson' '--captions a.ckpt' '--store a.ckpt' '--df r.ndjson' '--init v.json'; do
    # shellcheck disable=SC2086
    status 1 "$o" run x.ckpt $o
    said "$o: is named" "${o#* }"
done
status 1 'a folder that is not there is told at once' run nowhere/x.ckpt --epochs 1000000
status 1 'an encoder to tune where there is none' sh -c 'capt-scst --init a.ckpt --captions r.ndjson --images toy/images --tune-encoder --out x.ckpt'
said 'says so' 'a.ckpt holds no encoder to tune'
status 1 'document frequencies without the end' sh -c 'coco-score --quiet --refs r.ndjson --split train --write-df bare.df --metrics cider && capt-scst --init a.ckpt --captions r.ndjson --store s.mdb --df bare.df --out x.ckpt'
said 'are named' 'bare.df counts sentences without their end'
clip-featurize --quiet --weights "$TOP/tests/golden/clip_resnet" --images toy/images --features both --store s2.mdb r.ndjson
status 1 'the store of another encoder' run x.ckpt --store s2.mdb
status 1 'no record of the split' run x.ckpt --train-split tarin
said 'is named' 'no record of split tarin'
printf '{"id":101,"split":"train","captions":["a"]}\n' | cat r.ndjson - >b.ndjson
status 1 'an image that is not in the store' run x.ckpt --captions b.ndjson
said 'is named' 'image 101 is not in the store'
printf '{"id":101,"split":"val"}\n' | cat r.ndjson - >b.ndjson
status 1 'a validation image without captions' run x.ckpt --captions b.ndjson
said 'is named with its line' '^capt-scst: b.ndjson:101: image 101 has no captions'
printf 'a dog\n' | cat r.ndjson - >b.ndjson
status 1 'a line that is no record' run x.ckpt --captions b.ndjson
said 'is named' 'b.ndjson:101: '
rm -f x.ckpt.best.part # the best weights so far
for n in 0 9 3000 60000; do
    head -c $n a.ckpt >cut.ckpt
    status 1 "--init cut to $n bytes" run x.ckpt --init cut.ckpt
done
cp a.ckpt nan.ckpt
set_tensor nan.ckpt ln_f.weight nan
status 1 'a NaN among the weights' run x.ckpt --init nan.ckpt --val-split none
said 'is told with the update' 'update 1: .*(NaN|not finite)'
is 'no failed run left a checkpoint' "$(ls x.ckpt x.ckpt.part 2>/dev/null)" ''

# stopped, killed
long='--batch 5 --epochs 4 --checks 2 --quiet'
# shellcheck disable=SC2086
{
    run t.ckpt.want $long
    (exec='exec' && run t.ckpt $long --log t.log >/dev/null 2>&1) &
    pid=$!
    await t.log
    kill -TERM $pid
    wait $pid 2>/dev/null
    status 1 'a run left over' run t.ckpt $long
    said 'says how to go on' 't.ckpt.part is left over .*--resume'
    status 1 'resumed with another option' run t.ckpt $long --resume --samples 4
    said 'names it' 'samples'
    cp rn.ckpt other.ckpt
    status 1 'resumed from another checkpoint' run t.ckpt $long --resume --init other.ckpt
    said 'says so' 'init'
    ok 'resumed' run t.ckpt $long --resume
    ok 'the same bytes' cmp t.ckpt t.ckpt.want
    stops 8 TERM 'features' t.ckpt run t.ckpt $long --threads 2
    pictures rn n.ckpt.want $long --tune-encoder
    stops 4 TERM 'encoder' n.ckpt pictures rn n.ckpt $long --tune-encoder --threads 2
}
done_testing
