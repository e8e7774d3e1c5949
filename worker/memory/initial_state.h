// What a sequence starts from in place of zeros.
#pragma once

#include <memory>
#include <string>

#include "kernels/device/arena.h"

namespace skein {

// A record of the model's StateLayout where the model computes. Never changed once made; shared by
// the registry and by the requests that use it.
struct InitialState {
  std::unique_ptr<Arena> record;
  std::string content_hash;  // of the values alone, whatever file they came in
};

}  // namespace skein
