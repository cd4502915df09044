#!/bin/sh
# coco-split: every layout and scheme, leaks, tags, hostile files.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

official() # ID... : an annotation file with one caption an image
{
    printf '{"info":{},"licenses":[],"images":['
    sep=
    for id; do
        printf '%s{"id":%s,"file_name":"%s","coco_url":"http://images.cocodataset.org/%s/%s"}' "$sep" "$id" "$(name "$id")" "$folder" "$(name "$id")"
        sep=,
    done
    printf '],"annotations":['
    sep=
    for id; do
        printf '%s{"id":1%s,"image_id":%s,"caption":"image %s\\n"}' "$sep" "$id" "$id" "$id"
        sep=,
    done
    printf ']}\n'
}
name()
{
    case $folder in
    *2014) printf 'COCO_%s_%012d.jpg' "$folder" "$1" ;;
    *) printf '%012d.jpg' "$1" ;;
    esac
}

# Karpathy's layout
cat >k.json <<'EOF'
{"images":[
{"filepath":"val2014","sentids":[1],"filename":"COCO_val2014_000000391895.jpg","imgid":0,"split":"test","sentences":[{"tokens":["a"],"raw":"A man. ","imgid":0,"sentid":1},{"raw":"\u00c9t\u00e9"}],"cocoid":391895},
{"filepath":"val2014","filename":"COCO_val2014_000000522418.jpg","split":"restval","sentences":[{"raw":"b"}],"cocoid":522418},
{"filepath":"train2014","filename":"COCO_train2014_000000057870.jpg","split":"train","sentences":[{"raw":"c"}],"cocoid":57870}],"dataset":"coco"}
EOF
ok 'Karpathy' coco-split --scheme karpathy k.json
is 'a record' "$(head -n 1 "$OUT")" '{"id":391895,"file":"COCO_val2014_000000391895.jpg","split":"test","captions":["A man. ","Été"]}'
is 'restval stays a split' "$(jq -r .split "$OUT" | tr '\n' ' ')" 'test restval train '
like 'the table counts the overlap' "$(cat "$ERR")" '^coco-split: test +1 +2 +0 +1$'
like 'the split hash' "$(cat "$ERR")" '^coco-split: split hash [0-9a-f]{32}$'
ok 'one split' coco-split --scheme karpathy --only train,restval --folders -q k.json
is 'with folders' "$(jq -r .file "$OUT" | tr '\n' ' ')" 'val2014/COCO_val2014_000000522418.jpg train2014/COCO_train2014_000000057870.jpg '
is '-q is quiet' "$(cat "$ERR")" ''
status 1 'no such split' coco-split --scheme karpathy --only tset k.json
ok 'from stdin' sh -c 'coco-split --scheme karpathy - <k.json'

# official layouts
folder=train2014 && official 57870 384029 >t14.json
folder=val2014 && official 391895 522418 >v14.json
folder=train2017 && official 391895 57870 60623 >t17.json
folder=val2017 && official 139 >v17.json
ok 'COCO 2014' coco-split --scheme coco2014 t14.json v14.json
is 'splits and order' "$(jq -r '"\(.id) \(.split)"' "$OUT" | tr '\n' ';')" '57870 train;384029 train;391895 val;522418 val;'
is 'a newline stays JSON' "$(jq -c .captions "$OUT" | head -n 1)" '["image 57870\n"]'
status 1 'COCO 2017 leaks' coco-split --scheme coco2017 t17.json v17.json
is 'nothing is written then' "$(cat "$OUT")" ''
like 'and says so' "$(cat "$ERR")" 'leak: 2 training images .* \(first: 391895\).*--drop-leak'
ok 'dropped' coco-split --scheme coco2017 --drop-leak t17.json v17.json
is 'the rest' "$(jq -r .id "$OUT" | tr '\n' ' ')" '57870 139 '
ok 'allowed' coco-split --scheme coco2017 --allow-leak t17.json v17.json
like 'allowed and counted' "$(cat "$ERR")" '^coco-split: train +3 +3 +0 +2$'
folder=train2017 && official 391895 57870 | sed 's/,"coco_url":"[^"]*"//g; s/"info":{},//' >bare.json
status 1 'also when only the numbers tell' coco-split --scheme coco2017 train=bare.json
like 'and says so' "$(cat "$ERR")" 'leak: 1 training images .* \(first: 391895\)'
sed 's/^{/{"info":{"description":"COCO 2017 Dataset"},/' bare.json >info.json
status 1 "COCO's own words" coco-split --scheme coco2017 train=info.json
sed 's/^{/{"info":{"description":"another set"},/' bare.json >info.json
ok 'numbers of another set' coco-split --scheme coco2017 train=info.json
status 2 'not both' coco-split --scheme coco2017 --allow-leak --drop-leak t17.json
status 1 'the other year' coco-split --scheme coco2014 v17.json
status 1 'an image twice' coco-split --scheme coco2014 t14.json t14.json
folder=val2014 && official 57870 >overlap.json
status 1 'an image in two splits' coco-split --scheme coco2014 t14.json overlap.json
ok 'goes to evaluation' coco-split --scheme coco2014 --drop-leak t14.json overlap.json
is 'which keeps it' "$(jq -r '"\(.id) \(.split)"' "$OUT" | tr '\n' ';')" '384029 train;57870 val;'
ok 'the split of Karpathy, captions of the official files' coco-split --scheme karpathy --karpathy k.json v14.json
is 'splits by id' "$(jq -r '"\(.id) \(.split)"' "$OUT" | tr '\n' ';')" '391895 test;522418 restval;'
ok 'beside the splits of COCO, those of Karpathy' coco-split --scheme coco2014 --allow-leak --karpathy k.json t14.json v14.json
like 'are a table' "$(cat "$ERR")" '^coco-split: val +2 +2 +0 +0 +1 +0 +1$'
like 'of every split' "$(cat "$ERR")" '^coco-split: train +2 +2 +0 +1 +0 +0 +0$'
is 'and do not change them' "$(jq -r .split "$OUT" | tr '\n' ' ')" 'train train val val '
status 1 'an image Karpathy does not have' coco-split --scheme karpathy --karpathy k.json t14.json
status 1 'official files do not hold his split' coco-split --scheme karpathy v14.json
sed 's/,"annotations.*/}/' v14.json >info.json
ok 'image_info' coco-split --scheme coco2014 test=info.json
is 'no captions' "$(head -n 1 "$OUT")" '{"id":391895,"file":"COCO_val2014_000000391895.jpg","split":"test"}'
printf '{"images":[{"id":1,"file_name":"a.jpg"}]}' >x.json
status 1 'no split told' coco-split --scheme coco2014 x.json

# object names
cat >i.json <<'EOF'
{"annotations":[{"image_id":57870,"category_id":3,"area":10.5},{"image_id":57870,"category_id":1,"area":99},{"image_id":57870,"category_id":3,"area":100},
{"image_id":1,"category_id":1,"area":1},{"image_id":384029,"category_id":1,"area":1}],"categories":[{"id":1,"name":"person"},{"id":3,"name":"car"}]}
EOF
ok 'tags' coco-split --scheme coco2014 --instances i.json t14.json v14.json
is 'each once, the largest first' "$(jq -c .tags "$OUT" | tr '\n' ' ')" '["car","person"] ["person"] [] [] '

# Flickr
mkdir f && printf 'b.jpg\na.jpg\n' >f/Flickr_8k.trainImages.txt && printf 'c.jpg\n' >f/Flickr_8k.devImages.txt
printf 'a.jpg#0\tOne dog .\nb.jpg#0\tTwo\r\na.jpg#1\tThree "x"\nc.jpg#0\tFour\nd.jpg.1#0\tFive\n' >f/Flickr8k.token.txt
ok 'Flickr8k, a folder' coco-split --scheme flickr8k f
is 'its records' "$(cat "$OUT")" '{"id":"b","file":"b.jpg","split":"train","captions":["Two"]}
{"id":"a","file":"a.jpg","split":"train","captions":["One dog .","Three \"x\""]}
{"id":"c","file":"c.jpg","split":"val","captions":["Four"]}'
cp "$OUT" f.ndjson
like 'what is left out is counted' "$(cat "$ERR")" '1 images of the token file are in no list'
ok 'Flickr8k, files' coco-split --scheme flickr8k f/Flickr_8k.trainImages.txt f/Flickr8k.token.txt f/Flickr_8k.devImages.txt
is 'the same' "$(cat "$OUT")" "$(cat f.ndjson)"
printf 'a\nb\n' >names
ok 'Flickr30k, bare ids, split given' coco-split --scheme flickr30k test=names f/Flickr8k.token.txt
is 'in test' "$(jq -r '"\(.id) \(.split)"' "$OUT" | tr '\n' ';')" 'a test;b test;'
status 1 'a list without captions' coco-split --scheme flickr8k test=names
status 1 'captions without a list' coco-split --scheme flickr8k f/Flickr8k.token.txt
echo zz >>names
status 1 'a name without captions' coco-split --scheme flickr8k test=names f/Flickr8k.token.txt
like 'is named with its line' "$(cat "$ERR")" 'names:3: zz has no captions'
status 1 'COCO as Flickr' coco-split --scheme flickr30k k.json
like 'is told' "$(cat "$ERR")" 'k.json: the data set is coco, the scheme is flickr30k'
sed 's/"cocoid":[0-9]*/"x":1/; s/"dataset":"coco"/"dataset":"flickr30k"/' k.json >k30.json
status 1 'and Flickr as COCO' coco-split --scheme karpathy k30.json
ok 'Flickr in Karpathy layout' coco-split --scheme flickr30k k30.json
is 'ids are names' "$(jq -r .id "$OUT" | head -n 1)" 'COCO_val2014_000000391895'

# hostile files: exit 1, the place is named, nothing dies
bad() # NAME REGEX TEXT
{
    printf '%s' "$3" >bad.json
    status 1 "hostile: $1" coco-split --scheme karpathy bad.json && like "hostile: $1 is named" "$(cat "$ERR")" "$2"
}
bad 'empty' 'bad.json: the file is empty' ''
bad 'cut short' 'images\[1\]' '{"images":[{"filename":"a.jpg","split":"train","sentences":[]},{"filen'
bad 'no list' 'no "images"' '{"image":[]}'
bad 'a field missing' 'images\[0\]: "split" is missing' '{"images":[{"filename":"a.jpg","sentences":[]}]}'
bad 'a field of another type' 'images\[0\]: "cocoid" is not an integer' '{"images":[{"filename":"a.jpg","split":"train","cocoid":"1","sentences":[]}]}'
bad 'ids of two kinds' 'one kind a stream' '{"images":[{"filename":"a.jpg","split":"train","cocoid":1,"sentences":[]},{"filename":"b.jpg","split":"train","sentences":[]}]}'
bad 'a key twice' 'duplicate' '{"images":[{"filename":"a.jpg","filename":"b","split":"train","sentences":[]}]}'
bad 'an id with an exponent' 'images\[0\]: "cocoid" is not an integer' '{"images":[{"filename":"a.jpg","split":"train","cocoid":1e3,"sentences":[]}]}'
bad 'an id of 20 digits' 'images\[0\]: bad JSON.*too big' '{"images":[{"filename":"a.jpg","split":"train","cocoid":12345678901234567890,"sentences":[]}]}'
bad 'an id twice' 'image 7 is there twice' '{"images":[{"filename":"a","split":"val","cocoid":7,"sentences":[]},{"filename":"b","split":"val","cocoid":7,"sentences":[]}]}'
bad 'two layouts in one' 'neither Karpathy.s layout nor COCO.s' '{"images":[{"filename":"a","split":"val","cocoid":7,"sentences":[]},{"id":8,"file_name":"b"}]}'
bad 'images that are no list' 'images: not a list' '{"images":{"filename":"a.jpg","split":"train","sentences":[]}}'
bad 'an image that is no object' 'images\[0\]: not an object' '{"images":[17]}'
bad 'a split of 65 characters' 'capt-records' "{\"images\":[{\"filename\":\"a.jpg\",\"split\":\"$(printf %065d 0)\",\"sentences\":[]}]}"
bad 'too many captions' 'more than 1000 captions' "{\"images\":[{\"filename\":\"a.jpg\",\"split\":\"train\",\"sentences\":[$(printf '{"raw":"x"},%.0s' $(seq 1000)){\"raw\":\"x\"}]}]}"
bad 'cut inside what is stepped over' 'the file ends in the middle' '{"images":[{"filename":"a.jpg","split":"train","tokens":["a'
bad 'a number where tokens end' 'images\[0\]' '{"images":[{"filename":"a.jpg","split":"train","tokens":}]}'
bad 'NaN' 'images\[0\]: bad JSON' '{"images":[{"filename":"a.jpg","split":"train","cocoid":NaN,"sentences":[]}]}'
bad 'deep nesting' 'nested deeper' "{\"images\":[$(printf '%05000d' 0 | tr 0 '[')"'1'"$(printf '%05000d' 0 | tr 0 ']')]}"
bad 'bad UTF-8' 'images\[0\]' "$(printf '{"images":[{"filename":"\377","split":"train","sentences":[]}]}')"
bad 'text behind the end' 'the end is expected' "$(cat k.json) {}"
odd() # NAME ID-AND-FILE TEXT: strange but good
{
    printf '%s' "$3" >odd.json
    ok "odd: $1" coco-split --scheme karpathy odd.json && is "odd: $1 is read" "$(sed 's/"id":\(.*\),"file":\("[^"]*"\).*/\1,\2/; s/^{/[/; s/$/]/' "$OUT")" "$2"
}
mark=$(printf '\357\273\277')
odd 'a byte order mark and CRLF' '[1,"a.jpg"]' "$mark$(printf '{"images":[\r\n{"filename":"a.jpg","split":"train","cocoid":1,"sentences":[]}\r\n]}\r\n')"
odd 'an id above 2^53' '[9007199254740993,"a.jpg"]' '{"images":[{"filename":"a.jpg","split":"train","cocoid":9007199254740993,"sentences":[]}]}'
odd 'the last id' '[9223372036854775807,"a.jpg"]' '{"images":[{"filename":"a.jpg","split":"train","cocoid":9223372036854775807,"sentences":[]}]}'
odd 'blanks and slashes in a name' '["a  b #1","x/ y/a  b #1.jpg"]' '{"images":[{"filename":"x/ y/a  b #1.jpg","split":"train","sentences":[]}]}'
odd 'tokens with brackets and quotes, stepped over' '["a","a.jpg"]' '{"images":[{"tokens" : [["]","\"","\\",{"sentids":"}"}]],"filename":"a.jpg","split":"train","sentids":-1.5,"sentences":[{"tokens":{},"raw":"\"tokens\":[1"}]}]}'
is 'and the caption is whole' "$(jq -r '.captions[0]' "$OUT")" '"tokens":[1'

# the published sizes
sized() # JQ-PROGRAM: notes of a Karpathy file of one image without captions a split, changed by it
{
    jq -c "$1" sized.json >sized2.json
    coco-split --scheme "$2" sized2.json 2>&1 >/dev/null </dev/null | grep 'note: ' | tr '\n' ';'
}
echo '{"images":[]}' | jq -c '.images = [range(11000) | {filename: "COCO_val2014_\(. + 1000000).jpg", cocoid: (. + 1000000), split: (if . < 6000 then "val" else "test" end), sentences: []}]' >sized.json
is 'sizes of Karpathy' "$(sized . karpathy)" 'coco-split: note: train has 0 images, the published split 82783;coco-split: note: restval has 0 images, the published split 30504;coco-split: note: val has 6000 images, the published split 5000;coco-split: note: test has the published size, but only 0 of the published images;'
is 'sizes of Flickr8k' "$(sized '.images |= map(del(.cocoid) | if .split == "val" then .split = "train" else . end) | .images |= .[:7000]' flickr8k)" 'coco-split: note: val has 0 images, the published split 1000;'
is 'sizes of Flickr30k' "$(sized '.images |= map(del(.cocoid)) | .images |= .[:6001]' flickr30k)" 'coco-split: note: train has 0 images, the published split 29000;coco-split: note: val has 6000 images, the published split 1014;coco-split: note: test has 1 images, the published split 1000;'
is 'captions count too' "$(sized '.images |= map(del(.cocoid) | if .split == "val" then .split = "train" else . end) | .images |= .[:7000] | .images[0].sentences = [{raw: "x"}] | .images[6000:] |= map(.split = "val")' flickr8k)" 'coco-split: note: train has 1 captions, the published split 30000;'
like 'one official file is no whole set' "$(coco-split --scheme coco2014 v14.json 2>&1 >/dev/null </dev/null)" 'note: val has 2 images, the published split 40504'
is 'and no word of the rest' "$(coco-split --scheme coco2014 v14.json 2>&1 >/dev/null </dev/null | grep -c 'note:')" 1
is 'nor does --only hide any' "$(coco-split --scheme coco2014 --only val t14.json v14.json 2>&1 >/dev/null </dev/null | grep -c 'note:')" 2

# token files
tokens() # NAME REGEX TEXT
{
    printf '%b' "$3" >tokens.txt
    status 1 "token file: $1" coco-split --scheme flickr8k train=names1 tokens.txt && like "token file: $1 is named" "$(cat "$ERR")" "$2"
}
echo a.jpg >names1
tokens 'a caption number twice' 'tokens.txt:3: caption 0 of "a.jpg" is there twice' 'a.jpg#0\tx\na.jpg#1\ty\na.jpg#0\tx\n'
tokens 'two pictures of one id' 'tokens.txt:2: "a.jpg" and "b/a.png" have the same id' 'a.jpg#0\tx\nb/a.png#1\ty\n'
tokens 'no number' 'tokens.txt:2: not NAME#number TAB caption' 'a.jpg#0\tx\na.jpg#x\ty\n'
tokens 'no tab' 'tokens.txt:2: not NAME#number TAB caption' 'a.jpg#0\tx\na.jpg#1 y\n'
tokens 'damaged UTF-8' 'tokens.txt:1: not UTF-8 text' 'a.jpg#0\tx\0377\n'
tokens 'a NUL' 'tokens.txt:1: not UTF-8 text' 'a.jpg#0\tx\0000y\n'
printf '%sa b.jpg#0\tx\r\na b.jpg#1\ty' "$mark" >tokens.txt
printf '%s  a b.jpg\r\n\r\n' "$mark" >names1
ok 'token files with byte order marks, CRLF and blanks in names' coco-split --scheme flickr8k train=names1 tokens.txt
is 'are read' "$(cat "$OUT")" '{"id":"a b","file":"a b.jpg","split":"train","captions":["x","y"]}'

# a file of the size and shape of dataset_coco.json in 64 MiB
cat >big.py <<'P'
import os, sys, time
W = ["a", "man", "riding", "motorcycle", "street", "standing", "next", "to", "the", "two", "dogs", "wooden", "table", "with", "bowl", "of", "fruit"]
C = []
for i in range(997):
    t = [W[(i * (k + 3) + k * k) % len(W)] for k in range(9 + i % 4)]
    C.append('{"tokens": ["%s"], "raw": "%s.", ' % ('", "'.join(t), " ".join(t).capitalize()))
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.dup2(r, 0)
    os.close(w)
    os.execvp("coco-split", ["coco-split", "-q", "--scheme", "karpathy", "-"])
os.close(r)
f, n, sent = os.fdopen(w, "w", 1 << 16), 123287, 0
size = f.write('{"images": [')
for i in range(n):
    split = "test" if i < 5000 else "val" if i < 10000 else "restval" if i < 40504 else "train"
    folder, k, cocoid = "train2014" if split == "train" else "val2014", 5 + (i < 332), 600000 + 4 * i
    s = ", ".join(C[(i * 7 + j) % 997] + '"imgid": %d, "sentid": %d}' % (i, sent + j) for j in range(k))
    size += f.write('%s{"filepath": "%s", "sentids": [%s], "filename": "COCO_%s_%012d.jpg", "imgid": %d, "split": "%s", "sentences": [%s], "cocoid": %d}' % (
        ", " if i else "", folder, ", ".join(str(sent + j) for j in range(k)), folder, cocoid, i, split, s, cocoid))
    sent += k
size += f.write('], "dataset": "coco"}')
f.close()
_, status, use = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), size, use.ru_maxrss, file=sys.stderr)
P
case $B in
*/debug/*) skip 'memory' 'sanitizers need more' ;;
*)
    ok 'a file as large as COCO' python3 big.py
    is 'every image and caption' "$(jq -r '.captions | length' "$OUT" | awk '{ n += $1 } END { print NR, n }')" '123287 616767'
    # shellcheck disable=SC2046
    set -- $(tail -n 1 "$ERR")
    is 'is read' "$1" 0
    ok "it has 137 MiB ($2 bytes)" test "$2" -ge $((137 * 1048576))
    ok "in 64 MiB of memory ($3 KiB)" test "$3" -le 65536
    ;;
esac

status 1 'no such file' coco-split --scheme karpathy nothing.json
status 2 'no scheme' coco-split k.json
status 2 'no file' coco-split --scheme karpathy
status 2 'a scheme there is not' coco-split --scheme imagenet k.json

for kind in caption hypothesis tag score log total difference error feature tensor; do
    ok "schema of $kind" coco-split --print-schema $kind
    cp "$OUT" schema
    ok "schema of $kind is the one kept" cmp schema "$TOP/schemas/$kind.json"
    ok "schema of $kind is JSON" jq -e '.title != "" and .type == "object"' schema
done

ok 'the synthetic set' coco-toy -q --images 60 --out toy
ok 'its Karpathy file' coco-split --scheme karpathy toy/dataset.json
cp "$OUT" toy1
ok 'its official files' coco-split --scheme coco2014 --instances toy/instances_train.json toy/captions_train.json toy/captions_val.json
is 'have tags' "$(jq -s 'any(.[]; .tags | length > 0)' "$OUT")" true

if [ "$SHARED" ]; then
    ok 'coco_mini' coco-split --scheme karpathy "$SHARED/data/coco_mini/dataset_coco_testing.json"
    is 'five images, 25 captions' "$(jq -s '[length, (map(.captions | length) | add)] | join(" ")' "$OUT")" '"5 25"'
    ok 'the Karpathy test file as a training set' coco-split --scheme coco2014 --drop-leak train="$SHARED/data/karpathy_test/captions_karpathy_test.json" t14.json
    is 'nothing of it is left' "$(jq -r .id "$OUT" | tr '\n' ' ')" '57870 384029 '
    ok 'Flickr8k' coco-split --scheme flickr8k "$SHARED/data/flickr8k"
    is '7,000 images' "$(jq -r .split "$OUT" | sort | uniq -c | tr -s ' \n' ' ')" ' 6000 train 1000 val '
else
    skip 'published files' 'no shared data'
fi
done_testing
