# TAP for shell tests: `. "${0%/*}/../lib.sh"` (from tests/: lib.sh). Works in sh and bash.
#   B       folder of the programs (CAPT_BIN, else build/release/bin); TOP the tree; SHARED the test data or empty
#   T       a fresh folder, removed at the end; OUT and ERR hold what the last ok/status command printed
#   plan N | done_testing        one of the two; done_testing sets the exit status
#   ok NAME CMD...               passes when CMD exits 0
#   status N NAME CMD...         passes when CMD exits N
#   is NAME GOT WANT             equal strings
#   like NAME TEXT REGEX         TEXT has a line matching the extended REGEX
#   skip NAME REASON | skip_all REASON
#   await FILE                   waits until FILE has something in it
# Redirections go into a function or `sh -c '...'` given as CMD. Commands read /dev/null.
# shellcheck shell=sh disable=SC2034
TOP=$(cd "${0%/*}" && while [ ! -f VERSION ] && [ "$PWD" != / ]; do cd ..; done; pwd)
B=${CAPT_BIN:-$TOP/build/release/bin}
SHARED=${CAPT_SHARED:-$TOP/../shared}
[ -d "$SHARED" ] || SHARED=
T=$(mktemp -d "${TMPDIR:-/tmp}/capt-test.XXXXXX") || exit 1
OUT=$T/.out ERR=$T/.err
trap 'rm -rf "$T"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
PATH=$B:$PATH
LC_ALL=C.UTF-8
CAPT_METEOR_DATA='' CAPT_CACHE=$T/.cache # no data from outside
export PATH LC_ALL CAPT_METEOR_DATA CAPT_CACHE
tests=0 failed=0

diag()
{
    printf '%s\n' "$*" | sed 's/^/# /'
}

result() # 0|1 NAME
{
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        printf 'ok %d - %s\n' "$tests" "$2"
        return 0
    fi
    failed=$((failed + 1))
    printf 'not ok %d - %s\n' "$tests" "$2"
    return 1
}

plan()
{
    echo "1..$1"
}

done_testing()
{
    echo "1..$tests"
    [ "$failed" = 0 ]
    exit
}

skip()
{
    tests=$((tests + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tests" "$1" "$2"
}

skip_all()
{
    echo "1..0 # SKIP $1"
    exit 0
}

status()
{
    want=$1 name=$2
    shift 2
    got=0
    "$@" </dev/null >"$OUT" 2>"$ERR" || got=$?
    if [ "$got" = "$want" ]; then
        result 0 "$name"
    else
        result 1 "$name"
        diag "exit status $got, not $want: $*"
        head -n 20 "$OUT" "$ERR" | cut -c 1-300 | sed 's/^/# /'
        return 1
    fi
}

ok()
{
    ok_name=$1
    shift
    status 0 "$ok_name" "$@"
}

is()
{
    if [ "$2" = "$3" ]; then
        result 0 "$1"
    else
        result 1 "$1"
        diag "got:  $2"
        diag "want: $3"
        return 1
    fi
}

like()
{
    if printf '%s\n' "$2" | grep -Eq -e "$3"; then
        result 0 "$1"
    else
        result 1 "$1"
        diag "got:   $2"
        diag "regex: $3"
        return 1
    fi
}

await() # FILE: until it has something in it, 60 s at most
{
    waited=0
    while [ ! -s "$1" ] && [ $waited -lt 6000 ]; do
        sleep 0.01
        waited=$((waited + 1))
    done
}
