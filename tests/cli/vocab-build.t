#!/bin/sh
# vocab-build: what is counted, thresholds, order, coverage, published vocabularies, refusals.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

cat >c.ndjson <<'EOF'
{"id":1,"file":"a.jpg","split":"train","captions":["A dog runs.","The dog runs, fast!","a DOG"]}
{"id":2,"split":"restval","captions":["a cat (runs)","it can't run"]}
{"id":3,"split":"val","captions":["a zebra runs","zebra zebra"]}
{"id":4,"split":"test","captions":["secret secret secret secret"]}
{"id":5,"split":"test"}
EOF
tokens() # FILE
{
    jq -r '.tokens | join(" ")' "$1"
}

ok 'words' vocab-build --type word --min-count 1 --out v.json c.ndjson
is 'stdout stays empty' "$(cat "$OUT")" ''
is 'by falling count, then by bytes; train and restval only' "$(tokens v.json)" \
    "<pad> <bos> <eos> <unk> a dog runs -lrb- -rrb- ca cat fast it n't run the"
is 'counts' "$(jq -c .counts v.json)" '[0,0,0,0,3,3,3,1,1,1,1,1,1,1,1,1]'
is 'specials' "$(jq -c .special v.json)" '{"pad":0,"bos":1,"eos":2,"unk":3}'
is 'coverage' "$(jq -c .coverage v.json)" '{"train":{"images":1,"captions":3,"tokens":9,"known":9},"restval":{"images":1,"captions":2,"tokens":9,"known":9},"val":{"images":1,"captions":2,"tokens":5,"known":2},"test":{"images":2,"captions":1,"tokens":4,"known":0}}'
like 'the table names unknown words' "$(cat "$ERR")" '^vocab-build: val +1 +2 +5 +60\.0000% +3 '
like 'the table of thresholds' "$(cat "$ERR")" '^vocab-build: +2 +3 +50\.000%'
like 'nothing is left beside the output' "$(echo *)" '^c.ndjson v.json$'

ok 'from standard input to standard output' sh -c "vocab-build --type word --min-count 1 -q <c.ndjson >w.json"
is 'it is the same file' "$(cksum <w.json)" "$(cksum <v.json)"
is '-q is quiet' "$(cat "$ERR")" ''
ok 'another order of records' sh -c "sort -r c.ndjson | vocab-build --type word --min-count 1 -q >w.json"
is 'gives the same words and hash' "$(jq -c '[.tokens,.hash]' w.json)" "$(jq -c '[.tokens,.hash]' v.json)"
ok 'a threshold' vocab-build --type word --min-count 2 --out w.json c.ndjson
is 'rare words are left out' "$(tokens w.json)" '<pad> <bos> <eos> <unk> a dog runs'
ok 'a size' vocab-build --type word --size 2 --out w.json c.ndjson
is 'the most frequent ones are kept, specials on top' "$(tokens w.json)" '<pad> <bos> <eos> <unk> a dog'
echo '{"id":1,"split":"train","captions":["zz zz zz \u00e9t\u00e9 \u00e9t\u00e9 eta eta Zebra zebra b10 b10 b9 b9 once"]}' >tie.ndjson
ok 'words of equal count' vocab-build --type word --size 6 --out w.json tie.ndjson
is 'come in the order of their bytes, and are cut there' "$(tokens w.json)" '<pad> <bos> <eos> <unk> zz b10 b9 eta zebra été'
ok 'one less' vocab-build --type word --size 4 --out w.json tie.ndjson
is 'cuts the last of the equal ones' "$(tokens w.json)" '<pad> <bos> <eos> <unk> zz b10 b9 eta'
python3 - >many.ndjson <<'P'
import json
words = ["w%d" % (i * 7919 % 20011) for i in range(20011)]
count = lambda w: 1 + int(w[1:]) * 13 % 5
lines = [w for w in words for _ in range(count(w))]
for i in range(0, len(lines), 10):
    print(json.dumps({"id": i, "split": "train" if i % 3 else "restval", "captions": [" ".join(lines[i:i + 10])]}))
open("most", "w").write(" ".join(sorted(set(words), key=lambda w: (-count(w), w.encode()))[:15000]))
P
ok 'nothing said' vocab-build --type word --out w.json many.ndjson
is 'the 15,000 most frequent words' "$(jq -r '.tokens[4:] | join(" ")' w.json | cksum)" "$({ cat most; echo; } | cksum)"
is 'are 15,004 tokens' "$(jq -c '.tokens | length' w.json)" 15004
grep -v test c.ndjson >d.ndjson
ok 'test captions taken away' vocab-build --type word --min-count 1 --out w.json d.ndjson
is 'change nothing' "$(jq -c '[.tokens,.counts,.hash]' w.json)" "$(jq -c '[.tokens,.counts,.hash]' v.json)"
echo '{"id":9,"split":"train","captions":["<eos> <eos> a <unk>"]}' >s.ndjson
ok 'specials as words' vocab-build --type word --min-count 1 --out w.json s.ndjson
is 'are no words' "$(tokens w.json)" '<pad> <bos> <eos> <unk> a'

G=$TOP/tests/golden/tokens.json
jq -r '.wordpiece.tokens[]' "$G" >vocab.txt
jq -c '.bpe.tokens | to_entries | map({(.value): .key}) | add' "$G" >vocab.json
{ echo '#version: 0.2'; jq -r '.bpe.merges[]' "$G"; } >merges.txt
ok "BERT's" vocab-build --type bert --source vocab.txt --out b.json c.ndjson
is 'type and specials' "$(jq -c '[.type,.special]' b.json)" '["bert",{"pad":0,"bos":2,"eos":3,"unk":1}]'
ok "GPT-2's" vocab-build --type gpt2 --source vocab.json --merges merges.txt --out g.json c.ndjson
like 'a file that is not the published one is noted' "$(cat "$ERR")" '^vocab-build: note: vocab.json is not the published vocab.json of GPT-2 \(SHA-256 19613966'
is 'one special' "$(jq -c '(.tokens|length-1) as $e | [.type, .special == {"pad":$e,"bos":$e,"eos":$e}]' g.json)" '["gpt2",true]'
is 'the merges' "$(jq -c .merges g.json)" "$(jq -c .bpe.merges "$G")"
is 'bytes spell everything' "$(jq -c '[.coverage[] | .tokens == .known] | all' g.json)" true
ok 'without records' vocab-build --type gpt2 --source vocab.json --merges merges.txt --out h.json
is 'there is no coverage, the same hash' "$(jq -c '[.coverage,.hash]' h.json)" "$(jq -c '[null,.hash]' g.json)"

if [ "$SHARED" ]; then
    D=$SHARED/data/tokenizers
    ok 'the published files of GPT-2' vocab-build --type gpt2 --source "$D/gpt2_vocab.json" --merges "$D/gpt2_merges.txt" --out g.json c.ndjson
    for f in gpt2_vocab.json gpt2_merges.txt; do
        like "$f is known by its hash" "$(cat "$ERR")" "^vocab-build: .*/$f: the published .* of GPT-2, byte for byte .SHA-256 $(sha256sum <"$D/$f" | cut -d ' ' -f 1).\$"
    done
    is 'and nothing of it changes' "$(jq -c '.tokens | to_entries | map({(.value): .key}) | add' g.json | jq -cS . | cksum)" "$(jq -cS . "$D/gpt2_vocab.json" | cksum)"
    is 'nor of the merges' "$(jq -r '.merges[]' g.json | cksum)" "$(sed 1d "$D/gpt2_merges.txt" | cksum)"
    f=bert_base_uncased_vocab.txt
    ok 'the published file of BERT' vocab-build --type bert --source "$D/$f" --out b.json c.ndjson
    like 'is known by its hash' "$(cat "$ERR")" "^vocab-build: .*/$f: the published vocab.txt of BERT, uncased, byte for byte .SHA-256 $(sha256sum <"$D/$f" | cut -d ' ' -f 1).\$"
    is 'and nothing of it changes' "$(jq -r '.tokens[]' b.json | cksum)" "$(cksum <"$D/$f")"
    sed 's/$/\r/' "$D/$f" >crlf.txt
    ok 'the same with CRLF' vocab-build --type bert --source crlf.txt --out b2.json
    like 'is another file' "$(cat "$ERR")" '^vocab-build: note: crlf.txt is not the published vocab.txt'
    is 'of the same vocabulary' "$(jq -r .hash b2.json)" "$(jq -r .hash b.json)"
else
    skip 'published files' 'no shared data'
fi

status 2 'no type' vocab-build c.ndjson
status 2 'gpt2 without its files' vocab-build --type gpt2 c.ndjson
status 2 'gpt2 without merges' vocab-build --type gpt2 --source vocab.json
status 2 'merges with words' vocab-build --type word --merges merges.txt c.ndjson
status 2 'a source with words' vocab-build --type word --source vocab.txt c.ndjson
status 2 'two operands' vocab-build --type word c.ndjson d.ndjson
status 1 'no such file' vocab-build --type word --out n.json nowhere
like 'it is named' "$(cat "$ERR")" '^vocab-build: nowhere: '
status 1 'a line without end' vocab-build --type word --out n.json /dev/zero
like 'is named' "$(cat "$ERR")" '/dev/zero:1: the line is longer than 1048576 bytes'
status 1 'no training captions' vocab-build --type word --out n.json "$(grep test c.ndjson >t.ndjson; echo t.ndjson)"
is 'it says so' "$(cat "$ERR")" 'vocab-build: t.ndjson: no captions in split train or restval'
status 1 'no word often enough' vocab-build --type word --min-count 50 --out n.json c.ndjson
printf '%s\n' '{"id":1,"split":"train","captions":["a"]}' '{"id":2,"captions":[7]}' >bad.ndjson
status 1 'a bad record' vocab-build --type word --min-count 1 --out n.json bad.ndjson
like 'is named with its line' "$(cat "$ERR")" 'bad.ndjson:2: '
ok 'one bad record allowed' vocab-build --type word --min-count 1 --max-bad 1 --out m.json bad.ndjson
status 1 'not the vocabulary of BERT' vocab-build --type bert --source merges.txt --out n.json
status 1 'not the vocabulary of GPT-2' vocab-build --type gpt2 --source c.ndjson --merges merges.txt --out n.json
sed '5s/.*/zz qq/' merges.txt >broken.txt
status 1 'a merge of unknown tokens' vocab-build --type gpt2 --source vocab.json --merges broken.txt --out n.json
like 'is named' "$(cat "$ERR")" 'broken.txt: merge 4, "zz qq"'
full()
{
    vocab-build --type word --min-count 1 -q c.ndjson >/dev/full
}
status 1 'a full disk' full
ok 'a failed run leaves no file' test ! -e n.json -a ! -e n.json.part
done_testing
