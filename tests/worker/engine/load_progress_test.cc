#include "worker/engine/load_progress.h"

#include <cstdio>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kTotal = 200'000'000;

std::string Contents(std::FILE* file) {
  std::string text(4096, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  return text;
}

TEST(LoadProgressTest, ATerminalGetsOneLineThatUpdatesItself) {
  FakeClock clock;
  std::FILE* file = std::tmpfile();
  LoadProgress progress("demo", file, /*terminal=*/true, clock);
  progress.Update(0, kTotal);
  clock.Advance(absl::Milliseconds(10));
  progress.Update(kTotal / 4, kTotal);  // too soon after the first
  clock.Advance(absl::Milliseconds(200));
  progress.Update(kTotal / 2, kTotal);
  progress.Update(kTotal, kTotal);  // the end is always shown
  progress.Finish();
  progress.Finish();
  EXPECT_EQ(Contents(file),
            "\rloading demo:   0%  0 of 200 MB"
            "\rloading demo:  50%  100 of 200 MB"
            "\rloading demo: 100%  200 of 200 MB\n");
  std::fclose(file);
}

TEST(LoadProgressTest, ALogGetsALinePerTenth) {
  FakeClock clock;
  ::testing::internal::CaptureStderr();
  LoadProgress progress("demo", stderr, /*terminal=*/false, clock);
  for (int64_t done = 0; done <= 1000; ++done) progress.Update(done * (kTotal / 1000), kTotal);
  progress.Finish();
  const std::string log = ::testing::internal::GetCapturedStderr();
  int num_lines = 0;
  for (const char c : log) num_lines += c == '\n' ? 1 : 0;
  EXPECT_EQ(num_lines, 11);
  EXPECT_THAT(log, HasSubstr("event=\"loading\" model=demo percent=50 mb=100 mb_total=200"));
  EXPECT_THAT(log, Not(HasSubstr("\r")));
}

TEST(LoadProgressTest, AnEmptyModelShowsNothing) {
  FakeClock clock;
  std::FILE* file = std::tmpfile();
  LoadProgress progress("demo", file, /*terminal=*/true, clock);
  progress.Update(0, 0);
  progress.Finish();
  EXPECT_EQ(Contents(file), "");
  std::fclose(file);
}

}  // namespace
}  // namespace skein
