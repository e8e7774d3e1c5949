#include "common/metrics/process_metrics.h"

#include <map>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/testing/documented_metrics.h"

namespace skein {
namespace {

std::map<std::string, double> Values() {
  std::map<std::string, double> values;
  for (const prometheus::MetricFamily& family : ProcessMetrics().Collect()) {
    const prometheus::ClientMetric& metric = family.metric.at(0);
    values[family.name] =
        family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
  }
  return values;
}

TEST(ProcessMetricsTest, TheDocumentListsEachAndNoOther) {
  std::set<std::string> names;
  for (const auto& [name, value] : Values()) names.insert(name);
  EXPECT_EQ(names, DocumentedMetrics("process_"));
}

TEST(ProcessMetricsTest, ValuesAreThoseOfThisProcess) {
  const std::map<std::string, double> values = Values();
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1e6);
  EXPECT_LT(values.at("process_resident_memory_bytes"), 1e10);
  EXPECT_GT(values.at("process_virtual_memory_bytes"), values.at("process_resident_memory_bytes"));
  EXPECT_GE(values.at("process_threads"), 1);
  EXPECT_GE(values.at("process_cpu_seconds_total"), 0);
  EXPECT_LT(values.at("process_cpu_seconds_total"), 600);
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  EXPECT_NEAR(values.at("process_start_time_seconds"), now, 600);
  EXPECT_GT(values.at("process_max_fds"), values.at("process_open_fds"));
}

TEST(ProcessMetricsTest, AnOpenFileIsCounted) {
  const double before = Values().at("process_open_fds");
  const int file = open("/dev/null", O_RDONLY);
  ASSERT_GE(file, 0);
  EXPECT_EQ(Values().at("process_open_fds"), before + 1);
  close(file);
}

}  // namespace
}  // namespace skein
