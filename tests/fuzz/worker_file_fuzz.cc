// Where workers are: SOURCE, as a configuration writes it, 1f TEXT, a file of addresses.
#include <set>
#include <string>

#include "absl/strings/str_cat.h"

#include "common/config/address.h"
#include "common/config/worker_source.h"
#include "gateway/routing/worker_file.h"
#include "tests/fuzz/fuzz.h"

namespace {

using skein::fuzz::Require;
using skein::fuzz::RequireFailure;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

void CheckSource(absl::string_view text) {
  const auto source = skein::ParseWorkerSource(text);
  if (!source.ok()) return RequireFailure(source.status(), {kInvalid});
  Require(source->text == text, "a source knows how it was written");
  if (source->kind == skein::WorkerSource::Kind::kFile) {
    Require(!source->path.empty(), "a file has a path");
  } else {
    Require(!source->host.empty() && source->port != 0, "a worker has a host and a port");
  }
}

void CheckFile(absl::string_view text) {
  const auto addresses = skein::ParseWorkerFile(text);
  if (!addresses.ok()) return RequireFailure(addresses.status(), {kInvalid});
  Require(!addresses->empty(), "a list has an address");
  std::string written;
  for (const std::string& address : *addresses) {
    Require(skein::ParseHostPort(address).ok(), "an address is one", address);
    absl::StrAppend(&written, "  ", address, " # worker\n\n");
  }
  const auto again = skein::ParseWorkerFile(written);
  Require(again.ok() && *again == *addresses, "a list that was written reads the same", written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  CheckSource(parts.Next());
  CheckFile(parts.Rest());
  return 0;
}
