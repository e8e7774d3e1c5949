// Entries of a keys file for tests.
#pragma once

#include <string>

namespace skein {

// A key whose text is its name, one of alpha, beta, gamma and delta; `more` are further fields.
std::string TestKey(const std::string& name, const std::string& more);

}  // namespace skein
