// What the gateway adds to a token's way: the same streams straight from a worker over gRPC, and
// through the gateway over HTTP and over gRPC. Worker and clients share this process and its clock,
// and each token is the time at which it was sent.
//
//   gateway_latency [--streams N] [--tokens N] [--pace-ms N]
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include <grpcpp/grpcpp.h>

#include "common/base/status_macros.h"
#include "skein/v1/inference.grpc.pb.h"
#include "tests/bench/timed_worker.h"
#include "tests/e2e/servers.h"
#include "tools/skeinctl/api_client.h"
#include "tools/skeinctl/bench_report.h"
#include "tools/skeinctl/options.h"

namespace skein {
namespace {

struct Settings {
  int64_t streams = 64;
  int64_t tokens = 200;
  int64_t pace_ms = 20;
};

// Seconds.
struct Delays {
  std::vector<double> token;        // from the worker's hand to the client's
  std::vector<double> first_token;  // from the client's request
};

void Append(const Delays& more, Delays& all) {
  all.token.insert(all.token.end(), more.token.begin(), more.token.end());
  all.first_token.insert(all.first_token.end(), more.first_token.begin(), more.first_token.end());
}

// Delays of one stream; called by its own thread.
using Stream = absl::Status (*)(const std::string& target, int64_t tokens, Delays& delays);

// Notes when `text`, one or more times with a blank after each, has arrived.
void Arrived(absl::string_view text, int64_t begin, Delays& delays) {
  const int64_t now = SteadyNanos();
  if (delays.token.empty()) delays.first_token.push_back(static_cast<double>(now - begin) / 1e9);
  for (const char* at = text.data(); at < text.data() + text.size();) {
    char* end = nullptr;
    delays.token.push_back(static_cast<double>(now - std::strtoll(at, &end, 10)) / 1e9);
    at = end + 1;
  }
}

// A connection for each stream, as over HTTP.
absl::Status GrpcStream(const std::string& target, int64_t tokens, Delays& delays) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = v1::InferenceService::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
  v1::GenerateRequest request;
  request.set_model("timed");
  request.mutable_prompt()->set_text("x");
  request.mutable_stopping()->set_max_tokens(static_cast<uint32_t>(tokens));
  grpc::ClientContext context;
  const int64_t begin = SteadyNanos();
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    if (!response.text().empty()) Arrived(response.text(), begin, delays);
  }
  const grpc::Status status = reader->Finish();
  return status.ok() ? absl::OkStatus() : absl::InternalError(status.error_message());
}

absl::Status HttpStream(const std::string& target, int64_t tokens, Delays& delays) {
  ASSIGN_OR_RETURN(ctl::Url url, ctl::ParseUrl(target));
  ctl::ApiClient client(std::move(url));
  ctl::GenerateCall call;
  call.model = "timed";
  call.prompt = std::string("x");
  call.max_tokens = tokens;
  const int64_t begin = SteadyNanos();
  call.on_text = [&](absl::string_view text) {
    Arrived(text, begin, delays);
    return true;
  };
  return client.Generate(call).status();
}

// Runs all streams at once, their beginnings spread over one pace.
absl::StatusOr<Delays> Measure(const Settings& settings, const std::string& target, Stream stream) {
  Delays all;
  absl::Status failure;
  std::mutex mu;  // guards both
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < settings.streams; ++i) {
      threads.emplace_back([&, i] {
        std::this_thread::sleep_for(
            std::chrono::microseconds(1000 * settings.pace_ms * i / settings.streams));
        Delays own;
        absl::Status status = stream(target, settings.tokens, own);
        if (status.ok() && static_cast<int64_t>(own.token.size()) != settings.tokens) {
          status = absl::DataLossError(
              absl::StrFormat("%d of %d tokens", own.token.size(), settings.tokens));
        }
        const std::lock_guard<std::mutex> lock(mu);
        if (!status.ok()) failure = status;
        Append(own, all);
      });
    }
  }
  RETURN_IF_ERROR(failure);
  return all;
}

struct Way {
  const char* name;
  std::string target;
  Stream stream;
  Delays delays = {};
};

void Print(const Way& way, const Way& direct) {
  const auto line = [&](const char* what, const std::vector<double>& here,
                        const std::vector<double>& there) {
    const ctl::Percentiles a = ctl::PercentilesOf(there), b = ctl::PercentilesOf(here);
    std::cout << absl::StrFormat("%-14s %-12s p50 %7.3f p99 %7.3f   added p50 %7.3f p99 %7.3f\n",
                                 way.name, what, b.p50, b.p99, b.p50 - a.p50, b.p99 - a.p99);
  };
  line("token", way.delays.token, direct.delays.token);
  line("first token", way.delays.first_token, direct.delays.first_token);
}

absl::Status Run(const std::vector<std::string>& args) {
  Settings settings;
  const std::vector<ctl::Option> options = {
      ctl::IntOption("streams", "N", "", 1, 1000, [&](int64_t value) { settings.streams = value; }),
      ctl::IntOption("tokens", "N", "", 1, 100000, [&](int64_t value) { settings.tokens = value; }),
      ctl::IntOption("pace-ms", "N", "", 1, 10000,
                     [&](int64_t value) { settings.pace_ms = value; })};
  RETURN_IF_ERROR(ctl::ParseArgs(args, options).status());
  TimedWorker worker(absl::Milliseconds(settings.pace_ms));
  ASSIGN_OR_RETURN(const auto gateway,
                   GatewayServer::Start({worker.address()}, "grpc_listen: '127.0.0.1:0'"));
  ASSIGN_OR_RETURN(const std::string line,
                   gateway->process().WaitForLine("event=\"grpc listening\"", absl::Seconds(10)));
  std::cout << absl::StrFormat("%d streams of %d tokens, one every %d ms each; milliseconds\n",
                               settings.streams, settings.tokens, settings.pace_ms);
  Way ways[] = {{"direct", worker.address(), GrpcStream},
                {"gateway, HTTP", gateway->url(), HttpStream},
                {"gateway, gRPC", LogField(line, "address"), GrpcStream}};
  const int64_t idle_bytes = gateway->process().rss_bytes();
  for (int round = 0; round < 4; ++round) {  // in turns, so that all see the same machine
    for (Way& way : ways) {
      ASSIGN_OR_RETURN(const Delays delays, Measure(settings, way.target, way.stream));
      if (round > 0) Append(delays, way.delays);  // the first warms up
    }
  }
  for (const Way& way : ways) Print(way, ways[0]);
  std::cout << absl::StrFormat("gateway: %.1f MiB at the beginning, %.1f MiB at the end\n",
                               static_cast<double>(idle_bytes) / (1 << 20),
                               static_cast<double>(gateway->process().rss_bytes()) / (1 << 20));
  return absl::OkStatus();
}

}  // namespace
}  // namespace skein

int main(int argc, char** argv) {
  const absl::Status status = skein::Run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  std::cerr << "gateway_latency: " << std::string(status.message()) << "\n";
  return 1;
}
