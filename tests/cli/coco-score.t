#!/bin/sh
# coco-score: layouts, joins, refusals, warnings, comparison, document frequency files.
. "${0%/*}/../lib.sh"

cat >"$T/refs.ndjson" <<'X'
{"id":1,"file":"1.jpg","split":"test","captions":["A man rides a horse.","A man on a brown horse"]}
{"id":2,"file":"2.jpg","split":"test","captions":["Two dogs play in the snow.","Dogs are playing outside."]}
{"id":3,"file":"3.jpg","split":"test","captions":["A red bus on the street","The bus is red!"]}
{"id":4,"file":"4.jpg","split":"train","captions":["A cat sleeps."]}
X
cat >"$T/hyps.ndjson" <<'X'
{"id":3,"caption":"a red bus in the street","logprob":-3.5}
{"id":1,"caption":"A man rides a brown horse.","logprob":-2,"model":"abc","trained_on":true}
{"id":2,"caption":"dogs in the snow","logprob":-4}
X
cat >"$T/results.json" <<'X'
[{"image_id": 1, "caption": "A man rides a brown horse."},
 {"image_id": 2, "caption": "dogs in the snow"}, {"image_id": 3, "caption": "a red bus in the street"}]
X
cat >"$T/coco.json" <<'X'
{"info": {}, "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}, {"id": 3, "file_name": "3.jpg"}],
 "annotations": [{"id": 1, "image_id": 1, "caption": "A man rides a horse."}, {"id": 2, "image_id": 3, "caption": "A red bus on the street"},
  {"id": 3, "image_id": 2, "caption": "Two dogs play in the snow."}, {"id": 4, "image_id": 1, "caption": "A man on a brown horse"},
  {"id": 5, "image_id": 2, "caption": "Dogs are playing outside."}, {"id": 6, "image_id": 3, "caption": "The bus is red!"}]}
X
jq -c '{images: [.[] | {filename: .file, cocoid: .id, split, sentences: [.captions[] | {raw: .}]}], dataset: "x"}' --slurp \
    "$T/refs.ndjson" >"$T/karpathy.json"
jq -c '{image_id: .id, refs: .captions, split}' "$T/refs.ndjson" >"$T/plain.ndjson"
score()
{
    coco-score --refs "$T/refs.ndjson" "$@"
}

# counts: by hand from the definition of BLEU
ok 'caption records' score --json "$T/hyps.ndjson"
first=$(cat "$OUT")
like 'what METEOR lacks is said' "$(cat "$ERR")" 'METEOR is left out, its data are not there'
like 'trained images are counted' "$(cat "$ERR")" '1 of 3 captions are of images the model was trained on'
like 'few images with their own document frequencies' "$(cat "$ERR")" 'from 3 images alone; give --df'
is 'keys of --json' "$(printf %s "$first" | jq -c 'keys_unsorted[:9]')" \
    '["n","Bleu_1","Bleu_2","Bleu_3","Bleu_4","ROUGE_L","CIDEr","signature","meteor"]'
is 'counts' "$(printf %s "$first" | jq -c '[.n, .meteor, .bleu_counts]')" \
    '[3,"absent",{"testlen":16,"reflen":16,"guess":[16,13,10,7],"correct":[15,10,5,1]}]'
for layout in coco.json karpathy.json plain.ndjson; do
    ok "references in $layout" coco-score --refs "$T/$layout" --json "$T/results.json"
    is "$layout gives the same" "$(cat "$OUT")" "$first"
done
ok 'one thread' score --threads 1 --json "$T/hyps.ndjson"
is 'threads change nothing' "$(cat "$OUT")" "$first"
from_stdin()
{
    coco-score --refs "$T/refs.ndjson" --json - <"$T/hyps.ndjson"
}
{ printf '\357\273\277'; sed 's/$/\r/' "$T/hyps.ndjson"; } >"$T/windows.ndjson"
ok 'a byte order mark and CR LF' score --json "$T/windows.ndjson"
is 'they change nothing' "$(cat "$OUT")" "$first"
ok 'standard input' from_stdin
is 'standard input gives the same' "$(cat "$OUT")" "$first"
if localedef -i de_DE -f UTF-8 "$T/de_DE.UTF-8" 2>/dev/null; then
    ok 'a locale with decimal commas' env LOCPATH="$T" LC_ALL=de_DE.UTF-8 coco-score --refs "$T/refs.ndjson" --json "$T/hyps.ndjson"
    is 'decimal commas change nothing' "$(cat "$OUT")" "$first"
else
    skip 'a locale with decimal commas' 'localedef cannot make de_DE'
fi
mkdir "$T/a b"
cp "$T/refs.ndjson" "$T/a b/re fs.ndjson"
cp "$T/hyps.ndjson" "$T/a b/hy ps.ndjson"
ok 'names with blanks' coco-score --refs "$T/a b/re fs.ndjson" --json "$T/a b/hy ps.ndjson"
is 'names with blanks give the same' "$(cat "$OUT")" "$first"

ok 'a table' score --metrics cider-plain,bleu "$T/hyps.ndjson"
like 'the table has BLEU' "$(cat "$OUT")" '^Bleu_1 +0\.9375$'
like 'and its counts' "$(cat "$OUT")" '^lengths 16 to 16, ratio 1\.0000; n-grams correct 15/16 10/13 5/10 1/7$'
like 'and ends with the signature' "$(tail -n 1 "$OUT")" '^images:3\|refs:2\|split:test\|.*df:corpus,N=3'
is 'no METEOR in it' "$(grep -ci meteor "$OUT")" 0
ok 'per image' score --per-image "$T/each.ndjson" "$T/hyps.ndjson"
is 'one record an image, in the order of the references' "$(jq -c '[.id, .ROUGE_L > 0, .trained_on]' "$T/each.ndjson" | tr '\n' ' ')" \
    '[1,true,true] [2,true,null] [3,true,null] '
sed 's/brown horse/horse/' "$T/hyps.ndjson" >"$T/other.ndjson"
ok 'two files' score "$T/hyps.ndjson" "$T/other.ndjson"
like 'the difference is shown' "$(cat "$OUT")" '^Bleu_1 .* 0\.9375 .* [+-]0\.[0-9]+ +[+-]0\.[0-9]+ [+-]0\.[0-9]+ +[01]\.[0-9]+$'
ok 'two files as JSON' score --json "$T/hyps.ndjson" "$T/other.ndjson"
is 'one object a file and one of differences' "$(jq -c 'has("difference")' "$OUT" | tr '\n' ' ')" 'false false true '

# CLIPScore, with tiny weights
coco-toy --out "$T/toy" --images 12 --size 48 2>/dev/null
coco-split --quiet --scheme karpathy "$T/toy/dataset.json" >"$T/toy.ndjson"
jq -c '{id, caption: .captions[0]}' "$T/toy.ndjson" >"$T/toyhyps.ndjson"
clip()
{
    coco-score --refs "$T/toy.ndjson" --split all --metrics rouge --images "$T/toy/images" --clip-weights "$TOP/tests/golden/$1" \
        --clip-bpe "$TOP/tests/golden/clip_merges.txt.gz" --json --per-image "$T/clip.ndjson" "$T/toyhyps.ndjson"
}
for w in clip_transformers clip_open_clip clip_resnet; do
    ok "CLIPScore by $w" clip $w
    is 'both scores are there, and the means of those an image' "$(jq -c --slurpfile e "$T/clip.ndjson" \
        '[["CLIPScore", "RefCLIPScore"][] as $k | .[$k] >= 0 and ((.[$k] - ([$e[][$k]] | add / length)) | fabs) < 1e-12]' "$OUT")" '[true,true]'
    like 'the signature names the weights' "$(jq -r .signature "$OUT")" '\|clip:[0-9a-f]{8}\|'
    like 'and a warning what they are not' "$(cat "$ERR")" 'not ViT-B/32'
done
status 2 'a folder of pictures alone' coco-score --refs "$T/toy.ndjson" --split all --images "$T/toy/images" "$T/toyhyps.ndjson"
like 'the three options go together' "$(cat "$ERR")" '--images DIR, --clip-weights FILE and --clip-bpe FILE together'
rm "$T/toy/images/$(jq -r .file "$T/toy.ndjson" | sed -n 3p)"
status 1 'a missing picture' clip clip_transformers
like 'is named' "$(cat "$ERR")" '\.jpg: No such file'

# joins
head -n 2 "$T/hyps.ndjson" >"$T/part.ndjson"
status 1 'an image without a hypothesis' score "$T/part.ndjson"
like 'is named' "$(cat "$ERR")" 'part.ndjson: 1 image has no hypothesis: 2 \(--subset'
is 'and no number is printed' "$(cat "$OUT")" ''
ok '--subset' score --subset --json "$T/part.ndjson"
is '--subset scores the others' "$(jq .n "$OUT")" 2
echo '{"id":9,"caption":"what"}' | cat "$T/hyps.ndjson" - >"$T/bad.ndjson"
status 1 'an unknown image' score --subset "$T/bad.ndjson"
like 'unknown: named' "$(cat "$ERR")" '1 image is not among the references: 9'
echo '{"id":4,"caption":"what"}' | cat "$T/hyps.ndjson" - >"$T/bad.ndjson"
status 1 'an image of another split' score "$T/bad.ndjson"
like 'other split: named' "$(cat "$ERR")" 'another split than --split names: 4'
ok 'all splits' score --split all --json "$T/bad.ndjson"
ok 'a list of splits' score --split train,test --json "$T/bad.ndjson"
echo '{"id":2,"caption":"again"}' | cat "$T/hyps.ndjson" - >"$T/bad.ndjson"
status 1 'two captions for one image' score "$T/bad.ndjson"
like 'twice: named' "$(cat "$ERR")" 'bad.ndjson: 1 image is given twice: 2'
ok '--dup first' score --dup first --json "$T/bad.ndjson"
is '--dup first takes the first' "$(jq .CIDEr "$OUT")" "$(printf %s "$first" | jq .CIDEr)"
sed 's/"id":\([0-9]\)/"id":"\1"/' "$T/hyps.ndjson" >"$T/bad.ndjson"
status 1 'strings for integers' score "$T/bad.ndjson"
like 'kinds: named' "$(cat "$ERR")" 'its ids are strings, those of .* are integers'
echo '{"id":1,"split":"test"}' >"$T/bare.ndjson"
status 1 'an image without references' coco-score --refs "$T/bare.ndjson" --subset "$T/hyps.ndjson"

# bad bytes
bad() # NAME CONTENT REGEX
{
    printf "$2" >"$T/bad.ndjson"
    status 1 "$1" score "$T/bad.ndjson"
    like "$1: said" "$(cat "$ERR")" "$3"
    is "$1: nothing printed" "$(cat "$OUT")" ''
    status 1 "$1, as references" coco-score --refs "$T/bad.ndjson" "$T/hyps.ndjson"
}
bad 'an empty file' '' 'bad.ndjson: the file is empty'
bad 'blank lines only' '\n \n' 'bad.ndjson: the file is empty'
bad 'an empty array' '[]' 'bad.ndjson: no records'
bad 'no JSON' 'a man on a horse\n' 'bad.ndjson:1: bad JSON'
bad 'a cut line' '{"id":1,"caption":"a"}\n{"id":2,"capt' 'bad.ndjson:2: bad JSON'
bad 'a cut array' '[{"image_id":1,"caption":"a"},' 'bad.ndjson: bad JSON'
bad 'a missing caption' '{"id":1,"caption":"a"}\n{"id":2}\n' 'bad.ndjson:2: "caption" is missing'
bad 'a caption that is a number' '{"id":1,"caption":7}\n' 'bad.ndjson:1: "caption" is not a string'
bad 'bytes that are not UTF-8' '{"id":1,"caption":"a"}\n{"id":2,"caption":"caf\351"}\n' 'bad.ndjson:2: byte .* not UTF-8'
bad 'mixed ids' '{"id":1,"caption":"a"}\n{"id":"2","caption":"b"}\n' 'bad.ndjson:2: the id is a string'
jq -c '.annotations[3].caption = ("x" * 10001)' "$T/coco.json" >"$T/bad.json"
status 1 'a long reference' coco-score --refs "$T/bad.json" "$T/hyps.ndjson"
like 'its image is named' "$(cat "$ERR")" 'bad.json: image 1: "captions" is longer than 10000 characters'
jq -c 'del(.annotations[4].image_id)' "$T/coco.json" >"$T/bad.json"
status 1 'an annotation of no image' coco-score --refs "$T/bad.json" "$T/hyps.ndjson"
like 'its place is named' "$(cat "$ERR")" 'bad.json: annotations\[4\]: "image_id" is missing'
bad 'annotations without captions' '{"images":[{"id":1}]}' 'bad.ndjson: '
for c in '' '. ,' '   '; do
    printf '{"id":1,"caption":"%s"}\n{"id":2,"caption":"%s"}\n{"id":3,"caption":"%s"}\n' "$c" "$c" "$c" >"$T/bad.ndjson"
    status 1 "all captions empty: '$c'" score "$T/bad.ndjson"
    like 'empty captions: said' "$(cat "$ERR")" 'all 3 captions are empty'
done
sed 's/dogs in the snow//' "$T/hyps.ndjson" >"$T/bad.ndjson"
ok 'one empty caption' score "$T/bad.ndjson"
like 'is counted' "$(cat "$ERR")" '1 of 3 captions are empty'
status 1 'a missing file' score "$T/none.ndjson"
status 1 'a folder' score "$T"

# line breaks inside captions
sed 's/dogs in the snow/dogs in\\r\\nthe\\u2028snow\\u000b/' "$T/hyps.ndjson" >"$T/bad.ndjson"
ok 'line breaks in a caption' score --json "$T/bad.ndjson"
is 'line breaks are blanks' "$(cat "$OUT")" "$first"
like 'line breaks are counted' "$(cat "$ERR")" '3 line breaks inside captions'

# control characters, the one that ends strings of C among them
sed 's/dogs in the snow/dogs in\\u0000the\\u001f\\u007fsnow/' "$T/hyps.ndjson" >"$T/bad.ndjson"
ok 'control characters in a caption' score --json "$T/bad.ndjson"
is 'control characters are blanks' "$(cat "$OUT")" "$first"
like 'control characters are counted' "$(cat "$ERR")" '3 control characters inside captions read as blanks'
ok 'without the tokenizer too' score --tokenize none --json "$T/bad.ndjson"
is 'and they part words' "$(jq .bleu_counts.testlen "$OUT")" 16
jq -c -s '[.[] | {image_id: .id, caption}]' "$T/bad.ndjson" >"$T/bad.json"
ok 'control characters in a results file' score --json "$T/bad.json"
is 'are blanks there too' "$(jq .CIDEr "$OUT")" "$(printf %s "$first" | jq .CIDEr)"
sed 's/dogs in the snow/it\\u0092s \\\\u0000/' "$T/hyps.ndjson" >"$T/bad.ndjson"
ok 'quotes of Windows-1252' score --json --per-image "$T/each.ndjson" "$T/bad.ndjson"
like 'are counted' "$(cat "$ERR")" '1 control characters U\+0080 to U\+009F inside captions read as Windows-1252'
is 'an escaped backslash is what it was' "$(jq -r 'select(.id == 2).caption[5:]' "$T/each.ndjson")" '\u0000'

# one image: its own document frequencies weigh nothing
head -n 1 "$T/refs.ndjson" >"$T/one.ndjson"
echo '{"id":1,"caption":"A man rides a horse."}' >"$T/hyp1.ndjson"
ok 'one image' coco-score --refs "$T/one.ndjson" --json "$T/hyp1.ndjson"
is 'one image has CIDEr 0' "$(jq .CIDEr "$OUT")" 0
like 'and a warning' "$(cat "$ERR")" 'from 1 image alone'

# tokens, repeats
ok '--tokenize none' score --tokenize none --json "$T/hyps.ndjson"
is 'capitals and dots count then' "$(jq -c .bleu_counts.correct "$OUT")" '[13,7,2,1]'
sed 's/dogs in the snow/dogs dogs in in in the snow/' "$T/hyps.ndjson" >"$T/rep.ndjson"
ok '--collapse-repeats' score --collapse-repeats --json "$T/rep.ndjson"
is 'repeats are one' "$(jq .CIDEr "$OUT")" "$(printf %s "$first" | jq .CIDEr)"

# document frequencies
ok '--write-df alone' score --split train,test --write-df "$T/a.df"
is 'nothing on stdout' "$(cat "$OUT")" ''
ok '--df' score --df "$T/a.df" --json "$T/hyps.ndjson"
like 'N of the file is in the signature' "$(jq -r .signature "$OUT")" 'df:[0-9a-f]{8},N=4'
is 'no warning about few images' "$(grep -c alone "$ERR")" 0
ok '--write-df of the images scored' score --write-df "$T/b.df" --json "$T/hyps.ndjson"
ok 'and back' score --df "$T/b.df" --json "$T/hyps.ndjson"
is 'gives the corpus value' "$(jq .CIDEr "$OUT")" "$(printf %s "$first" | jq .CIDEr)"
ok 'with the end of a sentence' score --df-eos --write-df "$T/c.df"
ok 'is another score' score --df "$T/c.df" --json "$T/hyps.ndjson"
like 'eos is in the signature' "$(jq -r .signature "$OUT")" ',eos'
status 1 'a df of another tokenizer' score --df "$T/b.df" --tokenize none "$T/hyps.ndjson"
head -c 300 "$T/a.df" >"$T/cut.df"
status 1 'a cut df' score --df "$T/cut.df" "$T/hyps.ndjson"
like 'cut df: named' "$(cat "$ERR")" 'cut.df: '
status 1 'no df at all' score --df "$T/refs.ndjson" "$T/hyps.ndjson"

# METEOR: its data from WordNet's files, here two words of them
status 1 '--metrics meteor without data' score --metrics meteor "$T/hyps.ndjson"
like 'what to install is said' "$(cat "$ERR")" "wordnet-base and wordnet-sense-index .* pycocoevalcap"
mkdir "$T/wn"
printf 'horse%%1:05:01:: 02374451 1 0\nknight%%1:06:00:: 02374451 1 0\nride%%2:38:01:: 01955984 1 0\n' >"$T/wn/index.sense"
for f in adj adv noun verb; do
    echo 'ridden ride' >"$T/wn/$f.exc"
done
ok 'METEOR without paraphrases' score --meteor-data "$T/wn" --json "$T/hyps.ndjson"
nopara=$(cat "$OUT")
is 'its key and state' "$(jq -c '[keys_unsorted[5], .meteor, (.signature | test("meteor:nopara,"))]' "$OUT")" '["METEOR-nopara","nopara",true]'
is 'its statistics' "$(jq -c '.meteor_stats[:8]' "$OUT")" '[16,17,7,8,8,8,6,6]'
is 'the other values stay' "$(jq -c .CIDEr "$OUT")" "$(printf %s "$first" | jq .CIDEr)"
is 'a cache was made' "$(find "$CAPT_CACHE" -name 'meteor-*' | wc -l | tr -d ' ')" 1
ok 'from the cache, one thread' score --threads 1 --meteor-data "$T/wn" --json "$T/hyps.ndjson"
is 'gives the same' "$(cat "$OUT")" "$nopara"
ok 'by the environment' env CAPT_METEOR_DATA="$T/wn" coco-score --refs "$T/refs.ndjson" --json "$T/hyps.ndjson"
is 'environment: the same' "$(cat "$OUT")" "$nopara"
mkdir "$T/wn/data"
printf '0.5\nin\non\n' | gzip >"$T/wn/data/paraphrase-en.gz"
ok 'METEOR with paraphrases' score -v --meteor-data "$T/wn" --json --per-image "$T/each.ndjson" "$T/hyps.ndjson"
is 'full: key and state' "$(jq -c '[keys_unsorted[5], .meteor]' "$OUT")" '["METEOR","full"]'
is 'full: statistics of an image' "$(jq -c 'select(.id == 3) | [.METEOR > 0.9, .meteor_stats[16:]]' "$T/each.ndjson")" '[true,[0,0,1,1,1,6,6]]'
like 'full: statistics under -v' "$(cat "$ERR")" 'paraphrase 0 1; [0-9]+ chunks'
ok 'a cache that cannot be written' env CAPT_CACHE=/proc/none coco-score --refs "$T/refs.ndjson" --meteor-data "$T/wn" --json "$T/hyps.ndjson"
head -c 25 "$T/wn/data/paraphrase-en.gz" >"$T/cut.gz"
mv "$T/cut.gz" "$T/wn/data/paraphrase-en.gz"
status 1 'a cut table' score --meteor-data "$T/wn" "$T/hyps.ndjson"
like 'cut table: named' "$(cat "$ERR")" 'paraphrase-en.gz: damaged or cut short'
is 'cut table: one line' "$(wc -l <"$ERR" | tr -d ' ')" 1
is 'cut table: no numbers' "$(cat "$OUT")" ''
status 1 'a folder without data' score --meteor-data "$T" "$T/hyps.ndjson"
like 'no data: named' "$(cat "$ERR")" 'no METEOR data in this folder'
status 1 'a file that is no jar' score --meteor-data "$T/refs.ndjson" "$T/hyps.ndjson"

# intervals
ok 'intervals again' score --json --threads 1 "$T/hyps.ndjson" "$T/other.ndjson"
one=$(tail -n 1 "$OUT")
ok 'intervals, more threads' score --json --threads 3 "$T/hyps.ndjson" "$T/other.ndjson"
is 'threads change no interval' "$(tail -n 1 "$OUT")" "$one"
is 'each score has one' "$(printf %s "$one" | jq -c '[.difference | keys_unsorted[]] + [.difference.CIDEr.interval | length]')" \
    '["Bleu_1","Bleu_2","Bleu_3","Bleu_4","ROUGE_L","CIDEr",2]'
is 'the difference is B - A' "$(printf %s "$one" | jq .difference.Bleu_1.diff)" \
    "$(head -n 2 "$OUT" | jq -s '.[1].Bleu_1 - .[0].Bleu_1')"
ok 'another seed' score --json --seed 1 "$T/hyps.ndjson" "$T/other.ndjson"
is 'is another draw' "$(tail -n 1 "$OUT" | jq -c '[.seed, .resamples]')" '[1,10000]'
ok 'no resamples' score --resamples 0 "$T/hyps.ndjson" "$T/other.ndjson"
like 'only the difference' "$(cat "$OUT")" '^Bleu_1 .* [+-]0\.[0-9]+$'
ok 'a file against itself' score --json "$T/hyps.ndjson" "$T/hyps.ndjson"
is 'differs in nothing' "$(tail -n 1 "$OUT" | jq -c .difference.CIDEr)" '{"diff":0,"interval":[0,0],"p":1}'

# faults of captions
cat >"$T/ill.ndjson" <<'X'
{"id":1,"caption":"a man on a horse on a"}
{"id":2,"caption":""}
{"id":3,"caption":"<unk> bus\u0001"}
X
ok 'ill captions' score --json "$T/ill.ndjson"
is 'their health' "$(jq -c '.health | [.bad_endings, .repeated_bigrams, .empty, .unk_rate, .mean_length] | map(. * 900 | round)' "$OUT")" '[300,300,300,100,2700]'
like 'health on stderr' "$(cat "$ERR")" '3\.00 words a caption; 33\.33% bad endings, 33\.33% with a repeated bigram, 33\.33% empty; 11\.11% of words unknown'
like 'control characters are counted' "$(cat "$ERR")" '1 control characters inside captions'
ok 'quiet' score -q "$T/ill.ndjson"
is 'no health then' "$(grep -c 'words a caption' "$ERR")" 0

# diversity
cat >"$T/many.ndjson" <<'X'
{"id":1,"caption":"a man rides a horse","candidates":[{"caption":"A man rides a horse."},{"caption":"a man on a horse"}]}
{"id":2,"caption":"dogs in the snow","candidates":[{"caption":"dogs in the snow"},{"caption":"dogs in the snow"}]}
{"id":3,"caption":"a cat sleeps"}
X
sed 's/a man on a horse/a man rides a horse/' "$T/many.ndjson" >"$T/alike.ndjson"
ok 'diversity' score --metrics diversity --json --train "$T/refs.ndjson" "$T/many.ndjson"
is 'its scores' "$(jq -c '[.n, .distinct, .vocabulary, .["mBLEU-1"] > 0.5, .["self-CIDEr"] >= 0, .["oracle-CIDEr"] > 0]' "$OUT")" '[3,4,11,true,true,true]'
like 'counts are whole numbers' "$(cat "$OUT")" '"distinct":4,"vocabulary":11,'
like 'in the table too' "$(score --metrics diversity "$T/many.ndjson" "$T/alike.ndjson" 2>/dev/null | tr -s ' ' | tr '\n' ';')" ';distinct 4 3 -1;vocabulary 11 10 -1;'
is 'novelty counts what is no training caption' "$(jq '.novelty * 3' "$OUT")" 2
sed 's/a man on a horse/a man/' "$T/many.ndjson" >"$T/less.ndjson"
ok 'diversity compared' score --metrics diversity --json "$T/many.ndjson" "$T/less.ndjson"
is 'mBLEU has an interval, the vocabulary has none' "$(tail -n 1 "$OUT" |
    jq -c '.difference | [.["mBLEU-4"].interval, .["self-CIDEr"].interval, .vocabulary.interval] | map(length)')" '[2,2,0]'
status 2 '--train without diversity' score --train "$T/refs.ndjson" "$T/many.ndjson"

# objects
cat >"$T/inst.json" <<'X'
{"images":[],"annotations":[{"image_id":2,"category_id":1},{"image_id":3,"category_id":2},{"image_id":77,"category_id":2}],
 "categories":[{"id":1,"name":"frisbee"},{"id":2,"name":"gizmo"}]}
X
cat >"$T/objects.ndjson" <<'X'
{"id":1,"caption":"a man on a horse with a cat"}
{"id":2,"caption":"dogs with a frisbee"}
{"id":3,"caption":"a bus"}
X
ok 'CHAIR' score --metrics chair --instances "$T/inst.json" --json --per-image "$T/each.ndjson" "$T/objects.ndjson"
is 'CHAIR values' "$(jq -c '[.CHAIRi * 6, .CHAIRs * 3]' "$OUT")" '[1,1]'
is 'CHAIR an image' "$(jq .CHAIRs "$T/each.ndjson" | tr '\n' ' ')" '1 0 0 '
like 'foreign categories are counted' "$(cat "$ERR")" '1 objects are of categories that CHAIR does not know'
status 2 'CHAIR without --instances' score --metrics chair "$T/objects.ndjson"
status 2 '--instances without CHAIR' score --instances "$T/inst.json" "$T/objects.ndjson"
status 1 'instances of other images' coco-score --refs "$T/one.ndjson" --metrics chair --instances "$T/inst.json" "$T/hyp1.ndjson"

# SPICE
ok '--spice-input' score --spice-input "$T/spice.json" "$T/hyps.ndjson"
is 'tokenized, in order' "$(jq -c '.[0], length' "$T/spice.json" | tr '\n' ' ')" \
    '{"image_id":1,"test":"a man rides a brown horse","refs":["a man rides a horse","a man on a brown horse"]} 3 '
jq -c '[.[] | {image_id, scores: {All: {f: (.image_id / 4)}}}]' "$T/spice.json" >"$T/spice.out"
ok '--spice-output' score --spice-output "$T/spice.out" --json --per-image "$T/each.ndjson" "$T/hyps.ndjson"
is 'SPICE is the mean' "$(jq -c .SPICE "$OUT")" 0.5
is 'SPICE an image' "$(jq -c .SPICE "$T/each.ndjson" | tr '\n' ' ')" '0.25 0.5 0.75 '
ok 'SPICE of two files' score --spice-output "$T/spice.out" --spice-output "$T/spice.out" "$T/hyps.ndjson" "$T/other.ndjson"
like 'SPICE is compared' "$(cat "$OUT")" '^SPICE +0\.5000 +0\.5000 +\+0\.0000'
status 2 'one SPICE output for two files' score --spice-output "$T/spice.out" "$T/hyps.ndjson" "$T/other.ndjson"
head -c 60 "$T/spice.out" >"$T/cut.out"
status 1 'a cut SPICE output' score --spice-output "$T/cut.out" "$T/hyps.ndjson"
for i in 1 2 3; do
    echo "{\"id\":$i,\"tuples\":[[\"dog\"],[\"dog\",\"brown\"]],\"refs\":[[[\"dog\"]],[[\"dog\",\"on\",\"sofa\"]]]}"
done >"$T/tuples.ndjson"
ok '--tuples' score --tuples "$T/tuples.ndjson" --json "$T/hyps.ndjson"
is 'F of equal tuples' "$(jq -c '.["SPICE-tuples-exact"]' "$OUT")" 0.5
mkdir -p "$T/syn/synonym"
printf 'dog\n1\nhound\n1\n' >"$T/syn/synonym/english.synsets"
printf 'dog\ndoggies\n' >"$T/syn/synonym/english.exceptions"
sed 's/"tuples":\[\["dog"/"tuples":[["hound"/' "$T/tuples.ndjson" >"$T/hound.ndjson"
ok '--tuples without synonyms' score --metrics bleu --tuples "$T/hound.ndjson" --json "$T/hyps.ndjson"
is 'F of equal tuples alone' "$(jq -c '[.["SPICE-tuples-exact"], .["SPICE-tuples"]]' "$OUT")" '[0,null]'
ok '--tuples with synonyms' score --metrics bleu --meteor-data "$T/syn" --tuples "$T/hound.ndjson" --json "$T/hyps.ndjson"
is 'F by synonyms, under a name of its own' "$(jq -c '[.["SPICE-tuples-exact"], .["SPICE-tuples"], .meteor]' "$OUT")" '[null,0.5,"absent"]'
like 'the signature names the synonyms' "$(jq -r .signature "$OUT")" '[|]synsets:[0-9a-f]{8}[|]version'
head -n 2 "$T/tuples.ndjson" >"$T/bad.ndjson"
status 1 'tuples of some images' score --tuples "$T/bad.ndjson" "$T/hyps.ndjson"
like 'which are missing' "$(cat "$ERR")" 'bad.ndjson: 1 image is missing: 3'

# a caption of 10 MB, in both layouts
big()
{
    printf '%s' "$1"
    head -c 10000000 /dev/zero | tr '\0' a
    printf '%s\n' "$2"
}
big '{"id":1,"caption":"' '"}' >"$T/bad.ndjson"
status 1 'a caption of 10 MB' score --subset "$T/bad.ndjson"
is 'in one clear line' "$(cat "$ERR")" "coco-score: $T/bad.ndjson:1: \"caption\" is longer than 10000 characters"
is 'and no number' "$(cat "$OUT")" ''
big '[{"image_id":1,"caption":"' '"}]' >"$T/bad.json"
status 1 'a caption of 10 MB in a results file' score --subset "$T/bad.json"
like 'in one clear line there' "$(cat "$ERR")" 'bad.json: item 1: "caption" is longer than 10000 characters'

# wrong usage
for m in spice clipscore Bleu; do
    status 2 "--metrics $m" score --metrics "bleu,$m" "$T/hyps.ndjson"
    is "$m: the known ones are listed" "$(cat "$ERR")" \
        "coco-score: --metrics $m: not one of bleu, meteor, rouge, cider, cider-plain, diversity, chair (see --help)"
done
status 2 'no hypotheses' score
status 2 'no references' coco-score "$T/hyps.ndjson"
status 2 'three files' score "$T/hyps.ndjson" "$T/hyps.ndjson" "$T/hyps.ndjson"
status 2 '--per-image of two files' score --per-image "$T/x" "$T/hyps.ndjson" "$T/other.ndjson"
to_full()
{
    score "$T/hyps.ndjson" >/dev/full
}
status 1 'a full disk' to_full
is 'nothing is left behind' "$(find "$T" -name '*.part')" ''

# the public scorer's values on the official demo, digit for digit
if [ -n "$SHARED" ]; then
    jq -c '.[] | {image_id, caption: .test}' "$SHARED/data/scoring/fakecap_tokenized.json" >"$T/demo.ndjson"
    ok 'the official demo' coco-score --refs "$SHARED/data/scoring/fakecap_tokenized.json" --tokenize none --json "$T/demo.ndjson"
    like 'demo: CIDEr' "$(cat "$OUT")" '"CIDEr":0\.5997905185184199'
    like 'demo: ROUGE-L and BLEU-4' "$(cat "$OUT")" '"Bleu_4":0\.19082904376742529,"ROUGE_L":0\.39625269357570847'
    K=$SHARED/data/karpathy_test
    ok 'Karpathy test' coco-score --refs "$K/captions_karpathy_test.json" --json "$K/sparse_caption_00156000.json"
    ok 'Karpathy test, verbose' coco-score -v --refs "$K/captions_karpathy_test.json" --json "$K/sparse_caption_00156000.json"
    like 'Karpathy test: tokens of the references' "$(cat "$ERR")" '307085 tokens in .*captions_karpathy_test'
    like 'Karpathy test: tokens of the captions' "$(cat "$ERR")" '52437 tokens in .*sparse'
    like 'Karpathy test: values' "$(cat "$OUT")" '"ROUGE_L":0\.58443562420059847,"CIDEr":1\.3105541570391401'
else
    skip 'the official demo' 'no shared data'
fi
done_testing
