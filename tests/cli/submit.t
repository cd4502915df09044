#!/bin/bash
# pipelines/submit, stage.sbatch and stage-program, without Slurm (tests/fake-slurm.sh). The toy pipeline as one job a target, with arrays, gives
# the bytes of a local run; what is done is not done again, what fails or stops is begun again.
. "${0%/*}/../lib.sh"
. "$TOP/tests/fake-slurm.sh"
cd "$TOP" || exit 1
submit=$TOP/pipelines/submit
export TMPDIR=$T/tmp # of the jobs
small=(B="$T/b" IMAGES=60 'ENCODER={"type":"clip-vit","resolution":32,"patch":16,"width":32,"layers":1}'
    'MODEL=--model gpt2 --section grid --set tokens=0 --set layers=1 --set width=32 --set heads=2'
    'ONE=--epochs 2 --batch 20' 'TWO=--epochs 2 --batch 20' 'SCST=--epochs 1 --batch 20' BEAM=2 THREADS=1)
mkdir "$T/b" "$T/tmp" && ln -s "$B" "$T/b/bin"
unset CAPT_RUN CAPT_SHARDS CAPT_SBATCH CAPT_SCRATCH CAPT_RESTARTS THREADS SLURM_CPUS_PER_TASK
toy() # FOLDER [TARGET or VARIABLE]...
{
    "$submit" ${flags-} pipelines/toy.mk D="$T/$1" "${small[@]}" "${@:2}"
}
slurm()
{
    CAPT_RUN=slurm toy "$@"
}
files() # FOLDER: everything but logs
{
    (cd "$T/$1" && find . -type f ! -name '*.log' ! -path './log/*' | sort)
}
same() # NAME FOLDER: its files have the bytes of those in local
{
    is "$1: the same files" "$(files "$2")" "$(files local)"
    different=''
    for f in $(files local); do
        cmp -s "$T/local/$f" "$T/$2/$f" || different="$different $f"
    done
    is "$1: the same bytes" "$different" ''
}
jobs() # of the last output: what is to be done, a line a job, without ids and options
{
    cut -f 2,3 "$OUT" | sed "s:$T/[a-z]*/::"
}
ok 'a local run' toy local
ok 'the same again' toy local
like 'does nothing' "$(cat "$OUT")" "Nothing to be done for 'all'"

# --- dry runs
export CAPT_SBATCH=--mem=1G CAPT_SBATCH_capt_train=--time=30
flags=-n
ok '-n' slurm c
is 'submits nothing and writes nothing' "$(calls) $(ls "$T/c" 2>/dev/null)" '0 '
like 'a job a target, after those it needs' "$(sed "s:$T/c/::g" "$OUT")" '^7	make	one.xe.ckpt	after 2 5 6	--mem=1G --time=30$'
like 'features are an array' "$(sed "s:$T/c/::g" "$OUT")" '^8	shard	grid.mdb	after 7	--array=0-3 --mem=1G$'
like 'which is merged' "$(sed "s:$T/c/::g" "$OUT")" '^9	merge	grid.mdb	after 8	--mem=1G$'
like 'captions too' "$(sed "s:$T/c/::g" "$OUT")" '^27	shard	ensemble.ndjson	after 19 23 9	'
like 'and what follows comes after the merge' "$(sed "s:$T/c/::g" "$OUT")" '^30	make	scores.ndjson	after 4 11 14 18 22 26 29	'
ok 'without arrays' env CAPT_SHARDS=1 CAPT_RUN=slurm "$submit" -n pipelines/toy.mk D="$T/c" "${small[@]}"
is 'one job a target' "$(cut -f 2 "$OUT" | sort | uniq -c | tr -s ' ')" ' 25 make'
ok 'a dry run of a local run' toy c
is 'names the targets too' "$(wc -l <"$OUT")" 25
ok 'a target of one name' slurm c "$T/c/vocab.json"
is 'and what it needs' "$(jobs | tr '\n\t' ', ')" 'make toy/dataset.json,make toy.ndjson,make vocab.json,'
status 1 'a target that is not known' slurm c nothing
like 'is named by make' "$(cat "$ERR")" "No rule to make target 'nothing'"

# --- the whole way
flags=-w
ok 'a run as jobs' env FAKE_EXIT=75 CAPT_RUN=slurm CAPT_SHARDS=3 "$submit" -w pipelines/toy.mk D="$T/c" "${small[@]}"
same 'as jobs' c
is 'a log a job, one a task of an array' "$(find "$T/c/log" -name '*.log' | wc -l)" $((25 + 6 * 3))
like 'which says what was done where' "$(cat "$T"/c/log/grid.mdb-*_2.log)" 'stage: job [0-9]+ on .*, begun again 0 times: shard .*/grid.mdb, shard 2/3$'
like 'and how it ended' "$(cat "$T"/c/log/grid.mdb-*_2.log)" 'stage: done$'
like 'options of all jobs and of some' "$(grep /one.xe.ckpt "$SLURM_FAKE/calls" | head -n 1)" ' --mem=1G --time=30 '
before=$(calls)
ok 'the same again' slurm c
like 'says that there is nothing to do' "$(cat "$ERR")" 'everything is up to date'
is 'and submits nothing' "$(calls)" "$before"
rm "$T"/c/{report.html,scores.ndjson,two.xe.score}
ok 'after a loss' slurm c
is 'what is missing is made again' "$(jobs | tr '\n\t' ', ')" 'make two.xe.score,make scores.ndjson,make report.html,'
same 'after a loss' c

# --- jobs that have not ended
flags=''
export FAKE_HOLD=1
rm "$T"/c/{grid.mdb,one.xe.ndjson,one.xe.score,scores.ndjson,report.html}
ok 'jobs that wait' slurm c "$T/c/one.xe.score"
is 'two arrays, two merges, a score' "$(jobs | cut -f 1 | tr '\n' ' ')" 'shard merge shard merge make '
before=$(calls)
ok 'the same again while they wait' slurm c "$T/c/one.xe.score"
is 'are found' "$(grep -c 'queued before' "$OUT")" 3
is 'and not submitted again' "$(calls)" "$before"
ok 'with another number of shards' env CAPT_SHARDS=1 CAPT_RUN=slurm "$submit" pipelines/toy.mk D="$T/c" "${small[@]}" "$T/c/one.xe.ndjson"
is 'they are found too' "$(grep -c 'queued before' "$OUT") $(calls)" "2 $before"
ok 'more of it' slurm c
like 'and takes along what make, by itself, finds out of date only the next time' "$(jobs)" '^make.nearest.ndjson$'
like 'it comes after what waits' "$(tail -n 1 "$SLURM_FAKE/calls")" 'afterok:[0-9]'
unset FAKE_HOLD
release
same 'what waited' c

# --- failures
: >"$SLURM_FAKE/down"
status 1 'without a controller' slurm d
like 'it says so' "$(cat "$ERR")" 'squeue failed: is Slurm there'
rm "$SLURM_FAKE/down"
flags=-w
status 1 'a job that fails' slurm d SPLIT=none "$T/d/one.xe.score"
like 'is named by -w' "$(cat "$ERR")" '^submit: job [0-9]+: FAILED'
like 'what comes after is cancelled' "$(cat "$ERR")" '^submit: job [0-9]+: CANCELLED'
like 'its log has why' "$(cat "$T"/d/log/one.xe.ndjson-*_0.log)" 'no records of split none'
like 'and that it failed' "$(cat "$T"/d/log/one.xe.ndjson-*_0.log)" "stage: failed: make's status is 2"
: >"$SLURM_FAKE/full"
status 1 'an sbatch that fails' slurm d "$T/d/one.xe.ndjson"
like 'is told with the target' "$(cat "$ERR")" 'one.xe.ndjson: sbatch failed; what was submitted stays'
rm "$SLURM_FAKE/full"
ok 'submitted again, rightly' slurm d "$T/d/one.xe.ndjson"
ok 'the bytes of a run without failures' cmp "$T/d/one.xe.ndjson" "$T/local/one.xe.ndjson"

# --- shards of another time
one() # FOLDER MODE SHARDS TASK TARGET [VARIABLE]...: a stage by hand
{
    SLURM_ARRAY_TASK_ID=$4 SLURM_JOB_ID=99 bash pipelines/stage.sbatch "$TOP/pipelines" "$2" "$3" pipelines/toy.mk "$T/$1/$5" D="$T/$1" "${small[@]}" "${@:6}"
}
rm "$T"/d/{one.xe.ndjson,grid.mdb}
ok 'shard 0 of features' one d shard 2 0 grid.mdb
status 1 'a merge that lacks a shard' one d merge 2 0 grid.mdb
like 'is refused' "$(cat "$ERR")" 'grid.mdb.shards/1-of-2 is not there.*submit again'
ok 'shard 1' one d shard 2 1 grid.mdb
ok 'shard 1 again' one d shard 2 1 grid.mdb
like 'is complete' "$(cat "$ERR")" 'grid.mdb.shards/1-of-2: complete already'
ok 'merged' one d merge 2 0 grid.mdb
ok 'the bytes of one run' cmp "$T/d/grid.mdb" "$T/local/grid.mdb"
is 'the shards are gone' "$(ls -d "$T"/d/*.shards 2>/dev/null)" ''
ok 'shard 0 of captions' one d shard 2 0 one.xe.ndjson
ok 'shard 1 with another beam' one d shard 2 1 one.xe.ndjson BEAM=3
status 1 'do not go together' one d merge 2 0 one.xe.ndjson
like 'the other one is named' "$(cat "$ERR")" 'one.xe.ndjson.shards/1-of-2 is not there, or of another time or command'
ok 'shard 1 with the right one' one d shard 2 1 one.xe.ndjson
touch "$T/d/grid.mdb"
status 1 'shards older than the store' one d merge 2 0 one.xe.ndjson
like 'are refused' "$(cat "$ERR")" 'one.xe.ndjson.shards/0-of-2 is not there, or of another time or command'
ok 'shard 0 again' one d shard 2 0 one.xe.ndjson
is 'is made again' "$(grep -c 'complete already' "$ERR")" 0
ok 'shard 1 again' one d shard 2 1 one.xe.ndjson
ok 'merged by a wider job' one d merge 2 0 one.xe.ndjson THREADS=2
ok 'the bytes of one run' cmp "$T/d/one.xe.ndjson" "$T/local/one.xe.ndjson"
rm "$T/d/one.xe.ndjson"
touch "$T/d/toy/dataset.json"
status 1 'a target whose sources changed since it was submitted' one d shard 2 0 one.xe.ndjson
like 'is not made behind the back of other jobs' "$(cat "$ERR")" 'missing or out of date.*toy.ndjson'

# --- signals
stopped() # NAME HOW: trains, is stopped when it has begun, goes on
{
    rm -rf "$T/e" && cp -a "$T/local" "$T/e" && rm "$T/e/one.xe.ckpt" "$T/e/one.xe.log"
    for k in 1 2 3 4; do
        got=0
        SLURM_JOB_ID=7 SLURM_RESTART_COUNT=$k FAKE_EXIT=${3-75} setsid bash pipelines/stage.sbatch "$TOP/pipelines" make 1 pipelines/toy.mk "$T/e/one.xe.ckpt" D="$T/e" "${small[@]}" \
            'ONE=--epochs 40 --batch 4' </dev/null >"$T/stage.log" 2>&1 &
        pid=$!
        if [ $k -lt 3 ]; then
            lines=$(cat "$T/e/one.xe.log" 2>/dev/null | wc -l)
            n=0
            while [ "$(cat "$T/e/one.xe.log" 2>/dev/null | wc -l)" -lt $((lines + 3)) ] && [ $n -lt 3000 ]; do
                sleep 0.01
                n=$((n + 1))
            done
            eval "kill $2"
        fi
        wait $pid || got=$?
        [ $got = 75 ] || break
        like "$1: says so" "$(cat "$T/stage.log")" 'stage: stopped, to be begun again'
        ok "$1: leaves a checkpoint" test -s "$T/e/one.xe.ckpt.part"
    done
    is "$1: stopped twice, then done" "$k $got" '3 0'
    ok "$1: the same bytes" cmp "$T/e/one.xe.ckpt" "$T/long.ckpt"
}
rm -rf "$T/e" && cp -a "$T/local" "$T/e" && rm "$T/e/one.xe.ckpt"
ok 'a longer training' one e make 1 0 one.xe.ckpt 'ONE=--epochs 40 --batch 4'
mv "$T/e/one.xe.ckpt" "$T/long.ckpt"
stopped 'a signal to the batch shell' '-TERM $pid'
stopped 'USR1' '-USR1 $pid'
stopped 'TERM to all of the job, and again' '-TERM -$pid; sleep 0.03; kill -TERM -$pid'
stopped 'no RequeueExit' '-TERM $pid' ''
ok 'no RequeueExit: the job asks to be begun again' test -e "$SLURM_FAKE/7.requeue"
SLURM_RESTART_COUNT=101 status 1 'a job begun again too often' one e make 1 0 one.xe.ckpt
like 'is ended' "$(cat "$ERR")" 'begun again too often'

# --- stores on a local disk
mkdir "$T/scratch"
export CAPT_SCRATCH=$T/scratch
rm "$T/e/grid.mdb" "$T/e/one.xe.ndjson"
cp "$T/local/one.xe.ckpt" "$T/e"
for i in 0 1; do
    ok "shard $i by way of a local disk" one e shard 2 $i grid.mdb
done
ok 'merged by way of a local disk' one e merge 2 0 grid.mdb
ok 'the bytes of one run' cmp "$T/e/grid.mdb" "$T/local/grid.mdb"
rm "$T/e/grid.mdb"
ok 'without shards' one e make 1 0 grid.mdb
ok 'the bytes of one run' cmp "$T/e/grid.mdb" "$T/local/grid.mdb"
is 'nothing stays on the local disk' "$(ls "$T/scratch")" ''
status 1 'a local disk that is not there' env CAPT_SCRATCH="$T/none" bash pipelines/stage.sbatch "$TOP/pipelines" make 1 pipelines/toy.mk "$T/e/one.xe.ndjson" D="$T/e" "${small[@]}"
unset CAPT_SCRATCH
rm "$T/e/grid.mdb"
mkdir "$T/nfs"
printf '#!/bin/sh\necho nfs\n' >"$T/nfs/stat"
chmod +x "$T/nfs/stat"
PATH=$T/nfs:$PATH status 1 'a store on a network file system' one e make 1 0 grid.mdb
like 'is refused' "$(cat "$ERR")" 'set CAPT_SCRATCH'

# --- other recipes
cat >"$T/other.mk" <<'M'
D := other
BIN := $(B)/bin
IN := local
all: $(D)/a.ndjson $(D)/b.ndjson $(D)/c.ndjson $(D)/two
	@echo told
	@cat $^ >/dev/null
$(D)/a.ndjson: $(D)/dir/strings.ndjson
	mkdir -p $(D)
	$(BIN)/capt-beam --model $(IN)/two.xe.ckpt --images $(IN)/toy/images \
	    --encoder $(IN)/one.xe.ckpt --beam 3 --nbest 2 \
	    --coco $(D)/a.json --out $@ $<
# to standard output, and from it
$(D)/b.ndjson: $(IN)/toy.ndjson
	cat $< | $(BIN)/capt-beam --model $(IN)/one.xe.ckpt --store $(IN)/grid.mdb >$@.part && mv $@.part $@
$(D)/c.ndjson: $(IN)/toy.ndjson
	$(BIN)/capt-beam --max-bad 3 --model $(IN)/one.xe.ckpt --store $(IN)/grid.mdb --out $@ $<
$(D)/dir/strings.ndjson: $(IN)/toy.ndjson | $(D)/dir
	sed 's/"id":\([0-9]*\)/"id":"\\"n\1\\u00e9"/' $< >$@.part && mv $@.part $@
$(D)/dir:
	mkdir -p $@
# two files by one recipe
$(D)/one $(D)/two &: $(D)/c.ndjson
	touch $(D)/one $(D)/two
fail:
	false
.PHONY: all fail
M
other() # FOLDER...
{
    "$submit" ${flags-} "$T/other.mk" D="$T/$1" B="$T/b" IN="$T/local" "${@:2}"
}
ok 'other recipes here' other p
like 'which say something' "$(cat "$OUT")" '^told$'
flags=-w
ok 'other recipes as jobs' env CAPT_RUN=slurm CAPT_SHARDS=7 "$submit" -w "$T/other.mk" D="$T/q" B="$T/b" IN="$T/local"
is 'only what can be split is' "$(jobs | tr '\n\t' ', ')" 'make dir,make dir/strings.ndjson,shard a.ndjson,merge a.ndjson,make b.ndjson,make c.ndjson,make two,make all,'
is 'the same files' "$(files q)" "$(files p)"
ok 'the same bytes' diff -r -x log "$T/p" "$T/q"
is 'official results too, as an array' "$(jq -c '.[].image_id' "$T/q/a.json")" "$(jq -c .id "$T/q/a.ndjson")"
is 'no shard is left' "$(find "$T/q" -name '*.shards')" ''
status 1 'a recipe that fails' env CAPT_RUN=slurm "$submit" -w "$T/other.mk" D="$T/q" B="$T/b" IN="$T/local" fail
flags=-n
rm "$T/c/grid.mdb" "$T/c/one.xe.ndjson" "$T/c/one.xe.score"
echo >"$T/c/grid.mdb.part"
ok 'a store begun in one piece' slurm c "$T/c/one.xe.ndjson"
is 'is finished in one piece' "$(jobs | tr '\n\t' ', ')" 'make grid.mdb,shard one.xe.ndjson,merge one.xe.ndjson,'

# --- usage
for words in '' '-x pipelines/toy.mk' 'pipelines/toy.mk -n'; do
    # shellcheck disable=SC2086 # a list
    status 2 "submit $words" "$submit" $words
done
status 2 'another runner' env CAPT_RUN=pbs "$submit" pipelines/toy.mk
status 2 'no number of shards' env CAPT_SHARDS=none "$submit" pipelines/toy.mk
status 1 'a pipeline that is not there' "$submit" none.mk
ok '--help' "$submit" --help
like '--help: its use' "$(cat "$OUT")" '^submit \[-n\]'
is '--help: comments only' "$(grep -c 'set -u' "$OUT")" 0
is 'no folder of a job is left' "$(ls "$TMPDIR")" ''
done_testing
