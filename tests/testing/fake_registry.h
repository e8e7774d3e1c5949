// The registry of a fake worker: names, and contents that are their files' names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "skein/v1/registry.pb.h"

namespace skein {

// Not thread-safe.
class FakeRegistry {
 public:
  // NotFound for a path that begins with "missing".
  absl::StatusOr<v1::Entry> LoadState(const v1::LoadStateRequest& request);
  // The same; the method is "lora".
  absl::StatusOr<v1::Entry> LoadAdapter(const v1::LoadAdapterRequest& request);
  // NotFound if a state is not there.
  absl::StatusOr<v1::Entry> DefineMixture(const v1::DefineMixtureRequest& request);
  absl::Status Remove(const v1::RemoveRequest& request);
  v1::ListResponse List() const;

  uint64_t revision() const { return revision_; }
  std::vector<std::string> names() const;

 private:
  std::map<std::string, v1::Entry> entries_;  // by name
  uint64_t revision_ = 1;
};

}  // namespace skein
