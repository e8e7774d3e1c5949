// Where test data lies: the part in tests/golden, and the full set beside the checkout when it is
// there.
#pragma once

#include <optional>
#include <string>

namespace skein {

// Path of a golden file or folder such as "rwkv/rand-x070/model.bf16.safetensors", from
// tests/golden or else from the full set (../shared/golden, or $SKEIN_GOLDEN_DIR); nullopt if
// neither has it: the test skips.
std::optional<std::string> GoldenPath(const std::string& name);
// Likewise for data of other projects (../shared/data), which is never in the repository.
std::optional<std::string> SharedDataPath(const std::string& name);
// A file of the repository, such as "deploy/demo-model/config.json": of the checkout that the test
// was built from, or at $SKEIN_SOURCE_DIR where it was moved to another machine.
std::string SourcePath(const std::string& name);
// The whole file; aborts if it cannot be read.
std::string ReadFileOrDie(const std::string& path);

}  // namespace skein
