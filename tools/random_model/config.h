// The configuration files of a hybrid model folder.
#pragma once

#include <string>

#include "common/tensor/dtype.h"
#include "tools/random_model/shapes.h"

namespace skein::random_model {

std::string ConfigJson(const ModelShape& shape, DType dtype);
// The last three tokens of the vocabulary end a reply or begin a text.
std::string GenerationConfigJson(const ModelShape& shape);

}  // namespace skein::random_model
