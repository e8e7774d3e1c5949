// How much memory the machine, or the container, still has.
#pragma once

#include <cstdint>
#include <string>

namespace skein {

// Bytes that this process may take without others losing theirs: what the kernel calls available,
// or less by the limit of the process's control group (version 2). 0 if that is not known. The
// folders are those of the proc and cgroup file systems.
int64_t AvailableHostBytes(const std::string& proc = "/proc",
                           const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace skein
