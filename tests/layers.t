#!/bin/sh
# The layers of the tree: every #include "..." of lib/ and bin/ against the table in LAYERS. And how long a file may be.
. "${0%/*}/lib.sh"

# prints "file:line: includes X" for each include that LAYERS does not allow, given a tree
violations()
{
    (cd "$1" && find lib bin -name '*.[ch]' -o -name '*.cu' -o -name '*.def' | sort | xargs grep -Hn '^ *# *include "') |
        awk -v table="$2" '
        BEGIN {
            while ((getline line < table) > 0) {
                if (line ~ /^#/ || line !~ /:/) continue
                name = line; sub(/:.*/, "", name); sub(/^[^:]*: */, "", line)
                known[name] = 1
                n = split(line, w, " ")
                for (i = 1; i <= n; i++) allow[name, w[i]] = 1
            }
        }
        function layer(path) { # the longest known folder
            sub(/\/[^\/]*$/, "", path)
            while (!(path in known) && path ~ /\//) sub(/\/[^\/]*$/, "", path)
            return path in known ? path : ""
        }
        {
            split($0, part, ":"); file = part[1]
            inc = $0; sub(/^[^"]*"/, "", inc); sub(/".*/, "", inc)
            folder = file; sub(/\/[^\/]*$/, "", folder)
            if (file ~ /^lib\//) { key = file; sub(/^lib\//, "", key); from = layer(key); here = folder; sub(/^lib\/?/, "", here) }
            else if (file ~ /^bin\/common\//) { from = "common"; here = "common" }
            else { from = "bin"; here = "" }
            if (from == "") { print file ": its folder is not in LAYERS"; next }
            if (inc !~ /\//) next # beside the file, or generated
            to = layer(inc)
            theirs = inc; sub(/\/[^\/]*$/, "", theirs)
            priv = inc ~ /_priv\.h$/ && theirs != here
            if (priv || !(to == from || (from, to) in allow || (from, inc) in allow || (from, "*") in allow))
                print part[1] ":" part[2] ": includes " inc
        }'
}

found=$(violations "$TOP" "$TOP/tests/LAYERS")
is 'every include is allowed by LAYERS' "$found" ''

# the check itself sees what it must see
mkdir -p "$T/lib/base" "$T/lib/text" "$T/lib/extra" "$T/bin/common"
printf '#include "base/err.h"\n' >"$T/lib/text/a.c"
printf '#include "text/word.h"\n' >"$T/lib/base/b.c"
printf '#include "base/x_priv.h"\n' >"$T/lib/text/c.c"
printf '#include "base/x_priv.h"\n' >"$T/lib/base/d.c"
printf '#include "base/err.h"\n' >"$T/lib/extra/e.c"
printf '#include "text/word.h"\n' >"$T/bin/f.c"
want='lib/base/b.c:1: includes text/word.h
lib/extra/e.c: its folder is not in LAYERS
lib/text/c.c:1: includes base/x_priv.h'
is 'a wrong include is seen' "$(violations "$T" "$TOP/tests/LAYERS" | sort)" "$want"

long=$(cd "$TOP" && find lib bin tests \( -name '*.[ch]' -o -name '*.cu' -o -name '*.t' \) -exec wc -l {} + | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 }')
is 'no file has more than 600 lines' "$long" ''
done_testing
