#include "common/metrics/process_metrics.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace skein {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Places in /proc/self/stat, counted from the process state, which stands after the name.
constexpr size_t kUserTicks = 11;
constexpr size_t kSystemTicks = 12;
constexpr size_t kThreads = 17;
constexpr size_t kStartTicks = 19;
constexpr size_t kVirtualBytes = 20;
constexpr size_t kResidentPages = 21;
constexpr size_t kStatFields = 22;

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Empty if they cannot be had. The name, in parentheses, may itself have blanks and parentheses.
std::vector<double> StatFields() {
  const std::string stat = ReadFile("/proc/self/stat");
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return {};
  std::vector<double> fields;
  for (const absl::string_view field :
       absl::StrSplit(absl::string_view(stat).substr(name_end + 2), ' ')) {
    double value = 0;
    (void)absl::SimpleAtod(field, &value);  // the state is a letter, which nobody asks for
    fields.push_back(value);
  }
  if (fields.size() < kStatFields) fields.clear();
  return fields;
}

// Unix time at which the machine started.
std::optional<double> BootTime() {
  for (const absl::string_view line : absl::StrSplit(ReadFile("/proc/stat"), '\n')) {
    double value = 0;
    const std::vector<absl::string_view> parts = absl::StrSplit(line, ' ');
    if (parts.size() == 2 && parts[0] == "btime" && absl::SimpleAtod(parts[1], &value)) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<double> OpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (error) return std::nullopt;
  // Without the one that looks.
  return static_cast<double>(std::distance(begin(files), end(files))) - 1;
}

void Add(const char* name, const char* help, MetricType type, double value,
         std::vector<MetricFamily>& families) {
  ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  family.metric.push_back(std::move(metric));
  families.push_back(std::move(family));
}

void AddStat(const std::vector<double>& stat, std::vector<MetricFamily>& families) {
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  Add("process_cpu_seconds_total", "User and system time spent.", MetricType::Counter,
      (stat[kUserTicks] + stat[kSystemTicks]) / ticks_per_second, families);
  Add("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
      stat[kResidentPages] * static_cast<double>(sysconf(_SC_PAGESIZE)), families);
  Add("process_virtual_memory_bytes", "Virtual memory.", MetricType::Gauge, stat[kVirtualBytes],
      families);
  Add("process_threads", "Threads.", MetricType::Gauge, stat[kThreads], families);
  if (const std::optional<double> boot = BootTime()) {
    Add("process_start_time_seconds", "Start of the process, Unix time.", MetricType::Gauge,
        *boot + stat[kStartTicks] / ticks_per_second, families);
  }
}

}  // namespace

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  std::vector<MetricFamily> families;
  const std::vector<double> stat = StatFields();
  if (!stat.empty()) AddStat(stat, families);
  if (const std::optional<double> open = OpenFiles()) {
    Add("process_open_fds", "Open file descriptors.", MetricType::Gauge, *open, families);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    Add("process_max_fds", "Most file descriptors that may be open.", MetricType::Gauge,
        static_cast<double>(limit.rlim_cur), families);
  }
  return families;
}

}  // namespace skein
