#!/bin/sh
# capt-floor: the constant caption. (The nearest one needs a store: tests/unit/floor_test.c.)
. "${0%/*}/../lib.sh"

cat >"$T/caps.ndjson" <<'X'
{"id":"a","split":"train","captions":["A dog runs on grass.","The big dog"]}
{"id":"b","split":"restval","captions":["a man on a bench","A man sits on a bench."]}
{"id":"c","split":"val","captions":["A man sits on a wooden bench.","man sits on a bench"]}
{"id":"d","split":"val","captions":["A man sits on a bench outside","Somebody sits."]}
{"id":"e","split":"val","captions":["a bus"]}
{"id":"f","split":"test","captions":["A man sits on a bench."]}
{"id":"g","split":"test"}
X
ok 'constant' capt-floor --captions "$T/caps.ndjson"
is 'the validation images choose it' "$(jq -c '[.id, .caption]' "$OUT" | tr '\n' ' ')" \
    '["f","A man sits on a bench."] ["g","A man sits on a bench."] '
cp "$OUT" "$T/all.ndjson"
said=$(sed -n 's/.*CIDEr \([0-9.]*\) on 3 images.*/\1/p' "$ERR")
ok 'one thread' capt-floor --threads 1 --captions "$T/caps.ndjson"
is 'threads change nothing' "$(cat "$OUT")" "$(cat "$T/all.ndjson")"
for i in c d e; do
    printf '{"id":"%s","caption":"A man sits on a bench."}\n' "$i"
done >"$T/val.ndjson"
ok 'its score' coco-score --refs "$T/caps.ndjson" --split val --json "$T/val.ndjson"
is 'is the one coco-score gives' "$(jq .CIDEr "$OUT" | cut -c 1-7)" "$(printf %s "$said" | cut -c 1-7)"
ok 'a draw of candidates' capt-floor --candidates 2 --seed 3 --captions "$T/caps.ndjson"
like 'is said' "$(cat "$ERR")" '2 of 4 distinct training captions tried'
cp "$OUT" "$T/drawn.ndjson"
ok 'the same draw' capt-floor --candidates 2 --seed 3 --captions "$T/caps.ndjson"
is 'gives the same' "$(cat "$OUT")" "$(cat "$T/drawn.ndjson")"
status 1 'no such split' capt-floor --split dev --captions "$T/caps.ndjson"
like 'no such split: named' "$(cat "$ERR")" 'no images in split dev'
status 1 'no validation images' capt-floor --val-split dev --captions "$T/caps.ndjson"
grep test "$T/caps.ndjson" >"$T/bad.ndjson"
status 1 'no training images' capt-floor --captions "$T/bad.ndjson"
status 2 'training images to caption' capt-floor --split train --captions "$T/caps.ndjson"
status 2 'nearest without a store' capt-floor --kind nearest --captions "$T/caps.ndjson"
status 1 'nearest with a missing store' capt-floor --kind nearest --store "$T/none" --captions "$T/caps.ndjson"

done_testing
