# A Slurm of a few lines for tests of pipelines/submit. Source it after lib.sh (bash): sbatch, squeue and scontrol come first in PATH then.
#   $SLURM_FAKE      its folder: calls (a line a call of sbatch), ID.state, ID.comment, script copies
#   FAKE_HOLD=1      sbatch keeps jobs pending; release runs them in the order of their ids
#   FAKE_EXIT=75     what RequeueExit is (default: nothing, so that scontrol requeue is called)
# sbatch runs a job at once, tasks of an array last to first; a job whose dependencies did not all complete is cancelled; one that
# asked for it by its exit status or by scontrol is begun again, at most five times.
# shellcheck shell=bash
SLURM_FAKE=$T/slurm
export SLURM_FAKE
mkdir -p "$SLURM_FAKE/bin"
PATH=$SLURM_FAKE/bin:$PATH
cat >"$SLURM_FAKE/bin/sbatch" <<'S'
#!/bin/bash
# sbatch OPTION... SCRIPT WORD..., or: sbatch --run ID
cd "$SLURM_FAKE" || exit 1
run()
{
    local id=$1 task log script=$SLURM_FAKE/$1.script status again one=0
    # shellcheck disable=SC1090
    . "./$id.job"
    for after in ${dependency//[:,]/ }; do
        if [ "$after" != afterok ] && [ "$(cat "$after.state")" != COMPLETED ]; then
            echo CANCELLED >"$id.state"
            return
        fi
    done
    echo RUNNING >"$id.state"
    cp "$SCRIPT" "$script" # Slurm runs a copy
    for ((task = last; task >= 0; task--)); do
        case $output in /*) ;; *) output=$chdir/$output ;; esac
        log=${output//%x/$name} log=${log//%j/$id} log=${log//%A/$id} log=${log//%a/$task}
        for ((again = 0; again < 6; again++)); do
            rm -f "$id.requeue"
            (
                cd "$chdir" || exit 1
                export SLURM_JOB_ID=$id SLURM_RESTART_COUNT=$again
                unset FAKE_HOLD
                if [ -n "$array" ]; then
                    export SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_JOB_ID=$id
                fi
                exec bash "$script" "${words[@]}"
            ) >>"$log" 2>&1 </dev/null
            status=$?
            [ $status = 75 ] && { [ "${FAKE_EXIT-}" = 75 ] || [ -e "$id.requeue" ]; } || break
        done
        [ $status = 0 ] || one=$status
    done
    if [ $one = 0 ]; then echo COMPLETED; else echo FAILED; fi >"$id.state"
}
if [ "$1" = --run ]; then
    run "$2"
    exit 0
fi
[ ! -e full ] || { echo 'sbatch: error: Slurm temporarily unable to accept job' >&2; exit 1; }
printf '%s\n' "$*" >>calls
name='' comment='' chdir='' output='' array='' dependency='' last=0
while :; do
    case $1 in
    --job-name=*) name=${1#*=} ;;
    --comment=*) comment=${1#*=} ;;
    --chdir=*) chdir=${1#*=} ;;
    --output=*) output=${1#*=} ;;
    --array=0-*) array=${1#*=} last=${1#*-} last=${last##*-} ;;
    --dependency=*) dependency=${1#*=} ;;
    --parsable | --mem=* | --time=*) ;;
    -*) echo "sbatch: error: unrecognized option $1" >&2; exit 1 ;;
    *) break ;;
    esac
    shift
done
SCRIPT=$1
shift
words=("$@")
id=$(($(wc -l <calls)))
declare -p name chdir output array dependency last SCRIPT words >"$id.job"
printf '%s\n' "$comment" >"$id.comment"
echo PENDING >"$id.state"
[ -n "${FAKE_HOLD-}" ] || run "$id"
echo "$id;fake"
S
cat >"$SLURM_FAKE/bin/squeue" <<'S'
#!/bin/bash
cd "$SLURM_FAKE" || exit 1
[ ! -e down ] || { echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }
all='' jobs=''
while [ $# -gt 0 ]; do
    case $1 in
    -h) ;;
    -u) shift ;;
    -t) all=1 && shift ;;
    -j) jobs=$2 && shift ;;
    -o) format=$2 && shift ;;
    *) echo "squeue: error: $1" >&2; exit 1 ;;
    esac
    shift
done
for f in *.state; do
    id=${f%.state} state=$(cat "$f")
    case ,${jobs:-$id}, in *,"$id",*) ;; *) continue ;; esac
    [ -n "$all" ] || [ "$state" = PENDING ] || [ "$state" = RUNNING ] || continue
    line=${format//%F/$id} line=${line//%T/$state}
    printf '%s\n' "${line//%k/$(cat "$id.comment")}"
done
S
cat >"$SLURM_FAKE/bin/scontrol" <<'S'
#!/bin/sh
case "$1 $2" in
'show config') printf 'ClusterName             = fake\nRequeueExit             = %s\n' "${FAKE_EXIT:-(null)}" ;;
"requeue $SLURM_JOB_ID") : >"$SLURM_FAKE/$2.requeue" ;;
*) exit 1 ;;
esac
S
chmod +x "$SLURM_FAKE"/bin/*

release() # runs what is pending
{
    local f
    for f in $(basename -s .job "$SLURM_FAKE"/*.job | sort -n); do
        [ "$(cat "$SLURM_FAKE/$f.state")" != PENDING ] || sbatch --run "$f"
    done
}
calls() # lines of sbatch so far
{
    wc -l <"$SLURM_FAKE/calls" 2>/dev/null || echo 0
}
