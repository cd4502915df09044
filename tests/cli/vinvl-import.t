#!/bin/sh
# vinvl-import: NumPy layouts, numbers that do not fit, resume. The TSV layouts: vinvl-tsv.t.
. "${0%/*}/../lib.sh"
cd "$T" || exit 1

# npy FILE 'SHAPE' VALUE... : float32, little-endian, written by od's inverse in awk
npy()
{
    file=$1 shape=$2
    shift 2
    header="{'descr': '<f4', 'fortran_order': False, 'shape': ($shape), }"
    # shellcheck disable=SC2059
    {
        printf '\223NUMPY\001\000'
        printf "\\$(printf '%03o' ${#header})\\000"
        printf '%s' "$header"
        for v; do
            case $v in # the few numbers the tests need
            0) printf '\000\000\000\000' ;;
            1) printf '\000\000\200\077' ;;
            2) printf '\000\000\000\100' ;;
            3) printf '\000\000\100\100' ;;
            4) printf '\000\000\200\100' ;;
            1e5) printf '\000\120\303\107' ;;
            nan) printf '\000\000\300\177' ;;
            inf) printf '\000\000\200\177' ;;
            esac
        done
    } >"$file"
}

npy two.npy '3,2' 1 2 3 4 0 1
printf 'x.jpg\ny.jpg\nCOCO_val2014_000000391895.jpg\n' >names
ok 'one file' vinvl-import --format npy --store s --names names two.npy
like 'prints its fingerprint' "$(cat "$ERR")" 'fingerprint: 3 images, section "global" f16: 1 row of 2, mean 1.83333, sd 1.34371, norm of a row 1 to 5 \(mean 2.74536\)$'
ok 'is whole' capt-store verify s
ok 'listed' capt-store ls s
is 'ids are names' "$(cut -f 1,2 "$OUT" | tr '\t\n' ' ;')" 'COCO_val2014_000000391895 global 1x2 f16;x global 1x2 f16;y global 1x2 f16;'
ok 'a value' capt-store dump --id y s
is 'is the right one' "$(cat "$OUT")" '{"id":"y","sections":[{"name":"global","dtype":"f16","dim":2,"rows":[[3,4]]}]}'
printf 'a_1.jpg\n000002.jpg\nCOCO_val2014_000000391895.jpg\n' >numbers
ok 'ids as numbers' vinvl-import --format npy --store n --ids int --dtype f32 --section mean --names numbers two.npy
ok 'listed' capt-store ls n
is 'are integers' "$(cat "$OUT" | tr '\t\n' ' ;')" '1 mean 1x2 f32;2 mean 1x2 f32;391895 mean 1x2 f32;'
npy grid.npy '1,2,2' 1 2 3 4
npy grid4.npy '1,1,2,2' 1 2 3 4
printf 'x.jpg\n' >one
ok '(N,R,D)' vinvl-import --format npy --store g --names one grid.npy
ok '(N,H,W,D)' vinvl-import --format npy --store g4 --names one grid4.npy
ok 'are the same grid' capt-store diff g g4

mkdir r b
npy r/7.npy '2,3' 1 2 3 4 0 1
npy r/10.npy '1,3' 1 2 3
npy b/7.npy '2,4' 0 1 2 3 1 2 3 4
npy b/10.npy '1,4' 0 0 1e5 1
ok 'a folder with boxes' vinvl-import --format npy --store rb --ids int --boxes b r
ok 'listed' capt-store ls rb
is 'rows vary' "$(tr '\t\n' ' ;' <"$OUT")" '10 regions 1x3 f16 boxes 1x4 f32;7 regions 2x3 f16 boxes 2x4 f32;'
like 'and the fingerprint says so' "$(vinvl-import --format npy --store rb --ids int r 2>&1)" '2 images, section "regions" f16: 1 to 2 rows \(mean 1.5\) of 3,'
npy b/10.npy '2,4' 0 0 1 1 0 0 1 1
status 1 'one box too many' vinvl-import --format npy --store rb2 --ids int --boxes b r
is 'leaves nothing' "$(ls rb2* 2>/dev/null)" ''

npy big.npy '3,2' 1 2 1e5 4 0 1
status 1 'too large for f16' vinvl-import --format npy --store o --names names big.npy
like 'names the image and the way out' "$(cat "$ERR")" 'id y: 100000 at row 0, column 0 does not fit f16: use --dtype bf16 or f32'
ok 'fits bf16' vinvl-import --format npy --store o --dtype bf16 --names names big.npy
for v in nan inf; do
    npy $v.npy '3,2' 1 2 3 4 0 $v
    status 1 "$v" vinvl-import --format npy --store "bad$v" --dtype f32 --names names $v.npy
    like "$v names the image" "$(cat "$ERR")" 'id COCO_val2014_000000391895: NaN or infinity at row 0, column 1'
done

status 1 'names missing' vinvl-import --format npy --store e --names one two.npy
printf 'x.jpg\nx.jpg\nz.jpg\n' >twice
status 1 'a name twice' vinvl-import --format npy --store e --names twice two.npy
like 'is named' "$(cat "$ERR")" 'id x: was already stored'
status 1 'not a .npy file' vinvl-import --format npy --store e --names names names
status 1 'no .npy in the folder' vinvl-import --format npy --store e .nothing
mkdir empty
status 1 'an empty folder' vinvl-import --format npy --store e empty
head -c 60 two.npy >cut.npy
status 1 'cut short' vinvl-import --format npy --store e --names names cut.npy
status 2 'no names' vinvl-import --format npy --store e two.npy
status 1 'not a TSV file' vinvl-import --format butd-tsv --store e two.npy
ok 'auto finds arrays' vinvl-import --store auto --names names two.npy
ok 'and folders of them' vinvl-import --store autor --ids int --dtype f32 r
is 'no store came of all that' "$(ls e e.part 2>/dev/null)" ''
: >p.part
status 1 'a left-over part' vinvl-import --format npy --store p --names names two.npy
ok 'resumed' vinvl-import --format npy --store p --resume --names names two.npy
ok 'the same bytes' cmp p s
ok 'resumed when done' vinvl-import --format npy --store p --resume --names names two.npy

if [ "$SHARED" ]; then
    ok 'bottom-up features' vinvl-import --format npy --store c --ids int --boxes "$SHARED/data/vinvl/cocobu_box_relative" "$SHARED/data/vinvl/cocobu_att"
    ok 'whole' capt-store verify c
    is 'five images' "$(capt-store ls c | wc -l | tr -d ' ')" 5
else
    skip 'bottom-up features' 'no shared data'
fi
done_testing
