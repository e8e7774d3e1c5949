#!/usr/bin/env bash
# Runs the CUDA tests and skein-bench's check under compute-sanitizer, for a machine with a GPU and CUDA 13.
#
#   tests/gpu/sanitize.sh FOLDER [TOOL ...]
#
# FOLDER holds the programs: the bin/ of a bundle, made by  tools/bundle.sh build/cuda OUT $(tests/gpu/sanitize.sh --programs)
# TOOL is memcheck, racecheck or initcheck; all three by default. Each run is a line with its exit status, and its
# output a file in ./sanitize.PID. JOBS runs go on at once (8), each for at most LIMIT seconds (300). The exit status
# is 1 if one fails or reports something.
set -euo pipefail

# Program and --gtest_filter, of which each part may begin anywhere in a name: small shapes of every operation. What
# differs from the rest in its size alone is left out, because the tools slow kernels down a hundredfold.
runs='
kernels_channel_mix_in_test -*AreRefused
kernels_channel_mix_out_test -*AreRefused
kernels_embedding_test -*AreRefused
kernels_gated_mlp_in_test AgreesWith*
kernels_gated_mlp_in_test OnCuda*
kernels_gemv_test AgreesWith*
kernels_gemv_test Zeros*
kernels_gemv_test Several*:AddsTo*
kernels_gemv_test DependentLaunch*
kernels_head_test -*AreRefused
kernels_hybrid_wkv_test AgreesWith*:OnCuda*
kernels_hybrid_wkv_test Prompts*
kernels_hybrid_wkv_test Sixteen*
kernels_kv_append_test *
kernels_linear_test AgreesWith*:*OnCuda:Several*
kernels_matmul_test AgreesWith*OddSizes
kernels_matmul_test DependentLaunch*
kernels_matmul_test AGroup*
kernels_mix_logits_test *
kernels_paged_attention_cuda_test DecodesRagged*
kernels_paged_attention_cuda_test DecodesAll*:TakesOdd*:Skips*
kernels_paged_attention_cuda_test PrefillsRagged*
kernels_paged_attention_cuda_test PrefillsChunks*
kernels_product_paths_test GroupsOf*
kernels_product_paths_test SharedTiles*
kernels_product_paths_test SizesThat*:WeightsAndRows*
kernels_product_paths_test DependentLaunch*
kernels_project_add_test -*AreRefused
kernels_rms_project_test AgreesWith*
kernels_rms_project_test OnCuda*
kernels_rope_table_test -*AreRefused
kernels_time_mix_in_test -*AreRefused
kernels_time_mix_wkv_test -*AreRefused
kernels_wkv7_test AgreesWith*:StatesOf*:DecodesOf*:ARow*:GivesThe*
kernels_wkv7_test Prompts*
sample_cuda_test *InAFewRows
sample_test *ProcessedLogprobs*/1:*ADeadEnd*/1:*AGiven*/1:*MasksOutrank*/1:*Padding*/1
skein-bench check --shape tiny --backend cuda --batch 1,3
skein-bench check --shape hybrid-tiny --backend cuda --batch 1,3
'

if [[ "${1:-}" == --programs ]]; then
  awk 'NF {print $1}' <<<"$runs" | sort -u
  exit
fi
if (($# < 1)) || [[ "$1" == -* ]]; then
  sed -n 's/^# \{0,1\}//; 2,9p' "$0" >&2
  exit 2
fi
folder=$(realpath "$1")
tools=("${@:2}")
((${#tools[@]})) || tools=(memcheck racecheck initcheck)
logs=$PWD/sanitize.$$
mkdir -p "$logs"
# racecheck fails inside the kernels of cublasLt, which are not ours to check: another library under its name hides it,
# and our own kernels take its products.
hidden=$logs/hidden
mkdir "$hidden"
cp -L "$(ldconfig -p | awk '/libdl\.so\.2/ {print $NF; exit}')" "$hidden/libcublasLt.so.13"
export folder logs hidden SKEIN_REQUIRE_GPU=1

one() {
  local tool program arguments status=0
  read -r tool program arguments <<<"$1"
  local log="$logs/$tool-$program-${arguments//[^A-Za-z-]/}.txt"
  # shellcheck disable=SC2001  # a pattern with groups
  local command=("$folder/$program" "--gtest_filter=$(sed 's/\(^-\{0,1\}\|:\)\([^*]\)/\1*\2/g' <<<"$arguments")")
  # shellcheck disable=SC2206  # words of a command line
  [[ "$program" == skein-bench ]] && command=("$folder/$program" $arguments)
  [[ "$tool" == racecheck ]] && command=(env LD_LIBRARY_PATH="$hidden:${LD_LIBRARY_PATH:-}" "${command[@]}")
  timeout -k 5 "${LIMIT:-300}" compute-sanitizer --tool "$tool" --error-exitcode 99 --print-limit 20 \
    --kernel-name kns=skein "${command[@]}" >"$log" 2>&1 || status=$?
  if ((status == 0)) && [[ "$program" != skein-bench ]] && ! grep -q '\[  PASSED  \] [1-9]' "$log"; then status=98; fi
  printf '%-9s %3d %s %s\n' "$tool" "$status" "$program" "$arguments"
  ((status == 0))
}
export -f one

# shellcheck disable=SC2016  # the inner shell expands it
for tool in "${tools[@]}"; do
  # initcheck does not see what bulk copies write; tests of operations fill their outputs beforehand, whole steps do not.
  awk -v tool="$tool" 'NF && !(tool == "initcheck" && $1 == "skein-bench") {print tool, $0}' <<<"$runs"
done | xargs -d '\n' -P "${JOBS:-8}" -I{} bash -c 'one "$1"' one {} || { echo "$0: see $logs" >&2; exit 1; }
