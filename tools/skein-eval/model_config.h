// The configuration files of a hybrid model folder.
#pragma once

#include <string>

#include "common/tensor/dtype.h"
#include "tools/skein-eval/model_shapes.h"

namespace skein::eval {

std::string ConfigJson(const ModelShape& shape, DType dtype);
// The last three tokens of the vocabulary end a reply or begin a text.
std::string GenerationConfigJson(const ModelShape& shape);

}  // namespace skein::eval
