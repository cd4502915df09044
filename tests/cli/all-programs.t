#!/bin/sh
# What every program does alike; a new file in bin/ is covered unasked.
. "${0%/*}/../lib.sh"

to_full()
{
    "$@" >/dev/full
}

version=$(cat "$TOP/VERSION")
n=0
for src in "$TOP"/bin/*.c; do
    [ -f "$src" ] || continue
    n=$((n + 1))
    p=$(basename "$src" .c)
    ok "$p -h" "$B/$p" -h
    short=$(cat "$OUT")
    ok "$p --help" "$B/$p" --help
    is "$p: -h is --help" "$short" "$(cat "$OUT")"
    like "$p --help begins with its usage" "$(head -n 1 "$OUT")" "^usage: $p "
    is "$p --help leaves stderr alone" "$(cat "$ERR")" ''
    ok "$p -V" "$B/$p" -V
    like "$p -V names program and version" "$(head -n 1 "$OUT")" "^$p .*$version\$"
    status 2 "$p: an unknown option" "$B/$p" --no-such-option
    is "$p: an unknown option is one line on stderr" "$(cat "$OUT" "$ERR")" "$p: unknown option --no-such-option (see --help)"
    status 1 "$p --help on a full disk" to_full "$B/$p" --help
    is "$p: a full disk is named" "$(cat "$ERR")" "$p: stdout: disk full"
    ok "$p --complete bash" sh -c "'$B/$p' --complete bash | bash -n"
    ok "$p --print-options is JSON" "$B/$p" --print-options
    cp "$OUT" "$T/options.json"
    ok "$p --print-options has complete rows" jq -e --arg p "$p" '.program == $p and .synopsis != "" and .about != "" and
        all(.options[]; has("name") and has("type") and .help != "" and (.type == "flag" or has("arg"))) and
        ([.options[].name] | length == (unique | length))' "$T/options.json"
    [ -z "$CI" ] || ok "$p has a manual page" test -f "$TOP/man/$p.1"
    [ -f "$TOP/man/$p.1" ] || continue
    absent=$(jq -r '.options[] | select(.common | not) | .name' "$T/options.json" | while read -r o; do
        grep -Eq "Fl (\\\\?-)+$o( |\$)" "$TOP/man/$p.1" || echo "--$o"
    done)
    is "$p: the manual page has all its options" "$absent" ''
done
[ "$n" -gt 0 ] || skip 'programs' 'none in bin/'
done_testing
