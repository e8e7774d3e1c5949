# Fuzz targets (tests/fuzz), built by the preset `fuzz` alone: clang's libFuzzer under AddressSanitizer and
# UndefinedBehaviorSanitizer.
option(SKEIN_FUZZ "Build the fuzz targets; needs clang" OFF)
set(SKEIN_FUZZ_SECONDS 60 CACHE STRING "How long each fuzz target runs as a test")
add_custom_target(skein_fuzzers COMMENT "Every fuzz target is built")

if(SKEIN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "SKEIN_FUZZ=ON needs clang; use the preset 'fuzz'")
  endif()
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
  # clang 14 cannot write the check of called functions into coroutines.
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)
endif()

# skein_fuzz(NAME safetensors SRCS safetensors_fuzz.cc DEPS ... [DICTIONARY x.dict] [MAX_BYTES 4096])
# The test fuzz/NAME runs the target from the seeds in corpus/NAME for SKEIN_FUZZ_SECONDS. What it finds out is kept in
# the build folder, so that the next run begins where this one ended; a finding is the file fuzz-findings/NAME-*.
function(skein_fuzz)
  cmake_parse_arguments(ARG "" "NAME;DICTIONARY;MAX_BYTES" "SRCS;DEPS" ${ARGN})
  set(target fuzz_${ARG_NAME})
  add_executable(${target} ${ARG_SRCS})
  skein_warnings(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS})
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  add_dependencies(skein_fuzzers ${target})

  set(learned ${CMAKE_BINARY_DIR}/fuzz-corpus/${ARG_NAME})
  set(findings ${CMAKE_BINARY_DIR}/fuzz-findings)
  file(MAKE_DIRECTORY ${learned} ${findings})
  if(NOT ARG_MAX_BYTES)
    set(ARG_MAX_BYTES 4096)
  endif()
  set(options -max_total_time=${SKEIN_FUZZ_SECONDS} -max_len=${ARG_MAX_BYTES} -rss_limit_mb=2048 -malloc_limit_mb=1024
      -timeout=10 -print_final_stats=1 -artifact_prefix=${findings}/${ARG_NAME}-)
  if(ARG_DICTIONARY)
    list(APPEND options -dict=${CMAKE_CURRENT_SOURCE_DIR}/${ARG_DICTIONARY})
  endif()
  add_test(NAME fuzz/${ARG_NAME} COMMAND ${target} ${options} ${learned} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${ARG_NAME})
  math(EXPR timeout "${SKEIN_FUZZ_SECONDS} + 120")
  set_tests_properties(fuzz/${ARG_NAME} PROPERTIES LABELS "slow;fuzz" TIMEOUT ${timeout}
    ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1")
endfunction()
