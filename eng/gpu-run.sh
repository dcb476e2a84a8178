#!/usr/bin/env bash
# Runs the bundle that eng/gpu-bundle.sh made, on a machine with an NVIDIA driver and nothing else of ours:
#   bash .bundle/gpu-run.sh [tests] [races] [bench [PART…]] [sanitizer] [all]
# Output goes to the screen and to $OUT (default /tmp/lpllm-out), a file each. No part runs longer than its timeout; all take some 5 minutes.
set -uo pipefail
bundle=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$bundle")
OUT=${OUT:-/tmp/lpllm-out}
home=/tmp/lpllm-gpu
started=$(date +%s)
mkdir -p "$OUT"
failed=0

unpack() {
  if ! cmp -s "$bundle/commit" "$home/commit"; then
    rm -rf "$home"
    mkdir -p "$home/dotnet" "$home/app"
    tar -C "$home/dotnet" -xJf "$bundle/runtime.tar.xz" && tar -C "$home/app" -xJf "$bundle/app.tar.xz" && cp "$bundle/commit" "$home/commit" || exit 1
  fi
  export DOTNET_ROOT="$home/dotnet" DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 LPLLM_REPOSITORY="$repository"
  export PATH="$PATH:/usr/local/cuda/bin"
  dotnet="$home/dotnet/dotnet"
  tests="$home/app/tests/LpLlm.Memory.Cuda.Tests.dll"
  bench="$home/app/bench/LpLlm.Memory.Benchmarks.dll"
  export LPLLM_DAEMON="$home/app/daemon/sllm-store.dll"
  ulimit -n 65536 2> /dev/null || true
}

part() { # name, seconds, command…
  local name=$1 seconds=$2
  shift 2
  echo "=== $name (at most $seconds s, $(($(date +%s) - started)) s so far)"
  timeout -k 5 "$seconds" "$@" 2>&1 | tee "$OUT/$name.txt"
  local code=${PIPESTATUS[0]}
  echo "=== $name: exit code $code" | tee -a "$OUT/$name.txt"
  return "$code"
}

reserve() { # 2 MiB pages wanted
  local file=/proc/sys/vm/nr_hugepages
  [ -w "$file" ] || { echo "huge pages: not root, $(cat $file) are reserved"; return; }
  echo "$1" > "$file" 2> /dev/null
  echo "huge pages: $1 of 2 MiB asked for, $(cat $file) reserved"
}

machine() {
  date -u
  cat "$bundle/commit"
  uname -r
  nproc
  free -g | head -2
  cat /sys/kernel/mm/transparent_hugepage/enabled
  nvidia-smi --query-gpu=name,driver_version,pcie.link.gen.current,pcie.link.width.current --format=csv,noheader
}

run_tests() {
  reserve 2048 # 4 GiB
  part tests 240 "$dotnet" exec "$tests" run || failed=1
  reserve 0
}

# The race test must fail when a wait is left out: here a pass is the failure.
run_races() {
  for left_out in producer copy consumer return; do
    if LPLLM_LEAVE_OUT=$left_out part "race-without-$left_out" 40 "$dotnet" exec "$tests" run BusyDevice; then
      echo "!!! the race test passed without '$left_out'"
      failed=1
    fi
  done
}

run_bench() {
  local parts=("$@")
  [ ${#parts[@]} -gt 0 ] || parts=(copies cycles register create attach attention-device push models devices)
  for each in "${parts[@]}"; do
    # 40 GiB for what asks for 16 GiB, twice in the daemon's and the client's names; the 4 KiB rows of the others want the memory free.
    case $each in attach) reserve 9216 ;; register) reserve 2304 ;; *) reserve 0 ;; esac
    part "bench-$each" 170 "$dotnet" exec "$bench" cuda "$each" || failed=1
  done
  reserve 0
}

run_sanitizer() {
  local tool
  tool=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2> /dev/null | tail -1)
  if [ -z "$tool" ]; then
    echo "compute-sanitizer is not on this machine" | tee "$OUT/sanitizer.txt"
    return
  fi
  # It reports what the driver is told wrongly; tests that do so on purpose are left out.
  part sanitizer 90 "$tool" --tool memcheck --target-processes all "$dotnet" exec "$tests" run BusyDevice ReturnAfter_ManySmall ThereAndBack || failed=1
}

unpack
machine 2>&1 | tee "$OUT/machine.txt"
case ${1:-all} in
  tests) run_tests ;;
  races) run_races ;;
  bench) run_bench "${@:2}" ;;
  sanitizer) run_sanitizer ;;
  all)
    run_tests
    run_races
    run_bench
    run_sanitizer
    ;;
  *)
    echo "unknown part: $1"
    exit 2
    ;;
esac
echo "=== all: $(($(date +%s) - started)) s, failed: $failed" | tee "$OUT/summary.txt"
exit "$failed"
