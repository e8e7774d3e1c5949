// The bodies of /loadstatemodel, /mrss_loadstatemodel and /mrss_set_gatingweight.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"
#include "skein/v1/registry.pb.h"

namespace skein {

// What the three have in common, each with the members that it reads.
struct StateBody {
  std::string model;  // empty: the only one
  std::string name;
  std::vector<std::string> paths;
  bool with_zero_state = false;
  std::optional<std::vector<float>> weights;
  v1::Defaults defaults;
};

const FieldTable<StateBody>& LoadStateFields();
const FieldTable<StateBody>& LoadMixtureFields();
const FieldTable<StateBody>& SetWeightsFields();

// InvalidArgument naming the field.
absl::StatusOr<StateBody> ReadLoadState(const boost::json::object& object);
absl::StatusOr<StateBody> ReadLoadMixture(const boost::json::object& object);
absl::StatusOr<StateBody> ReadSetWeights(const boost::json::object& object);

// Gives the states of `mix` these weights, in order: those that are missing are 0, surplus ones are
// left out. InvalidArgument, about `field`, if that leaves no state or weights whose sum is 0.
absl::Status Weigh(absl::string_view field, const std::vector<float>& weights, v1::StateMix& mix);

// How a mixture calls the states that are loaded for it alone: "NAME/1 FILE" and so on.
std::string MemberName(const std::string& mixture, size_t index, const std::string& path);
bool IsMemberOf(const std::string& name, const std::string& mixture);

}  // namespace skein
