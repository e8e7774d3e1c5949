// SKEIN_HOST_DEVICE marks small functions that both host code and kernels call.
#pragma once

#if defined(__CUDACC__)
#define SKEIN_HOST_DEVICE __host__ __device__
#else
#define SKEIN_HOST_DEVICE
#endif
