// The gRPC contract as the calls that a load generator makes: of a gateway or of a worker.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "tools/skeinctl/api_client.h"

namespace grpc {
class Channel;
}

namespace skein::ctl {

// Not thread-safe: one client per thread, each with a connection of its own.
class GrpcClient {
 public:
  // `address` is HOST:PORT, in plain text; `api_key` may be empty.
  GrpcClient(const std::string& address, const std::string& api_key);

  // As ApiClient's, for prompts of tokens.
  absl::StatusOr<std::vector<Token>> Tokenize(const std::string& model, const std::string& text);
  absl::StatusOr<Generated> Generate(const GenerateCall& call);

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::string api_key_;
};

}  // namespace skein::ctl
