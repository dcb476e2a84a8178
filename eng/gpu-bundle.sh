#!/usr/bin/env bash
# Makes .bundle (git-ignored): all that a bare machine with an NVIDIA driver needs to run the GPU's tests and benchmarks, in one folder of
# at most 60 MiB. Run it in the repository's root; then, on that machine, `bash .bundle/gpu-run.sh`.
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

publish() { # project, folder
  dotnet publish "$1" -c Release -o "$work/app/$2" -v q -nodeReuse:false -m:1
}

publish tests/LpLlm.Memory.Cuda.Tests tests
publish bench/LpLlm.Memory.Benchmarks bench
publish src/Integration/LpLlm.Memory.Server daemon
# What only an SDK, a debugger or another system would use; BenchmarkDotNet's compiler is for `rent`, which needs an SDK anyway.
find "$work/app" \( -name '*.xml' -o -name 'Microsoft.CodeAnalysis*' -o -name 'testhost*' -o -name 'Microsoft.TestPlatform*' \
  -o -name 'Microsoft.VisualStudio.*' -o -name '*.Iced.dll' -o -name 'Gee.External*' -o -name 'FSharp.Core.resources.dll' \) -delete
find "$work/app" -path '*/runtimes/*' -type d \( -name 'win*' -o -name 'osx*' -o -name 'browser*' -o -name 'linux-arm*' -o -name 'linux-musl*' \) -prune -exec rm -rf {} +

rm -rf .bundle
mkdir .bundle
# One archive for all three: they share most of their assemblies, and xz's window reaches over them when equal names are neighbours.
(cd "$work/app" && find . -type f | awk -F/ '{ print $NF "\t" $0 }' | sort | cut -f2 > ../files)
tar -C "$work/app" -T "$work/files" --owner=0 --group=0 -cf - | xz -9e --lzma2=preset=9e,dict=128MiB -T1 > .bundle/app.tar.xz
runtime=$(ls "$dotnet/shared/Microsoft.NETCore.App" | sort -V | tail -1)
cache="${TMPDIR:-/tmp}/lpllm-runtime-$runtime.tar.xz"
if [ ! -f "$cache" ]; then
  tar -C "$dotnet" --owner=0 --group=0 -cf - dotnet host "shared/Microsoft.NETCore.App/$runtime" "shared/Microsoft.AspNetCore.App/$runtime" | xz -9e -T0 > "$cache.part"
  mv "$cache.part" "$cache"
fi
cp "$cache" .bundle/runtime.tar.xz
cp eng/gpu-run.sh .bundle/gpu-run.sh
echo "$(git rev-parse HEAD), made $(date -u +%Y-%m-%dT%H:%M:%SZ)" > .bundle/commit
size=$(du -sb .bundle | cut -f1)
echo "bundle of $((size / 1024)) KiB in .bundle, commit $(cut -c1-12 .bundle/commit)"
[ "$size" -le $((60 * 1024 * 1024)) ] || { echo "more than 60 MiB: leave something out"; exit 1; }
