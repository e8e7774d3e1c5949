# skein_isa_sources(kernels_linear linear_lanes.cc ...): adds sources to the library of that name that are compiled
# once per instruction set (kernels/cpu/isa.h). Contraction is off in all of them: what is fused is written as fused,
# so every instruction set rounds at the same places.
function(skein_isa_sources name)
  set(isas portable)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND isas avx2 avx512)
  endif()
  set(flags_portable "")
  set(flags_avx2 -mavx2 -mfma -mf16c)
  set(flags_avx512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl
      -mprefer-vector-width=512)
  set(optimise -O3)
  if(SKEIN_SANITIZE)  # unrolled and checked at every operation, these files would compile for minutes
    set(optimise -O1 -fno-sanitize=undefined)
  endif()
  foreach(isa IN LISTS isas)
    set(objects skein_${name}_${isa})
    string(TOUPPER ${isa} upper)
    add_library(${objects} OBJECT ${ARGN})
    skein_warnings(${objects})
    target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${objects} PRIVATE SKEIN_ISA_NAMESPACE=${isa} SKEIN_ISA_${upper}=1)
    # g++ 12 takes the deliberately undefined registers of its own AVX-512 header for mistakes; clang-tidy does not
    # know the warning.
    target_compile_options(${objects} PRIVATE ${optimise} -ffp-contract=off ${flags_${isa}}
                           -Wno-uninitialized -Wno-maybe-uninitialized -Wno-unknown-warning-option)
    target_sources(skein_${name} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
