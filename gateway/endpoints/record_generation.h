// What a worker's messages tell of a generation, for its access line.
#pragma once

#include "gateway/http/access_record.h"
#include "skein/v1/inference.pb.h"

namespace skein {

// Adds the usage and the end of a choice, if `message` has them.
void RecordGeneration(const v1::GenerateResponse& message, AccessRecord& access);

}  // namespace skein
