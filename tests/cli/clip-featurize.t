#!/bin/sh
# clip-featurize: sections, sharding, resuming, bad images, colour spaces, signals. The networks are those of the golden tests.
. "${0%/*}/../lib.sh"

vit=$TOP/tests/golden/clip_transformers
resnet=$TOP/tests/golden/clip_resnet
cd "$T" || exit 1
coco-toy --out toy --images 40 --size 48 2>/dev/null
jq -c '.images[] | {id: .cocoid, file: .filename, split: .split}' toy/dataset.json >all.ndjson

run() # OUT options...
{
    out=$1
    shift
    clip-featurize --weights "$vit" --images toy/images --device ref --store "$out" "$@"
}

ok 'grid features' run a.mdb all.ndjson
like 'the size is told before' "$(cat "$ERR")" '40 images .*grid 16x16 f16: about .* MB'
like 'and the time, once it is known' "$(cat "$ERR")" 'images/s, the other 24 will take about [0-9]+:[0-9][0-9]$'
ok 'nothing unfinished is left' test ! -e a.mdb.part
ok 'records on standard input' sh -c 'clip-featurize --weights "$1" --images toy/images --device ref --store stdin.mdb <all.ndjson' - "$vit"
ok 'give the same bytes' cmp a.mdb stdin.mdb
ok 'another batch size and number of threads' run b.mdb --batch 7 --threads 3 all.ndjson
ok 'give the same bytes' cmp a.mdb b.mdb
ok 'one thread, which reads and encodes in turn' run b1.mdb --batch 3 --threads 1 all.ndjson
ok 'gives the same bytes' cmp a.mdb b1.mdb
ok 'more threads than images in many batches' run b16.mdb --batch 1 --threads 16 all.ndjson
ok 'give the same bytes' cmp a.mdb b16.mdb
ok 'the memory guard' sh -c 'clip-featurize --weights "$1" --images toy/images --device guard --store guard.mdb --quiet all.ndjson' - "$resnet"
is '--quiet is quiet' "$(cat "$ERR")" ''
ok 'both sections, f32, stretched, other resolution' run c.mdb --features both --dtype f32 --preprocess stretch --resolution 48 all.ndjson
like 'are announced' "$(cat "$ERR")" 'grid 36x16 \+ global 1x12 f32'
ok 'one split only' run val.mdb --split val all.ndjson
like 'has fewer images' "$(cat "$ERR")" "val.mdb: $(grep -c '"val"' all.ndjson) images"

status 1 'a split without records' run x.mdb --split tset all.ndjson
like 'is named' "$(cat "$ERR")" 'no records of split tset'

# shards
for i in 0 1 2; do
    ok "shard $i of 3" run "s$i.mdb" --shard $i/3 all.ndjson
done
ok 'shards merge' capt-store merge --out merged.mdb s2.mdb s0.mdb s1.mdb
ok 'to the bytes of one run' cmp a.mdb merged.mdb
ok 'which verify' capt-store verify a.mdb
for bad in 3/3 1 -1/2 a/b 0/0 1/2x; do
    status 2 "--shard $bad" run x.mdb --shard $bad all.ndjson
done

# resuming
cp toy/images/000000000030.jpg keep.jpg
printf 'no picture' >toy/images/000000000030.jpg
status 1 'a file that is no picture' run r.mdb --batch 4 all.ndjson
like 'is named with its id' "$(cat "$ERR")" 'id 30: 000000000030.jpg: '
ok 'and leaves the unfinished store' test -f r.mdb.part
ok 'but no finished one' test ! -e r.mdb
cp keep.jpg toy/images/000000000030.jpg
status 1 'an unfinished store is not overwritten' run r.mdb all.ndjson
like 'and says how to go on' "$(cat "$ERR")" 'continue it with --resume'
status 1 'resumed with another format' run r.mdb --resume --dtype f32 all.ndjson
like 'names what differs' "$(cat "$ERR")" 'other options.*"dtype"'
status 1 'resumed with another network' sh -c 'clip-featurize --weights "$1" --images toy/images --store r.mdb --resume all.ndjson' - "$resnet"
ok 'resumed' run r.mdb --resume all.ndjson
like 'skips what is there' "$(cat "$ERR")" '12 images \(28 stored before\)'
ok 'and gives the same bytes' cmp a.mdb r.mdb
ok 'resumed when done' run r.mdb --resume all.ndjson
like 'says so' "$(cat "$ERR")" 'complete already'

# bad images
mkdir odd
cp toy/images/000000000001.jpg odd/good.jpg
head -c 900 odd/good.jpg >odd/short.jpg
: >odd/empty.jpg
ln -s /etc/passwd odd/link.jpg
mkfifo odd/fifo.jpg
base64 -d >odd/cmyk.jpg <<'X'
/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAbEhQXFBEbFxYXHhwbIChCKyglJShROj0wQmBVZWRfVV1baniZgWpxkHNbXYW1hpCeo6ut
q2eAvMm6pseZqKuk/8AAFAgAIAAoBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIB
AwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZH
SElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV
1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwDfmre873rfd66CqM1Hne9QO9FUZqPO96gd6KozUed71A70
VRmo873qB3oruJqz/O961XeiqM1Hne9QO9FUZqPO96gd6KozUed71A70VRmo873qB3oruJqzvO961XeiqM1Hne9QO9FUZqPO96gd
6KozUed71A70VRmo873qB3oruJqz/O961XeiqM1Hne9QO9FUZqPO96gd6KozUed71A70VRmo873qB3or/9k=
X
cat >odd.ndjson <<'X'
{"id":"good","file":"good.jpg"}
{"id":"missing","file":"missing.jpg"}
{"id":"short","file":"short.jpg"}
{"id":"empty","file":"empty.jpg"}
{"id":"link","file":"link.jpg"}
{"id":"fifo","file":"fifo.jpg"}
{"id":"up","file":"../toy/images/000000000002.jpg"}
{"id":"nofile"}
{"id":"cmyk","file":"cmyk.jpg"}
not a record
X
odd()
{
    out=$1
    shift
    clip-featurize --weights "$vit" --images odd --device ref --store "$out" "$@"
}
status 1 'a missing image' odd m.mdb odd.ndjson
like 'a line that is no record comes first' "$(cat "$ERR")" 'odd.ndjson:10'
grep -v '^not' odd.ndjson >odd9.ndjson
status 1 'a missing image' odd m.mdb odd9.ndjson
like 'is named' "$(cat "$ERR")" 'id missing: missing.jpg: No such file'
ok 'nothing was stored yet, nothing is left' test ! -e m.mdb.part
status 1 'one bad record too many' odd m.mdb --max-bad 7 odd.ndjson
ok '--max-bad' odd m.mdb --max-bad 8 --errors bad.ndjson odd.ndjson
like 'the rest is stored' "$(cat "$ERR")" 'm.mdb: 2 images'
ok 'on other threads and batches' odd m1.mdb --max-bad 8 --errors bad1.ndjson --batch 2 --threads 3 odd.ndjson
ok 'the same are listed in the same order' cmp bad.ndjson bad1.ndjson
is 'all are listed' "$(jq -r .error bad.ndjson | sed 's/: .*//' | sort | tr '\n' ' ')" \
    'id empty id fifo id link id missing id short id up image nofile odd.ndjson:10 '
is 'each with its id once' "$(jq -r .error bad.ndjson | grep nofile)" 'image nofile: the record names no "file"'
like '--max-pixels' "$(odd p.mdb --max-pixels 100 odd.ndjson --max-bad 1 2>&1)" 'id good: good.jpg: .*pixels'
ok '--tolerate-warnings takes the short one' odd p.mdb --tolerate-warnings --max-bad 7 odd.ndjson

# damaged weights and wrong usage
head -c 30000 "$TOP/tests/golden/clip_open_clip/open_clip_model.safetensors" >cut.safetensors
status 1 'weights cut short' sh -c 'clip-featurize --weights cut.safetensors --images odd --store w.mdb odd.ndjson --max-bad 9'
like 'are named' "$(cat "$ERR")" 'cut.safetensors'
status 1 'weights that are no image encoder' sh -c 'clip-featurize --weights "$1" --images odd --store w.mdb --max-bad 9 odd.ndjson' - \
    "$TOP/tests/golden/clip_resnet/expected_train.safetensors"
like 'are named' "$(cat "$ERR")" 'holds no CLIP image encoder'
status 1 'no such folder' sh -c 'clip-featurize --weights "$1" --images nowhere --store w.mdb all.ndjson' - "$vit"
status 1 'no such records' run w.mdb nowhere.ndjson
status 1 'a resolution that does not fit' run w.mdb --resolution 50 all.ndjson
status 2 'no weights' clip-featurize --images odd --store w.mdb all.ndjson
status 2 'an unknown section' run w.mdb --features region all.ndjson
ok 'no run that failed to start left anything' sh -c '! ls w.mdb* 2>/dev/null'

# a signal: the batch is finished and committed, the rest done later
i=0
while [ $i -lt 50 ]; do
    jq -c --argjson n $i '.id += 40 * $n' all.ndjson
    i=$((i + 1))
done >many.ndjson
clip-featurize --weights "$resnet" --images toy/images --device ref --batch 1 --store t.mdb many.ndjson 2>t.err &
pid=$!
while [ ! -e t.mdb.part ] && kill -0 $pid; do :; done
kill -TERM $pid
got=0
wait $pid || got=$?
is 'SIGTERM: exit status 75' "$got" 75
like 'SIGTERM: says how to go on' "$(cat t.err)" 'continue with --resume'
again()
{
    clip-featurize --weights "$resnet" --images toy/images --device ref --store "$1" --resume many.ndjson
}
ok 'SIGTERM: resumed' again t.mdb
like 'SIGTERM: something was kept' "$(cat "$ERR")" '\([1-9][0-9]* stored before\)'
ok 'undisturbed' again u.mdb
ok 'gives the same bytes' cmp t.mdb u.mdb

# killed: what was committed is used, the rest done again
clip-featurize --weights "$resnet" --images toy/images --device ref --batch 1 --store k.mdb many.ndjson 2>/dev/null &
pid=$!
while [ ! -s k.mdb.part ] && kill -0 $pid; do :; done
kill -KILL $pid
wait $pid 2>/dev/null
ok 'SIGKILL: no store' test ! -e k.mdb
ok 'SIGKILL: resumed' again k.mdb
ok 'gives the same bytes' cmp k.mdb u.mdb

# other devices: near, not equal
ok 'the fast backend' run cpu.mdb --device cpu --dtype f32 all.ndjson
ok 'and the reference' run ref.mdb --dtype f32 all.ndjson
ok 'agree' capt-store diff --tolerance 1e-4 cpu.mdb ref.mdb
done_testing
