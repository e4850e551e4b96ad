#!/bin/bash
# Launchers and the documented batch script on a real Slurm: a cluster of one node, in a temporary folder, without systemd.
#
#     tests/engines/slurm.sh                # all checks, some 15 minutes on two cores
#     tests/engines/slurm.sh jobs failing   # some of them; `checks` below has the names
#
# Needs Slurm and munge (Debian: apt-get install slurm-wlm munge) and the project installed, its Python in $PYTHON.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
PYTHON=${PYTHON:-$root/.venv/bin/python}
checks=(jobs failing cancelled refused stopped sweep batch limit)
export PATH=$PATH:/usr/sbin:/sbin
for program in munged slurmctld slurmd sbatch squeue; do
    command -v $program >/dev/null || { echo "$program is missing; on Debian: apt-get install slurm-wlm munge"; exit 2; }
done
work=$(mktemp -d)
failures=0
pids=()

finish() {
    # Before there is a cluster of its own, these commands would speak to the one that this machine belongs to.
    [ "${SLURM_CONF:-}" = "$work/slurm.conf" ] &&
        squeue --noheader --format=%i 2>/dev/null | xargs --no-run-if-empty scancel 2>/dev/null
    sleep 2
    # What a job started lives below $work, the daemons do too.
    pgrep -f "$work" | grep -vx $$ | xargs --no-run-if-empty kill -KILL 2>/dev/null
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    if [ "$failures" -eq 0 ] && [ -z "${KEEP:-}" ]; then rm -rf "$work"; else echo "kept: $work"; fi
}
trap finish EXIT
trap 'exit 143' TERM INT

cluster() {
    local user host ports
    user=$(id -un) host=$(hostname -s)
    ports=($("$PYTHON" -c 'import socket
held = [socket.socket() for _ in range(2)]
[one.bind(("", 0)) for one in held]
print(*(one.getsockname()[1] for one in held))'))
    chmod 755 "$work"
    mkdir -p "$work"/{munge,state,spool}
    dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 2>/dev/null
    chmod 700 "$work/munge" && chmod 400 "$work/munge/key" && chmod 711 "$work/munge"
    munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" \
        --pid-file="$work/munge/pid" --log-file="$work/munge/log" --seed-file="$work/munge/seed" >"$work/munged.out" 2>&1 &
    pids+=($!)
    cat >"$work/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MinJobAge=86400
OverTimeLimit=0
KillWait=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=480 State=UP
PartitionName=short Nodes=ALL MaxTime=30 State=UP
CONF
    export SLURM_CONF=$work/slurm.conf
    slurmctld -D >"$work/slurmctld.out" 2>&1 &
    pids+=($!)
    slurmd -D >"$work/slurmd.out" 2>&1 &
    pids+=($!)
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --partition=main --format=%t 2>/dev/null)" = idle ] && return
        sleep 1
    done
    tail -n 20 "$work"/*.log "$work"/*.out
    echo "the cluster does not come up"
    failures=1
    exit 1
}

ok() { # ok TEXT CONDITION...
    local text=$1
    shift
    if "$@"; then echo "  ok: $text"; else echo "  FAILED: $text"; failures=$((failures + 1)); fi
}
says() { grep -Eqs -- "$1" "$work/$check/out"; }
silent() { ! grep -Eqs -- "$1" "$work/$check/out"; }
same() { [ "$1" = "$2" ] || { echo "  got $1"; echo "  expected $2"; false; }; }
state() {
    until_true 60 no_jobs # COMPLETING comes before COMPLETED
    scontrol --oneliner show job "$1" | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p' | sort | uniq -c | xargs
}
job() { sed -nE 's/^submitted: [0-9]+ jobs? \(([0-9]+).*/\1/p' "$work/$check/out" | tail -n 1; }
finished() { find outputs -name SHA256SUMS | wc -l; }
waiting() { squeue --noheader --format=%i | wc -l; }
until_true() { # until_true SECONDS CONDITION...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 1; done
}
train() { timeout 900 "$PYTHON" -m src.train experiment=smoke evaluate.every=0 cache="$work/cache" "$@" >out 2>&1; }
queued() { train "$@" -m hydra/launcher=submitit_slurm hydra.launcher.timeout_min=20; }
policy() { find "$1/policy" -type f ! -name README.md -exec sha256sum {} + | sed "s|$1/||" | sort; }
steps() { [ "$(cat outputs/*/metrics.jsonl 2>/dev/null | wc -l)" -gt "${1:-2}" ]; }
launcher() { pgrep -f "^$PYTHON -m (src.train|sweeps.run) .*$work"; }
no_jobs() { [ "$(waiting)" = 0 ]; }

check_jobs() { # Three jobs come out as in this process.
    queued seed=0,1,2
    ok "the command ends well" same $? 0
    ok "it names the jobs and their logs" says '^submitted: 3 jobs \([0-9]+_0 to [0-9]+_2\); their output: .*/\.submitit/ID/'
    ok "no warning" silent 'Warning|deprecat'
    ok "three finished runs" same "$(finished)" 3
    ok "Slurm says COMPLETED" same "$(state "$(job)")" "3 COMPLETED"
    ok "one thread a job of one CPU" grep -q '^1 thread ' outputs/.submitit/*/*_log.out
    local queued_run
    queued_run=$(find outputs -path '*seed1*' -name SHA256SUMS -printf %h)
    train seed=1 hydra.run.dir=alone
    ok "the bits are those of a run here" same "$(policy "$queued_run")" "$(policy alone)"
}

check_failing() { # Both failures are named with their reasons, and Slurm knows.
    queued optimizer.schedule=constant learning_rate=1e30,1e-4,2e30
    ok "exit status 1" same $? 1
    ok "both are named with reason, job and log" same "$(grep -cE 'learning_rate@[12]0.*: .*(finite|loss).*FAILED; .*_log\.err\)' out)" 2
    ok "and counted" says '^2 of 3 jobs failed'
    ok "no traceback" silent Traceback
    ok "Slurm says FAILED of two" same "$(state "$(job)")" "1 COMPLETED 2 FAILED"
    ok "the other one has finished" same "$(finished)" 1
}

check_cancelled() { # scancel: said as it is, and the same command goes on.
    queued T=400 checkpoint_every=10 F=1 seed=0 &
    until_true 300 steps
    ok "it runs" steps
    scancel "$(job)"
    wait $!
    ok "exit status 1" same $? 1
    ok "it says that the run was stopped, and that the job was cancelled" says 'stopped by SIGTERM: [0-9]+ of 400 .*CANCELLED'
    ok "no traceback" silent Traceback
    queued T=400 checkpoint_every=10 F=1 seed=0
    ok "the same command goes on" same "$(finished)" 1
}

check_refused() { # What would never start, or stop too soon, is not submitted.
    train seed=0 -m hydra/launcher=submitit_slurm hydra.launcher.timeout_min=1
    ok "a limit shorter than the signal's delay" says 'timeout_min=1: .*expected at least [0-9]+ minutes'
    train seed=0 -m hydra/launcher=submitit_slurm hydra.launcher.partition=short
    ok "a partition's limit below the default" says 'partition short allows 30 minutes.*timeout_min=30'
    train seed=0 -m hydra/launcher=submitit_slurm hydra.launcher.tasks_per_node=2
    ok "two processes of one run" says 'tasks_per_node=2'
    ok "no traceback" silent Traceback
    ok "nothing is in the queue" no_jobs
}

check_stopped() { # Ctrl-C cancels; after a kill the same command waits for the jobs that are there.
    queued T=400 checkpoint_every=10 F=1 seed=0 &
    local shell=$!
    until_true 300 steps
    kill -INT "$(launcher)"
    wait $shell
    ok "exit status 130" same $? 130
    ok "it says that it cancels" says '^cancelling 1 jobs'
    ok "nothing is left in the queue" no_jobs
    rm out
    queued T=400 checkpoint_every=10 F=1 seed=0 &
    shell=$!
    until_true 300 grep -qs '^submitted' out
    kill -KILL "$(launcher)"
    wait $shell
    ok "a kill leaves the job in the queue" same "$(waiting)" 1
    queued T=400 checkpoint_every=10 F=1 seed=0
    ok "exit status 0" same $? 0
    ok "the job is waited for, not submitted again" says '^job [0-9]+, of an earlier launch'
    ok "the run has finished" same "$(finished)" 1
}

check_sweep() { # sweeps.run stopped and typed again, and a job that is cancelled.
    sweep() {
        timeout 900 "$PYTHON" -m sweeps.run "$root/sweeps/fig1.yaml" task=tldr loss=dpo experiment=offline,bpo_f2 seed=0 \
            T=300 batch_size=4 data.train=64 data.validation=8 data.test=12 model.scratch.vocab_size=600 model.scratch.layers=1 \
            model.scratch.hidden=32 model.scratch.heads=2 model.scratch.intermediate=64 model.sft.steps=12 \
            model.sft.batch_size=8 model.rows=16 model.tokens=512 task.max_new_tokens=12 evaluate.every=0 \
            evaluate.prompts=12 checkpoint_every=10 cache="$work/cache" --launcher submitit_slurm \
            hydra.launcher.timeout_min=20 >out 2>&1
    }
    sweep &
    local shell=$!
    until_true 300 steps
    kill -TERM "$(launcher)"
    wait $shell
    ok "exit status 130" same $? 130
    ok "it says ids and logs, and that it cancels" says '^submitted: 2 jobs'
    ok "cancelling is said" says '^cancelling'
    ok "nothing is left in the queue" no_jobs
    rm out
    sweep &
    shell=$!
    until_true 300 grep -qs '^submitted' out
    until_true 300 steps 60
    scancel "$(job)_0"
    wait $shell
    ok "exit status 1" same $? 1
    ok "the cancelled job is named with its reason" says '^failed: .*CANCELLED'
    ok "and was not run here" silent 'again.*basic'
    ok "the other one has finished" same "$(finished)" 1
    sweep
    ok "typed again, it ends" says '2 of 2 finished, 0 failed'
}

check_batch() { # The batch script of docs/cluster.md, with a smaller run.
    { echo '#!/bin/bash'; sed -n '/^#SBATCH/,/^```/p' "$root/docs/cluster.md" | grep -v '^```'; } |
        sed -e 's|python -m src.train.*|'"$PYTHON -m src.train experiment=smoke cache=$work/cache|" \
            -e 's|^#SBATCH --time=[0-9:]*|#SBATCH --time=0:20:00|' >batch.sh
    ok "the page has a script" grep -q 'src.train' batch.sh
    ok "its output is appended" grep -q 'open-mode=append' batch.sh
    local id
    id=$(sbatch --parsable --output=log batch.sh)
    until_true 300 no_jobs
    ok "Slurm says COMPLETED" same "$(state "$id")" "1 COMPLETED"
    ok "the run has finished" same "$(finished)" 1
    sed -i -e 's|experiment=smoke|experiment=smoke F=1 T=100000 checkpoint_every=100000|' batch.sh
    id=$(sbatch --parsable --output=log batch.sh)
    until_true 300 steps 5
    scancel --signal=USR1 "$id"
    requeued() { scontrol --oneliner show job "$id" | grep -q 'Restarts=1'; }
    until_true 120 requeued
    ok "at Slurm's signal the job goes back to the queue" requeued
    scancel "$id"
    until_true 120 no_jobs
}

check_limit() { # A time limit: a checkpoint, back in the queue, and the bits of an undisturbed run.
    limited() { train T="${LIMIT_STEPS:-200}" F=1 batch_size=1 checkpoint_every=100000 "$@"; }
    limited hydra.run.dir=alone
    cp out alone.out
    limited -m hydra/launcher=submitit_slurm hydra.launcher.timeout_min=4 hydra.launcher.signal_delay_s=60 &
    local shell=$! run
    # However fast this machine is: the run is paused after some steps, until Slurm's signal has come.
    until_true 120 steps 5
    run=$(pgrep -f "^$PYTHON -u -m submitit.core._submit .*$work")
    kill -STOP "$run"
    ok "it is paused before its end" same "$(finished)" 0
    ok "Slurm's signal comes before the limit" until_true 210 signalled "$run"
    kill -CONT "$run" 2>/dev/null
    # A job that is queued again waits two minutes; here it does not.
    while kill -0 $shell 2>/dev/null; do
        squeue --noheader --states=PENDING --format=%i | head -n 1 |
            xargs --no-run-if-empty -I ID scontrol update jobid=ID starttime=now 2>/dev/null
        sleep 5
    done
    wait $shell
    ok "the command ends well" same $? 0
    ok "the job was started twice" same "$(cat outputs/.submitit/*/*_log.out | grep -c 'Starting with JobEnvironment')" 2
    ok "it was stopped, and queued again" grep -hq 'stopped by SIGUSR2' outputs/.submitit/*/*_log.err
    ok "Slurm says COMPLETED" same "$(state "$(job)")" "1 COMPLETED"
    ok "the bits are those of a run that was not stopped" \
        same "$(policy "$(find outputs -name SHA256SUMS -printf %h)")" "$(policy alone)"
}
signalled() { # Whether SIGUSR2 waits for a process that is paused, or had come before that and has ended the process.
    local pending
    [ -e "/proc/$1" ] || return 0
    pending=$(sed -n 's/^S[hi][dg]Pnd:\s*//p' "/proc/$1/status" | tail -n 1)
    (( 0x${pending:-0} & 1 << 11 ))
}

cluster
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
unset OMP_NUM_THREADS
[ $# -gt 0 ] && checks=("$@")
for check in "${checks[@]}"; do
    echo "$check"
    mkdir -p "$work/$check" && cd "$work/$check" || exit 1
    before=$failures
    "check_$check"
    [ "$failures" = "$before" ] || { echo "  the last output:"; tail -n 15 out | cut -c1-300 | sed 's/^/  | /'; }
done
echo "$failures failures"
[ "$failures" = 0 ]
