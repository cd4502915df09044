#!/bin/sh
# Generated files in the tree are what their generators write: schemas by the programs, tests/golden/image by Pillow. The other goldens need
# packages that are not Debian's (tests/golden/README names them with the command).
. "${0%/*}/lib.sh"

for kind in caption hypothesis tag score log total difference error feature tensor metadata; do
    ok "the schema of $kind records is printed" coco-split --print-schema "$kind"
    cp "$OUT" "$T/$kind"
    ok "schemas/$kind.json is that" cmp "$T/$kind" "$TOP/schemas/$kind.json"
done
is 'no other schema is kept' "$(find "$TOP/schemas" -type f | wc -l | tr -d ' ')" 11
if python3=$(command -v /usr/bin/python3) && "$python3" -c 'import PIL; exit(PIL.__version__ != "9.4.0")' 2>/dev/null; then
    ok 'Pillow writes its golden again' "$python3" "$TOP/tests/golden/make_image.py" "$T/pillow.bin"
    ok 'with the same bytes' cmp "$T/pillow.bin" "$TOP/tests/golden/image/pillow.bin"
else
    skip 'Pillow writes its golden again' 'needs python3-pil 9.4.0'
fi
done_testing
