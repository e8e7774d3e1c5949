#include "gateway/routing/worker_discovery.h"

#include <condition_variable>
#include <optional>
#include <thread>
#include <utility>

#include <pthread.h>

#include "absl/status/statusor.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/routing/worker_file.h"

namespace skein {
namespace {

using Addresses = std::set<std::string>;

// A resolver without an answer gives up after its own timeouts, which are longer.
constexpr std::chrono::seconds kJoinPatience{1};

// Takes a file's text once it has stood still from one reading to the next.
class FileReader {
 public:
  explicit FileReader(std::string path) : path_(std::move(path)) {}

  // No value while there is nothing new to say.
  std::optional<absl::StatusOr<Addresses>> Read() {
    absl::StatusOr<std::string> text = ReadWorkerFile(path_);
    if (!text.ok()) return text.status();
    const bool settled = last_ == *text;
    last_ = *std::move(text);
    if (!settled) return std::nullopt;
    return ParseWorkerFile(*last_);
  }

 private:
  const std::string path_;
  std::optional<std::string> last_;
};

}  // namespace

// What threads that were left behind may still touch.
class WorkerDiscovery::Shared {
 public:
  Shared(WorkerDiscoveryOptions discovery_options, Listener listener)
      : options(std::move(discovery_options)), listener_(std::move(listener)) {}

  void Found(const std::string& source, const Addresses& addresses) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return;
    known_[source] = addresses;
    Addresses all;
    for (const auto& [text, found] : known_) all.insert(found.begin(), found.end());
    listener_(all);
  }

  // False once it is time to stop.
  bool Sleep(absl::Duration duration) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(duration), [this] { return stopping_; });
    return !stopping_;
  }

  void Stop() {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }

  void Ended() {
    const std::lock_guard<std::mutex> lock(mu_);
    ++num_ended_;
    changed_.notify_all();
  }

  bool WaitForEnds(size_t count) {
    std::unique_lock<std::mutex> lock(mu_);
    return changed_.wait_for(lock, kJoinPatience, [&] { return num_ended_ == count; });
  }

  const WorkerDiscoveryOptions options;

 private:
  std::mutex mu_;  // held while the listener runs
  std::condition_variable changed_;
  // Guarded by mu_.
  const Listener listener_;
  std::map<std::string, Addresses> known_;  // by source
  size_t num_ended_ = 0;
  bool stopping_ = false;
};

// One source's thread: asks again and again, and tells what has changed.
class WorkerDiscovery::Lookup {
 public:
  Lookup(std::shared_ptr<Shared> shared, WorkerSource source)
      : thread_([shared = std::move(shared), source = std::move(source)] {
          pthread_setname_np(pthread_self(), "skein-discover");
          Run(*shared, source);
          shared->Ended();
        }) {}

  std::thread& thread() { return thread_; }

 private:
  static void Run(Shared& shared, const WorkerSource& source) {
    FileReader file(source.path);
    const bool is_file = source.kind == WorkerSource::Kind::kFile;
    std::optional<Addresses> known;
    std::string last_error;
    do {
      std::optional<absl::StatusOr<Addresses>> found;
      if (is_file) {
        found = file.Read();
      } else {
        found = shared.options.resolver(source.host, source.port);
      }
      if (!found) continue;
      const std::string error(found->status().message());
      if (error != last_error && !error.empty()) Warn(source, error, known);
      last_error = error;
      if (!found->ok() || known == **found) continue;
      known = **found;
      LogInfo("workers found", {{"source", source.text}, {"workers", absl::StrJoin(*known, ",")}});
      shared.Found(source.text, *known);
    } while (shared.Sleep(is_file ? shared.options.read_every : shared.options.resolve_every));
  }

  static void Warn(const WorkerSource& source, const std::string& error,
                   const std::optional<Addresses>& known) {
    LogWarning("workers not found", {{"source", source.text},
                                     {"reason", error},
                                     {"kept", known ? absl::StrJoin(*known, ",") : "none"}});
  }

  std::thread thread_;
};

WorkerDiscovery::WorkerDiscovery(std::vector<WorkerSource> sources, WorkerDiscoveryOptions options,
                                 Listener listener)
    : shared_(std::make_shared<Shared>(std::move(options), std::move(listener))) {
  Addresses addresses;
  for (const WorkerSource& source : sources) {
    if (source.kind == WorkerSource::Kind::kAddress) addresses.insert(source.text);
  }
  shared_->Found("", addresses);
  for (WorkerSource& source : sources) {
    if (source.kind == WorkerSource::Kind::kAddress) continue;
    lookups_.push_back(std::make_unique<Lookup>(shared_, std::move(source)));
  }
}

WorkerDiscovery::~WorkerDiscovery() {
  shared_->Stop();
  const bool all_ended = shared_->WaitForEnds(lookups_.size());
  for (const auto& lookup : lookups_) {
    if (all_ended) {
      lookup->thread().join();
    } else {
      lookup->thread().detach();  // it owns what it uses
    }
  }
}

}  // namespace skein
