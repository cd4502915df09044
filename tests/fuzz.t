#!/bin/sh
# The fuzz targets on small inputs, as they are and damaged; `make fuzz` looks for new ones.
. "${0%/*}/lib.sh"

F=${CAPT_BIN:-$TOP/build/release/bin}/../fuzz
ok 'seeds' sh "$TOP/tests/fuzz/seeds.sh" "$T/corpus"
for src in "$TOP"/tests/fuzz/*.c; do
    t=$(basename "$src" .c)
    [ "$t" != main ] || continue
    ok "$t has seeds" test -n "$(ls "$T/corpus/$t")"
    set -- "$T/corpus/$t"
    [ ! -d "$TOP/tests/fuzz/corpus/$t" ] || set -- "$@" "$TOP/tests/fuzz/corpus/$t"
    ok "$t" "$F/$t" -m "${FUZZ_FORMS:-300}" "$@"
done
done_testing
