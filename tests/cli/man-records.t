#!/bin/sh
# The examples of the manual pages about records and stores run as they stand.
. "${0%/*}/../lib.sh"

for page in coco-split.1 vinvl-import.1 capt-store.1 capt-records.5; do
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$TOP/man/$page" | sed -n '/^\.Bd -literal/,/^\.Ed/p' | sed '/^\.[BE]d/d; s/\\e/\\/g' >"$T/$page.sh"
    mkdir "$T/$page"
    ok "examples of $page" sh -c 'cd "$1" && bash -e "$2"' sh "$T/$page" "$T/$page.sh"
    is "examples of $page are there" "$([ -s "$T/$page.sh" ] && echo yes)" yes
done
done_testing
