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

# a signal while records are read, which may take for ever: there is nothing to lose yet
mkfifo "$T/wait"
for p in 'capt-train --model gpt2 --vocab x' 'capt-scst --init x' capt-tag; do
    # shellcheck disable=SC2086
    (exec "$B"/$p --captions "$T/wait" --store x --out y 2>"$T/err") &
    pid=$!
    # shellcheck disable=SC2016
    timeout 60 sh -c 'exec 9>"$1"; kill -TERM $2; while kill -0 $2 2>&-; do sleep 0.1; done' sh "$T/wait" $pid & # a pipe opens when it is read
    got=0
    wait $pid || got=$?
    is "${p%% *}: SIGTERM before the records are read: exit status 75" "$got" 75
done

done_testing
