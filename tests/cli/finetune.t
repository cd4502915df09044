#!/bin/sh
# pipelines/finetune.mk on a toy set: what is frozen stays bit for bit, what is unfrozen moves, losses fall, each tuned model has features of its own; and the
# options it stands on: --tune-stages, --recompute, exact resume with them.
. "${0%/*}/../lib.sh"
. "$TOP/tests/toy.sh"

run_make() # VARIABLE=VALUE... TARGET
{
    make -s --no-print-directory -C "$TOP" -f pipelines/finetune.mk B="${B%/bin}" D="$T/f" IMAGES=60 THREADS=2 \
        TOY_ENCODER='{"type":"clip-resnet","resolution":32,"width":4,"layers1":1,"layers2":1,"layers3":1,"layers4":1,"output_dim":16}' \
        MODEL='--model gpt2 --section grid --set tokens=0 --set layers=1 --set width=32 --set heads=2' \
        TOY='--epochs 2 --batch 16 --lr 1e-3' FROZEN='--epochs 4 --batch 16 --lr 2e-3' \
        TUNED='--epochs 3 --batch 16 --lr 1e-3 --encoder-lr 3e-4 --recompute' SCST='--epochs 1 --batch 20 --lr 1e-4 --samples 3' "$@"
}

moved() # A B: stages of the encoder whose tensors differ, and those that do not, "moved | same"
{
    python3 - "$@" <<'P'
import json, re, struct, sys
def read(path):
    d = open(path, 'rb').read()
    n = struct.unpack('<Q', d[:8])[0]
    return {k: d[8 + n + v['data_offsets'][0]:8 + n + v['data_offsets'][1]] for k, v in json.loads(d[8:8 + n]).items() if k.startswith('encoder.')}
a, b = map(read, sys.argv[1:])
assert a.keys() == b.keys() and a, (len(a), len(b))
def stage(k):
    m = re.match(r'encoder\.(layer\d|attnpool|transformer\.resblocks\.\d+)', k)
    return m.group(1).replace('attnpool', 'head').replace('transformer.resblocks.', 'block') if m else 'head' if k.startswith(('encoder.ln_post', 'encoder.proj')) else 'stem'
weights = [k for k in a if 'running_' not in k]
statistics = [k for k in a if 'running_' in k and a[k] != b[k]]
m = {stage(k) for k in weights if a[k] != b[k]}
print(*sorted(m), '|', *sorted({stage(k) for k in weights} - m), *(['statistics'] if statistics else []))
P
}

loss() # LOG: 1 if the mean of the last three losses is below that of the first three
{
    jq -s '[.[] | select(.event == "step") | .loss] | (.[-3:] | add) < (.[:3] | add)' "$1"
}

ok 'the pipeline' run_make all
is 'scores of all steps' "$(jq -r .name f/scores.ndjson | tr '\n' ';')" \
    'encoder frozen;encoder tuned;and CIDEr optimised (SCST);the same, second model;ensemble of both;'
is 'none was trained on its test images' "$(cat f/*.ndjson | jq -r 'select(.trained_on == true) | .id')" ''
is 'the captioner learns' "$(loss f/a.frozen.log)" true
is 'and so it does with the encoder' "$(loss f/a.tuned.log)" true
# (the head, which pools the grid, is not between it and the captioner)
is 'a: the last three stages moved, the others and the statistics did not' "$(moved f/encoder.ckpt f/a.tuned.ckpt)" 'layer2 layer3 layer4 | head layer1 stem'
is 'b: the last two' "$(moved f/encoder.ckpt f/b.tuned.ckpt)" 'layer3 layer4 | head layer1 layer2 stem'
is 'CIDEr optimisation on features leaves the encoder alone' "$(moved f/a.tuned.ckpt f/a.scst.ckpt)" '| head layer1 layer2 layer3 layer4 stem'
is 'three encoders, three names of features' "$(for s in frozen a b; do capt-store info --json "f/$s.mdb" | jq -r .encoder.hash; done | sort -u | wc -l)" 3
status 1 'the features of the other encoder are refused' capt-beam --model f/a.scst.ckpt --store f/b.mdb f/toy.ndjson
before=$(stat -c '%n %y' f/*)
ok 'again' run_make all
is 'nothing was made again' "$(stat -c '%n %y' f/*)" "$before"

# --tune-stages and --recompute
tune() # OUT options...
{
    out=$1
    shift
    $exec capt-train $tiny --captions r.ndjson --vocab v.json --images toy/images --encoder "$TOP/tests/golden/clip_transformers" --tune-encoder \
        --epochs 1 --batch 20 --lr 1e-3 --val-split none --out "$out" "$@"
}
ok 'all stages' tune all.ckpt
ok 'recomputed' tune re.ckpt --recompute
ok 'to the same bytes' cmp all.ckpt re.ckpt
ok 'on three threads' tune re3.ckpt --recompute --threads 3
ok 'to the same bytes' cmp all.ckpt re3.ckpt
ok 'the last block' tune one.ckpt --tune-stages 1 --section grid
like 'is named' "$(cat "$ERR")" 'of the encoder block[0-9]+, head learn$'
like 'memory is told' "$(cat "$ERR")" 'MB of memory at most'
ok 'the head alone, by name' tune head.ckpt --tune-stages head --section grid
is 'moves alone' "$(moved one.ckpt head.ckpt)" 'block1 head | block0 stem'
status 2 'a stage there is not' tune x.ckpt --tune-stages layer1
like 'the stages are named' "$(cat "$ERR")" 'stem, block0, .*head'
status 2 'stages of an encoder that is not tuned' capt-train $tiny --captions r.ndjson --vocab v.json --store s.mdb --out x.ckpt --tune-stages 1
ok 'CIDEr optimisation with the encoder' capt-scst --init all.ckpt --captions r.ndjson --images toy/images --tune-encoder --tune-stages 1 --recompute \
    --epochs 1 --max-updates 2 --samples 2 --val-split none --out sc.ckpt
like 'moves the last block' "$(moved all.ckpt sc.ckpt)" '^block[0-9]+ head \|'
ok 'CIDEr optimisation, kept activations' capt-scst --init all.ckpt --captions r.ndjson --images toy/images --tune-encoder --tune-stages 1 \
    --epochs 1 --max-updates 2 --samples 2 --val-split none --out sk.ckpt
ok 'to the same bytes' cmp sc.ckpt sk.ckpt

staged()
{
    tune p.ckpt --tune-stages 1 --recompute --batch 5 --epochs 3 --quiet --save-minutes 0 "$@"
}
ok 'undisturbed' staged
mv p.ckpt p.ckpt.want
stops 3 KILL 'one stage, recomputed' p.ckpt staged
done_testing
