// How a function that is compiled once per instruction set is declared and called:
//
//   SKEIN_ISA_DECLARE(void F(int);)   declares F in each instruction set's namespace
//   SKEIN_ISA(F)(1)                   calls the active one, from code that includes isa.h
#pragma once

#if defined(__x86_64__)
#define SKEIN_ISA_DECLARE(...) \
  namespace portable {         \
  __VA_ARGS__                  \
  }                            \
  namespace avx2 {             \
  __VA_ARGS__                  \
  }                            \
  namespace avx512 {           \
  __VA_ARGS__                  \
  }
#define SKEIN_ISA(function)                                         \
  (::skein::ActiveIsa() == ::skein::Isa::kAvx512 ? avx512::function \
   : ::skein::ActiveIsa() == ::skein::Isa::kAvx2 ? avx2::function   \
                                                 : portable::function)
#else
#define SKEIN_ISA_DECLARE(...) \
  namespace portable {         \
  __VA_ARGS__                  \
  }
#define SKEIN_ISA(function) (portable::function)
#endif
