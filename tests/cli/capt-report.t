#!/bin/sh
# capt-report: what is on the page, and that nothing foreign gets into its markup.
. "${0%/*}/../lib.sh"

mkdir -p "$T/set/images" "$T/set/page" "$T/far"
cd "$T/set" || exit 1
# the smallest file that counts as a picture
picture()
{
    printf '\377\330\377\340rest of the picture' >"$1"
}
picture images/a.jpg
picture 'images/b "><script>x.jpg'
picture 'images/c #1%.jpg'
cat >refs.ndjson <<'EOF'
{"id":1,"file":"a.jpg","split":"test","captions":["A dog runs.","One dog & a <b>ball</b>."]}
{"id":2,"file":"b \"><script>x.jpg","split":"test","captions":["\"quoted\" 'text'"]}
{"id":3,"file":"c #1%.jpg","split":"test"}
{"id":4,"file":"gone.jpg","split":"test","captions":["x"]}
{"id":5,"file":"../refs.ndjson","split":"test","captions":["x"]}
{"id":6,"split":"test","captions":["x"]}
{"id":7,"file":"text.jpg","split":"test","captions":["x"]}
EOF
echo text >images/text.jpg
cat >hyps.ndjson <<'EOF'
{"id":1,"caption":"a dog \u202eruns\u0007"}
{"id":2,"caption":"</p><script>alert(1)</script>\" onerror=\"x","trained_on":true}
{"id":3,"caption":"nothing to see"}
EOF
cat >xe.log <<'EOF'
{"event":"start","ts":1}
{"event":"step","step":1,"epoch":0,"loss":4.0,"lr":0.001}
{"event":"step","step":2,"epoch":0,"loss":9.0}
{"event":"resume","step":1}
{"event":"step","step":2,"epoch":0,"loss":2.0}
{"event":"step","step":3,"epoch":0,"loss":null}
{"event":"val","step":3,"epoch":0,"val_loss":2.5,"CIDEr":0.5}
EOF
cat >scst.log <<'EOF'
{"event":"step","step":1,"loss":-70.0,"reward":0.25}
{"event":"step","step":2,"loss":-70.0,"reward":0.75}
EOF
cat >scores.ndjson <<'EOF'
{"name":"floor <1>","n":3,"Bleu_4":0.125,"CIDEr":0.25}
{"n":3,"Bleu_4":0.5,"CIDEr":1.25,"signature":"<sig>"}
EOF

ok 'a page' capt-report --refs refs.ndjson --images images --scores scores.ndjson --log xe.log --log scst.log --out report.html hyps.ndjson
page=$(cat report.html)
has()
{
    if grep -Fq -e "$2" "${3:-report.html}"; then result 0 "$1"; else result 1 "$1"; fi
}
hasnt()
{
    if grep -Fq -e "$2" "${3:-report.html}"; then result 1 "$1"; else result 0 "$1"; fi
}
has 'the policy allows no script' "content=\"default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'\""
hasnt 'no script element' '<script'
hasnt 'no event handler from a caption' '" onerror'
has 'a caption is escaped' '&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot; onerror=&quot;x'
has 'alt is the caption' 'alt="&lt;/p&gt;&lt;script'
has 'references are escaped' 'One dog &amp; a &lt;b&gt;ball&lt;/b&gt;.'
has 'apostrophes too' '&quot;quoted&quot; &#39;text&#39;'
is 'control and direction marks are replaced' "$(grep -c 'a dog ��*runs�*' report.html)" 2
is 'no control character is left' "$(tr -d '\n\t -\377' <report.html | wc -c | tr -d ' ')" 0
has 'a picture below the page is linked' 'src="images/a.jpg"'
has 'a hostile file name is encoded' 'src="images/b%20%22%3E%3Cscript%3Ex.jpg"'
has 'so are the marks of URLs' 'src="images/c%20%231%25.jpg"'
has 'an image trained on is marked' '>trained on<'
has 'score names are escaped' 'floor &lt;1&gt;'
has 'the best score stands out' '<td class="best">1.250</td>'
has 'unnamed scores are numbered' '>scores 2<'
is 'four charts' "$(grep -c '<svg' report.html)" 4
has 'steps behind a resume replace what they repeat' 'aria-label="Training loss: xe from 4 to 2;"'
has 'the loss of reward runs stays out' 'aria-label="Reward of samples (CIDEr-D): scst from 0.25 to 0.75;"'
is 'opening and closing tags pair' "$(printf %s "$page" | grep -oE '</?(div|section|figure|figcaption|p|ul|li|table|tr|td|th|svg|small|main|body|html)[ >]' | tr -d '</ >' | sort | uniq -c | awk '$1 % 2')" ''
ok 'again' capt-report --refs refs.ndjson --images images --scores scores.ndjson --log xe.log --log scst.log --out again.html hyps.ndjson
ok 'equal inputs, equal bytes' cmp report.html again.html

ok 'the page beside the pictures' capt-report --refs refs.ndjson --images images --out page/r.html hyps.ndjson
has 'is linked by the parent folder' 'src="../images/a.jpg"' page/r.html
ok 'the page among the pictures' capt-report --refs refs.ndjson --images images --out images/r.html hyps.ndjson
has 'is linked by name' 'src="a.jpg"' images/r.html
mkdir "$T/far/off"
ok 'the page elsewhere' capt-report --refs refs.ndjson --images images --out "$T/far/off/r.html" hyps.ndjson
has 'holds the pictures' 'src="data:image/jpeg;base64,/9j/4HJlc3Qgb2YgdGhlIHBpY3R1cmU="' "$T/far/off/r.html"
ok '--embed' capt-report --embed --refs refs.ndjson --images images --out e.html hyps.ndjson
has '--embed holds the pictures' 'src="data:image/jpeg;base64,/9j/' e.html
ok 'to stdout' capt-report --refs refs.ndjson --images images --out - hyps.ndjson
is 'the same' "$(cat "$OUT")" "$(cat e.html)"
ok '--limit' capt-report --limit 2 --refs refs.ndjson --images images --out l.html hyps.ndjson
is '--limit 2 shows two' "$(grep -c '<figure>' l.html)" 2
printf '{"id":1,"caption":"other words"}\n' >other.ndjson
ok 'two files' capt-report --refs refs.ndjson --images images --out two.html hyps.ndjson other.ndjson
has 'both have their names' '<b class="dim">other</b>other words' two.html

# bad input
bad()
{
    printf '{"id":%s,"caption":"x"}\n' "$2" >bad.ndjson
    status 1 "$1" capt-report --refs refs.ndjson --images images --out bad.html bad.ndjson
    like "$1: named" "$(cat "$ERR")" "$3"
    ok "$1: no page is left" test ! -e bad.html -a ! -e bad.html.part
}
bad 'a picture that is not there' 4 'images: gone.jpg: No such file'
bad 'a file outside of the folder' 5 'images: \.\./refs.ndjson'
bad 'an image without a file' 6 'image 6 has no file'
bad 'no picture at all' 7 'text.jpg: neither JPEG'
bad 'an image without a record' 99 'refs.ndjson: no record of image 99'
cat hyps.ndjson bad.ndjson >some.ndjson
ok '--max-bad' capt-report --max-bad 1 --refs refs.ndjson --images images --out some.html some.ndjson
is 'the good ones are shown' "$(grep -c '<figure>' some.html)" 3
like 'the bad one is named' "$(cat "$ERR")" 'skipped: refs.ndjson: no record of image 99'
printf '{"event":"step","step":1,"loss":1}\n{"event":"step","st' >cut.log
status 1 'a cut log' capt-report --text --log cut.log
like 'cut log: named' "$(cat "$ERR")" 'cut.log:2'
status 1 'a file that is no log' capt-report --text --log refs.ndjson
is 'no log: named' "$(cat "$ERR")" 'capt-report: refs.ndjson:1: no record of a training log: neither "event" nor "step"'
: >empty.log
status 1 'an empty log' capt-report --text --log empty.log
is 'empty log: named' "$(cat "$ERR")" 'capt-report: empty.log: no records'
status 1 'records for scores' capt-report --refs refs.ndjson --images images --scores refs.ndjson --out s.html hyps.ndjson
like 'are named' "$(cat "$ERR")" 'refs.ndjson:1: no scores'
: >nothing
status 1 'no scores' capt-report --refs refs.ndjson --images images --scores nothing --out s.html hyps.ndjson
status 1 'cut scores' capt-report --refs refs.ndjson --images images --scores cut.log --out s.html hyps.ndjson
status 1 'no such folder' capt-report --refs refs.ndjson --images none --out s.html hyps.ndjson

# text
ok '--text' capt-report --text --log scst.log
is '--text: title' "$(head -n 1 "$OUT")" 'Reward of samples (CIDEr-D)'
is '--text: largest value first' "$(sed -n 2p "$OUT" | awk '{print $1}')" 0.750
is '--text: smallest value last' "$(sed -n 11p "$OUT" | awk '{print $1}')" 0.250
is '--text: updates below' "$(sed -n 13p "$OUT" | tr -s ' ')" ' 1 2 updates'
is '--text: lines' "$(wc -l <"$OUT" | tr -d ' ')" 13
printf '{"event":"step","step":1,"loss":1}\n' >one.log
ok '--text of one point' capt-report --text --log one.log
ok '--curves' capt-report --text --curves val-loss,cider --log xe.log
is '--curves: these two' "$(grep -c '^Validation' "$OUT"; grep -c '^Training' "$OUT")" '2
0'
ok '--text of everything' capt-report --text --limit 2 --refs refs.ndjson --scores scores.ndjson --log scst.log hyps.ndjson other.ndjson
is '--text: the table' "$(sed -n '1,3p' "$OUT")" 'captions    Bleu_4    CIDEr
floor <1>    0.125    0.250
scores 2     0.500    1.250'
is '--text: captions beside references' "$(sed -n '5,9p' "$OUT" | sed 's/dog .*runs/dog runs/')" 'a.jpg
  hyps       a dog runs\x07
  other      other words
  reference  A dog runs.
             One dog & a <b>ball</b>.'
is '--text: --limit' "$(grep -c 'jpg$' "$OUT")" 2
like '--text: trained on' "$(cat "$OUT")" 'onerror="x  \(trained on\)$'

# wrong usage
status 2 '--curves of another kind' capt-report --text --curves loss,lr --log xe.log
is 'the known ones are listed' "$(cat "$ERR")" 'capt-report: --curves lr: not one of loss, val-loss, cider, reward (see --help)'
status 2 '--curves of nothing' capt-report --text --curves loss, --log xe.log
status 2 'no --out' capt-report --refs refs.ndjson --images images hyps.ndjson
status 2 'no --refs' capt-report --images images --out x.html hyps.ndjson
status 2 'no hypotheses' capt-report --refs refs.ndjson --images images --out x.html
status 2 '--text of nothing' capt-report --text
status 2 '--text and --out' capt-report --text --log xe.log --refs refs.ndjson --images images --out x.html hyps.ndjson
full()
{
    capt-report --refs refs.ndjson --images images --out - hyps.ndjson >/dev/full
}
status 1 'a full disk' full
# attention: over cells, over rows without a place, and none
cat >seen.ndjson <<'EOF'
{"id":1,"caption":"a dog","tokens":["a","\u0120<dog>"],"attention":[1,0,0,0,0.25,0.25,0.5,0],"attention_rows":4,"attention_on":"crop"}
{"id":2,"caption":"x","tokens":["x","##yz"],"attention":[0.5,0.25,0.25,0,0,1],"attention_rows":3,"attention_on":"regions"}
{"id":3,"caption":"y","tokens":["y"],"attention":[1,2,3],"attention_rows":4,"attention_on":"crop"}
EOF
cat >boxes.ndjson <<'EOF'
{"id":1,"caption":"a dog","tokens":["a","dog"],"attention":[0.25,0.75,0,0.5,0.25,0.25],"attention_rows":3,"attention_on":"regions","attention_boxes":[0,0,0.5,0.5,0.25,0.1,1.01,0.9]}
{"id":2,"caption":"x","tokens":["x"],"attention":[0.5,0.5],"attention_rows":2,"attention_on":"regions","attention_boxes":[0,0,0.5]}
EOF
ok 'attention' capt-report --refs refs.ndjson --images images --out seen.html seen.ndjson
is 'a picture a word' "$(grep -c '<div class="map' seen.html)" 4
is 'records whose numbers do not fit have none' "$(grep -c '<figure class="seen"' seen.html)" 2
has 'cells that were not attended to are covered' '<div class="map"><svg viewBox="0 0 2 2" preserveAspectRatio="none" shape-rendering="crispEdges" role="img" aria-label="a: at most 100% on one of 4"><title>at most 100% on one of 4</title><path fill="#6b6f76" fill-opacity="0.80" d="M1 0h1v1h-1zM0 1h2v1h-2z"/></svg>' seen.html
has 'the others by what they lack' '<path fill="#6b6f76" fill-opacity="0.40" d="M0 0h2v1h-2z"/><path fill="#6b6f76" fill-opacity="0.80" d="M1 1h1v1h-1z"/></svg></div><p>&lt;dog&gt;</p>' seen.html
has 'rows are bars' '<path fill="currentColor" d="M0 12h.8v-12.00h-.8zM1 12h.8v-6.00h-.8zM2 12h.8v-6.00h-.8z"/></svg></div><p>x</p>' seen.html
has 'a piece of a word' '<p>yz</p>' seen.html
is 'the picture is there once' "$(grep -o 'images/a.jpg\|a\.jpg&#39;' seen.html | sort | uniq -c | sed 's/^ *//' | head -n 1)" '1 images/a.jpg'
ok 'attention on boxes' capt-report --refs refs.ndjson --images images --out boxes.html boxes.ndjson
has 'all but the strongest region is covered, the outlines by their strength' '<div class="map whole boxes"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" shape-rendering="crispEdges" role="img" aria-label="a: at most 75% on one of 3"><title>at most 75% on one of 3</title><path fill="#6b6f76" fill-opacity="0.80" fill-rule="evenodd" d="M0 0H1000V1000H0zM250 100H1000V900H250z"/><path fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke" stroke-opacity="0.33" d="M0 0H500V500H0z"/><path fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke" stroke-opacity="1.00" d="M250 100H1000V900H250z"/></svg></div><p>a</p>' boxes.html
has 'of each word' 'd="M0 0H1000V1000H0zM0 0H500V500H0z"/>' boxes.html
has 'boxes that do not fit are none' '<div class="map rows">' boxes.html
ok '--maps' capt-report --refs refs.ndjson --images images --maps 1 --out one.html seen.ndjson
is 'of the first only' "$(grep -c '<figure class="seen"' one.html)" 1
ok '--maps 0' capt-report --refs refs.ndjson --images images --maps 0 --out none.html seen.ndjson
hasnt 'of none' 'class="map' none.html
ok 'two files' capt-report --refs refs.ndjson --images images --embed --out two.html hyps.ndjson seen.ndjson
has 'the maps of each under its name' '<b class="dim">seen</b>' two.html

done_testing
