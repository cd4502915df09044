#!/bin/bash
# The manual: mandoc is content with every page, pages and --print-options name the same options, and the examples run as they stand.
# A block under EXAMPLES is a script; those of a page run in order in one folder, where pipelines/ and build/ are as in a built tree.
# One that needs what is not there stands behind a comment line   .\" not run: REASON
. "${0%/*}/lib.sh"

for page in "$TOP"/man/*.[1-8]; do
    file=${page##*/}
    if command -v mandoc >/dev/null; then
        ok "$file: mandoc -T lint" mandoc -T lint -W warning "$page"
    else
        skip "$file: mandoc -T lint" 'mandoc is not installed'
    fi
    if command -v mandoc >/dev/null; then # examples may be wider: they are to be copied
        sed '/^\.Bd -literal/,/^\.Ed/d' "$page" | mandoc -T utf8 -O width=80 | sed "s/.$(printf '\b')//g" | grep -E '^.{81,}' >"$T/wide"
        is "$file: fits 80 columns" "$(cat "$T/wide")" ''
    else
        skip "$file: fits 80 columns" 'mandoc is not installed'
    fi
    if [ "${file##*.}" = 1 ]; then
        like "$file: has its exit status" "$(cat "$page")" '^\.Sh EXIT STATUS'
        like "$file: has examples" "$(cat "$page")" '^\.Sh EXAMPLES'
        ok "$file: is of a program" test -f "$TOP/bin/${file%.1}.c"
    fi
done

# page PAGE: the long options it documents, without those all programs have; options PROGRAM: those it takes
everywhere='help|version|quiet|verbose|config|print-options|print-schema|complete'
page_options()
{
    grep '^\.It Fl' "$1" | grep -oE 'Fl (\\?-)+[a-z0-9][a-z0-9-]*' | sed 's/^Fl [\\-]*//' | grep -vxE "$everywhere|.$" | sort -u
}
for src in "$TOP"/bin/*.c; do
    p=$(basename "$src" .c)
    [ -f "$TOP/man/$p.1" ] || { [ -z "$CI" ] || result 1 "$p has a page"; continue; }
    is "$p: page and program have the same options" "$(page_options "$TOP/man/$p.1")" \
        "$("$B/$p" --print-options | jq -r '.options[].name' | grep -vxE "$everywhere" | sort -u)"
done

# examples PAGE: its scripts
examples()
{
    awk '/^\.Sh / { on = $2 == "EXAMPLES" }
         /^\.\\" not run: / { skip = 1 }
         /^\.Ed/ { if (in_block) skip = 0; in_block = 0 }
         on && in_block && !skip { print }
         /^\.Bd -literal/ { in_block = 1 }' "$1" | sed 's/\\e/\\/g; s/\\-/-/g'
}
for page in "$TOP"/man/*.[1-8]; do
    file=${page##*/}
    grep -q '^\.Sh EXAMPLES' "$page" || continue
    examples "$page" >"$T/script"
    [ -s "$T/script" ] || continue
    mkdir -p "$T/$file/build/release"
    ln -s "$TOP/pipelines" "$T/$file/pipelines"
    ln -s "$B" "$T/$file/build/release/bin"
    ok "$file: the examples run" bash -c 'cd "$1" && exec bash -e -o pipefail "$2"' bash "$T/$file" "$T/script"
done

# the checks see what they must see
printf '.It Fl -some Ar X , Fl -more\n.It Fl h , Fl -help\n' >"$T/p.1"
is 'options of a page are found' "$(page_options "$T/p.1")" 'more
some'
printf '.Sh EXAMPLES\n.Bd -literal\na \\e\nb\n.Ed\n.\\" not run: x\n.Bd -literal\nc\n.Ed\n.Bd -literal\nd\n.Ed\n.Sh SEE\n.Bd -literal\ne\n.Ed\n' >"$T/p.1"
is 'examples of a page are found' "$(examples "$T/p.1")" 'a \
b
d'
done_testing
