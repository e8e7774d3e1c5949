#include "worker/engine/load_progress.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/log.h"

namespace skein {
namespace {

constexpr absl::Duration kRedrawEvery = absl::Milliseconds(100);
constexpr int kPercentPerLogLine = 10;

double Megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

LoadProgress::LoadProgress(std::string model, std::FILE* out, bool terminal, const Clock& clock)
    : model_(std::move(model)), out_(out), terminal_(terminal), clock_(clock) {}

void LoadProgress::Update(int64_t bytes_done, int64_t bytes_total) {
  if (bytes_total <= 0) return;
  const int percent =
      static_cast<int>(100.0 * static_cast<double>(bytes_done) / static_cast<double>(bytes_total));
  if (terminal_) {
    const bool due = clock_.Now() - last_drawn_ >= kRedrawEvery || bytes_done >= bytes_total;
    if (due && percent != last_percent_) Draw(bytes_done, bytes_total, percent);
    return;
  }
  if (percent / kPercentPerLogLine == last_percent_ / kPercentPerLogLine && last_percent_ >= 0) {
    return;
  }
  last_percent_ = percent;
  LogInfo("loading", {{"model", model_},
                      {"percent", absl::StrCat(percent)},
                      {"mb", absl::StrFormat("%.0f", Megabytes(bytes_done))},
                      {"mb_total", absl::StrFormat("%.0f", Megabytes(bytes_total))}});
}

void LoadProgress::Draw(int64_t bytes_done, int64_t bytes_total, int percent) {
  last_percent_ = percent;
  last_drawn_ = clock_.Now();
  line_open_ = true;
  const std::string line = absl::StrFormat("\rloading %s: %3d%%  %.0f of %.0f MB", model_, percent,
                                           Megabytes(bytes_done), Megabytes(bytes_total));
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

void LoadProgress::Finish() {
  if (!line_open_) return;
  line_open_ = false;
  std::fputc('\n', out_);
  std::fflush(out_);
}

}  // namespace skein
