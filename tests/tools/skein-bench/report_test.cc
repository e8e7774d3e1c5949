#include "tools/skein-bench/report.h"

#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/weights/checkpoint_writer.h"

namespace skein::bench {
namespace {

using ::testing::HasSubstr;

std::string Content(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ReportTest, PrintsATableAndWritesJson) {
  std::ostringstream out;
  Report report(out, {{"card", "none"}});
  report.Add({{"rows", int64_t{8}}, {"ms", 1.25, 1}, {"ok?", true}, {"raw", 3.0, 2, false}});
  report.Add({{"rows", int64_t{16}}, {"ms", 2.0, 1}, {"ok?", false}, {"raw", 4.0, 2, false}});
  report.Add({{"name", "other"}, {"x", std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(out.str(),
            "card: none\n"
            "\n"
            "    rows        ms       ok?  \n"
            "       8       1.2        ok  \n"
            "      16       2.0    FAILED  \n"
            "\n"
            "           name         x  \n"
            "          other       inf  \n");
  const TempFolder folder;
  const std::string path = folder.File("report.json");
  ASSERT_TRUE(report.WriteJson(path).ok());
  EXPECT_EQ(Content(path),
            R"({"about":{"card":"none"},"lines":[{"rows":8,"ms":1.25E0,"ok?":true,"raw":3E0},)"
            R"({"rows":16,"ms":2E0,"ok?":false,"raw":4E0},{"name":"other","x":null}]})"
            "\n");
}

TEST(ReportTest, SaysWhereItCannotWrite) {
  std::ostringstream out;
  const absl::Status status = Report(out, {}).WriteJson("/dev/null/report.json");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/dev/null/report.json"));
}

}  // namespace
}  // namespace skein::bench
