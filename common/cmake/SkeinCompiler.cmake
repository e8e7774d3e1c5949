set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(THREADS_PREFER_PTHREAD_FLAG ON)

find_program(SKEIN_MOLD mold)
if(SKEIN_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(SKEIN_SANITIZE "" CACHE STRING "Value for -fsanitize=, empty for none")
if(SKEIN_SANITIZE)
  # Instrumented code compiles twice as fast without optimisation; folders that compute ask for it again.
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O0 -g1")
  add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${SKEIN_SANITIZE}>
                      $<$<COMPILE_LANGUAGE:C,CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=${SKEIN_SANITIZE})
  if(SKEIN_SANITIZE MATCHES "undefined")
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fno-sanitize-recover=undefined>)
  endif()
  if(SKEIN_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan)  # Asio uses atomic_thread_fence, which g++ 12 warns about
  endif()
endif()
