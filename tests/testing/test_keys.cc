#include "tests/testing/test_keys.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace skein {

std::string TestKey(const std::string& name, const std::string& more) {
  // Of `printf %s NAME | sha256sum`.
  static const std::map<std::string, std::string> kHashes = {
      {"alpha", "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"},
      {"beta", "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753"},
      {"gamma", "be9d587defa1f0c09ef49eb17e206983a5f8f8289e4281860bd0ee5a19592c67"},
      {"delta", "4f4a9410ffcdf895c4adb880659e9b5c0dd1f23a30790684340b3eaacb045398"},
  };
  return absl::StrCat("key { name: '", name, "' sha256: '", kHashes.at(name), "' ", more, " }\n");
}

}  // namespace skein
