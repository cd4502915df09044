#!/bin/sh
# capt-store: text and back, shards, what damaged files do, safetensors.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

# 300 images with two sections
awk 'BEGIN { for (i = 0; i < 300; i++) printf "{\"id\":%d,\"sections\":[{\"name\":\"grid\",\"dtype\":\"f16\",\"dim\":3,\"rows\":[[%g,1,-0.5],[0,%d,2]]},{\"name\":\"boxes\",\"dtype\":\"f32\",\"dim\":1,\"rows\":[[%g]]}]}\n", i, i / 8, i, i / 3 }' >all.ndjson
ok 'load' capt-store load --out a all.ndjson
ok 'info' capt-store info a
like 'says what it holds' "$(cat "$OUT")" '^a: feature store, 300 images, [0-9]+ bytes, ids are integers$'
ok 'info --json' capt-store info --json a
cp "$OUT" a.json
is 'the manifest' "$(jq -c '[.format, .ids, .dtype, .count, .complete, .sections[0]]' a.json)" \
    '["capt-store","int","f16",300,true,{"name":"grid","dtype":"f16","rows":0,"dim":3}]'
ok 'dump' capt-store dump a
sort "$OUT" >dumped
ok 'load the dump, shuffled' sh -c 'sort -r dumped | capt-store load --manifest a.json --out b'
ok 'the same bytes' cmp a b
ok 'one image' capt-store dump --id 17 --id 3 a
is 'is that image' "$(head -n 1 "$OUT")" '{"id":17,"sections":[{"name":"grid","dtype":"f16","dim":3,"rows":[[2.125,1,-0.5],[0,17,2]]},{"name":"boxes","dtype":"f32","dim":1,"rows":[[5.66666985]]}]}'
status 1 'an image that is not there' capt-store dump --id 999 a
status 1 'an id of the other kind' capt-store dump --id x a
is 'ls' "$(capt-store ls a | head -n 2 | tr '\t\n' ' ;')" '0 grid 2x3 f16 boxes 1x1 f32;1 grid 2x3 f16 boxes 1x1 f32;'

# shards
sed -n 1,120p all.ndjson >s0 && sed -n 121,299p all.ndjson >s1 && sed -n 300p all.ndjson >s2
for i in 0 1 2; do
    ok "shard $i" capt-store load --out "p$i" s$i
done
ok 'merge' capt-store merge --out m p2 p0 p1
ok 'merged = written whole' cmp a m
ok 'compact' capt-store compact --out k m
ok 'compacted = written whole' cmp a k
status 1 'shards that overlap' capt-store merge --out x p0 a
like 'name the image' "$(cat "$ERR")" 'id 0 is in'
sed 's/f16/bf16/' s2 >s3
ok 'a store of another dtype' capt-store load --out p3 s3
status 1 'does not merge' capt-store merge --out x p0 p3
like 'and why' "$(cat "$ERR")" '"(dtype|sections)" is'
is 'no x' "$(ls x x.part 2>/dev/null)" ''

ok 'diff: equal' capt-store diff a b
status 1 'diff: fewer images' capt-store diff a p0
like 'are counted' "$(cat "$OUT")" 'in both: 120, only in a: 180, only in p0: 0'
sed 's/,-0.5\]/,-0.75]/' all.ndjson >c.ndjson
ok 'a changed store' capt-store load --out c c.ndjson
status 1 'diff: other numbers' capt-store diff a c
like 'the largest difference' "$(cat "$OUT")" '^largest difference: 0.25, smallest cosine'
ok 'diff: within tolerance' capt-store diff --tolerance 0.25 a c

# stopped and resumed
ok 'half' sh -c 'head -n 150 all.ndjson | { cat; echo broken; } >half; ! capt-store load --resume --out r half 2>/dev/null && test -f r.part && ! test -e r'
status 1 'a part is left' capt-store load --out r all.ndjson
ok 'resume' capt-store load --resume --out r all.ndjson
ok 'the same bytes' cmp a r
is 'the part is gone' "$(ls r.part* 2>/dev/null)" ''
: >q.part && chmod 600 q.part
ok 'an empty part resumes' capt-store load --resume --out q all.ndjson

# damage
ok 'quickcheck' capt-store quickcheck a b
ok 'verify' capt-store verify a b
size=$(wc -c <a)
head -c $((size / 2)) a >short
status 1 'cut in half' capt-store quickcheck short
like 'says so' "$(cat "$ERR")" 'cut short'
status 1 'cut to one page' sh -c 'head -c 4096 a >short; capt-store info short'
status 1 'empty' sh -c ': >short; capt-store verify short'
status 1 'not a store' capt-store info all.ndjson
status 1 'a folder' capt-store info .
status 1 'not there' capt-store info nothing
flip() # OFFSET: the byte becomes another one
{
    cp a flipped && chmod 600 flipped
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $((($(dd if=a bs=1 skip="$1" count=1 2>/dev/null | od -An -tu1 | tr -d ' ') + 85) % 256)))" | dd of=flipped bs=1 seek="$1" conv=notrunc 2>/dev/null
}
at=$(LC_ALL=C grep -obUa CPTF a | sed -n 150p | cut -d : -f 1)
for o in 0 6 9 20 33 48 60 64 80 112 115 300; do
    flip $((at + o))
    status 1 "a byte at $o of a record" capt-store verify flipped
done
worst=0
for o in 16 24 40 48 64 100 120 4112 4136 4160 4200 8192 8202 8204 8208 8212 8220; do
    flip $o
    timeout 20 "$B/capt-store" verify flipped >/dev/null 2>&1 || { got=$?; [ $got -le 1 ] || worst="$got at $o"; }
done
is 'a byte of a database page: never a signal' "$worst" 0

# hostile text
bad() # NAME REGEX TEXT
{
    printf '%s\n' "$3" >bad
    status 1 "hostile: $1" capt-store load --out h bad && like "hostile: $1 is named" "$(cat "$ERR")" "$2"
}
r='"sections":[{"name":"g","dtype":"f16","dim":2,"rows":'
bad 'not JSON' 'bad:1: ' 'x'
bad 'no id' 'bad:1: "id" is missing' "{${r}[[1,2]]}]}"
bad 'no sections' '"sections" is missing' '{"id":1}'
bad 'short row' 'row 0 has not 2 numbers' "{\"id\":1,${r}[[1]]}]}"
bad 'text in a row' 'row 0, column 1 is no number' "{\"id\":1,${r}[[1,\"2\"]]}]}"
bad 'too large a number' 'row 1, column 0 does not fit f16' "{\"id\":1,${r}[[1,2],[70000,2]]}]}"
bad 'two kinds of ids' 'the ids before are integers' "{\"id\":1,${r}[[1,2]]}]}
{\"id\":\"1\",${r}[[1,2]]}]}"
bad 'an id twice' 'already stored' "{\"id\":1,${r}[[1,2]]}]}
{\"id\":1,${r}[[1,2]]}]}"
bad 'another dim' 'the manifest has 0x2 f16' "{\"id\":1,${r}[[1,2]]}]}
{\"id\":2,\"sections\":[{\"name\":\"g\",\"dtype\":\"f16\",\"dim\":1,\"rows\":[[1]]}]}"
bad 'an empty file' 'no records' ''
is 'no store came of that' "$(ls h h.part 2>/dev/null)" ''
status 2 'no command' capt-store frobnicate a
status 2 'no --out' capt-store merge a b
status 2 'operands' capt-store diff a

# safetensors
printf '\100\000\000\000\000\000\000\000{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}          \000\000\200\077\000\000\000\100' >w.safetensors
ok 'ls of safetensors' capt-store ls w.safetensors
is 'a tensor' "$(cat "$OUT")" "$(printf 'w\tf32\t(2)')"
ok 'info of safetensors' capt-store info w.safetensors
ok 'verify of safetensors' capt-store verify w.safetensors
head -c 76 w.safetensors >w2.safetensors
status 1 'cut safetensors' capt-store verify w2.safetensors
done_testing
