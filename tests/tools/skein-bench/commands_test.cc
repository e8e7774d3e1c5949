#include "tools/skein-bench/commands.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/device/device.h"
#include "tests/worker/weights/checkpoint_writer.h"

namespace skein::bench {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int status;
  std::string out, err;
};

Outcome RunWith(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  const int status = RunSkeinBench(args, out, err);
  return {status, out.str(), err.str()};
}

TEST(CommandsTest, AnswersWithStatusAndText) {
  struct Case {
    std::vector<std::string> args;
    int status;
    const char* out;
    const char* err;
  };
  for (const Case& c : {
           Case{{}, 2, "", "usage: skein-bench COMMAND"},
           Case{{"--help"}, 0, "prefill   tokens per second", ""},
           Case{{"fly"}, 2, "", "no command \"fly\""},
           Case{{"decode", "--help"}, 0, "--context N", ""},
           Case{{"prefill", "--help"}, 0, "--slab N", ""},
           Case{{"check", "--help"}, 0, "--batch LIST", ""},
           Case{{"roofline", "--help"}, 0, "--threads N", ""},
           Case{{"decode"}, 2, "", "--shape is needed"},
           Case{{"decode", "--shape", "9B"}, 2, "", "\"9B\" is not known"},
           Case{{"decode", "--shape", "tiny", "--format", "int8"}, 2, "", "expected fp16 or bf16"},
           Case{{"decode", "--shape", "tiny", "--batch", "1,x"}, 2, "", "--batch \"1,x\""},
           Case{{"decode", "--shape", "tiny", "--batch", "0"}, 2, "", "--batch \"0\""},
           Case{{"decode", "--shape", "tiny", "--ffn-zeros", "0.2"}, 2, "", "--ffn-zeros"},
           Case{{"decode", "--shape", "tiny", "--backend", "tpu"}, 2, "", "--backend \"tpu\""},
           Case{{"decode", "--shape", "tiny", "--state", "int8"}, 2, "", "--state \"int8\""},
           Case{{"decode", "--shape", "tiny", "--state", "fp16", "--backend", "cpu"},
                2,
                "",
                "fp32 alone"},
           Case{{"decode", "--shape", "tiny", "--device-memory", "24"}, 2, "", "such as 24GiB"},
           Case{{"decode", "--shape", "7.2B", "--device-memory", "12GiB", "--backend", "cpu"},
                1,
                "the model does not fit 12GiB",
                "no batch of --batch fits 12GiB"},
           Case{{"decode", "--shape", "7.2B", "--batch", "2000", "--device-memory", "24GiB",
                 "--backend", "cpu"},
                1,
                "sequences fit 24GiB",
                "no batch of --batch fits 24GiB"},
           Case{{"decode", "--shape", "tiny", "more"}, 2, "", "\"more\" is not an option"},
           Case{{"prefill", "--shape", "tiny", "--tokens", "512"}, 2, "", "--tokens \"512\""},
           Case{{"prefill", "--shape", "tiny", "--tokens", "0x512"}, 2, "", "--tokens \"0x512\""},
           Case{{"mixture", "--help"}, 0, "--branches LIST", ""},
           Case{{"mixture", "--shape", "tiny", "--branches", "3"}, 2, "", "expected powers of two"},
           Case{{"mixture", "--shape", "tiny", "--rows", "6", "--branches", "4"},
                2,
                "",
                "that divide 6 rows"},
           Case{{"kernel", "--help"}, 0, "operations: time_mix_in, time_mix_wkv", ""},
           Case{{"kernel", "--shape", "tiny"}, 2, "", "name an operation: time_mix_in"},
           Case{
               {"kernel", "head", "--shape", "tiny", "--rows", "1x2x3"}, 2, "", "--rows \"1x2x3\""},
           Case{{"roofline", "--backend", "cpu", "--json", "/dev/null/x"},
                1,
                "read GB/s",
                "/dev/null/x"},
       }) {
    SCOPED_TRACE(::testing::PrintToString(c.args));
    const Outcome outcome = RunWith(c.args);
    EXPECT_EQ(outcome.status, c.status);
    EXPECT_THAT(outcome.out, HasSubstr(c.out));
    EXPECT_THAT(outcome.err, HasSubstr(c.err));
    EXPECT_EQ(outcome.err.empty(), c.status == 0);
  }
}

// The lines of the JSON that a command writes.
boost::json::array LinesOf(std::vector<std::string> args) {
  const TempFolder folder;
  const std::string path = folder.File("result.json");
  args.insert(args.end(), {"--backend", "cpu", "--threads", "2", "--bandwidth", "10", "--flops",
                           "0.1", "--json", path});
  const Outcome outcome = RunWith(args);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const boost::json::object document = boost::json::parse(text.str()).as_object();
  for (const char* name : {"machine", "commit", "date", "command"}) {
    EXPECT_TRUE(document.at("about").as_object().contains(name)) << name;
  }
  return document.at("lines").as_array();
}

TEST(CommandsTest, DecodesBatchesOfBothArchitectures) {
  for (const std::string shape : {"tiny", "hybrid-tiny"}) {
    SCOPED_TRACE(shape);
    const boost::json::array lines = LinesOf({"decode", "--shape", shape, "--batch", "1,3,9",
                                              "--steps", "9", "--runs", "2", "--context", "40"});
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[2].at("batch").as_int64(), 9);
    for (const boost::json::value& line : lines) {
      EXPECT_GT(line.at("tokens/s").as_double(), 0);
      EXPECT_GT(line.at("of floor %").as_double(), 0);
      EXPECT_TRUE(line.at("repeats").as_bool());
      EXPECT_TRUE(line.at("distinct").as_bool());
    }
  }
}

TEST(CommandsTest, PrefillsInSlabs) {
  for (const std::string shape : {"tiny", "hybrid-tiny"}) {
    SCOPED_TRACE(shape);
    const boost::json::array lines = LinesOf({"prefill", "--shape", shape, "--tokens", "1x70,5x20",
                                              "--slab", "32", "--runs", "2", "--format", "bf16"});
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[1].at("prompts").as_string(), "5x20");
    EXPECT_TRUE(lines[1].at("repeats").as_bool());
  }
}

TEST(CommandsTest, MixturesOfLikeStatesDrawWhatPlainSequencesDraw) {
  for (const std::string shape : {"tiny", "hybrid-tiny"}) {
    SCOPED_TRACE(shape);
    const boost::json::array lines = LinesOf({"mixture", "--shape", shape, "--rows", "8",
                                              "--branches", "2,8", "--steps", "20", "--runs", "2"});
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[2].at("branches").as_int64(), 8);
    EXPECT_EQ(lines[2].at("sequences").as_int64(), 1);
    for (const boost::json::value& line : lines) {
      EXPECT_GT(line.at("x plain").as_double(), 0);
      EXPECT_TRUE(line.at("same").as_bool());
    }
  }
}

TEST(CommandsTest, ChecksThatRowsDoNotDependOnTheirNeighbours) {
  const boost::json::array lines = LinesOf({"check", "--batch", "1,5"});
  ASSERT_EQ(lines.size(), 8u);
  for (const boost::json::value& line : lines) {
    EXPECT_TRUE(line.at("equal").as_bool());
    EXPECT_EQ(line.at("common").as_int64(), 20);
  }
}

TEST(CommandsTest, TimesSingleOperations) {
  const boost::json::array rwkv7 = LinesOf(
      {"kernel", "time_mix_in,time_mix_wkv,project_add,channel_mix_in,channel_mix_out,head,sample",
       "--shape", "tiny", "--rows", "1,2x5"});
  const boost::json::array hybrid = LinesOf({"kernel", "paged_attention,project_add", "--shape",
                                             "hybrid-tiny", "--rows", "3", "--context", "20"});
  EXPECT_EQ(rwkv7.size(), 14u);
  EXPECT_EQ(hybrid.size(), 2u);
  for (const boost::json::array& lines : {rwkv7, hybrid}) {
    for (const boost::json::value& line : lines) {
      SCOPED_TRACE(boost::json::serialize(line));
      EXPECT_GT(line.at("us").as_double(), 0);
      EXPECT_GT(line.at("copies").as_int64(), 1);
      EXPECT_EQ(line.at("from CPU").as_double(), 0);
      EXPECT_TRUE(line.at("repeats").as_bool());
    }
  }
}

TEST(CommandsTest, SaysWhichOperationsAShapeHas) {
  const Outcome attention = RunWith({"kernel", "paged_attention", "--shape", "tiny", "--backend",
                                     "cpu", "--bandwidth", "10", "--flops", "1"});
  EXPECT_EQ(attention.status, 2);
  EXPECT_THAT(attention.err, HasSubstr("the shape tiny do not have the operation paged_attention"));
  const Outcome fly = RunWith({"kernel", "fly", "--shape", "tiny", "--backend", "cpu",
                               "--bandwidth", "10", "--flops", "1"});
  EXPECT_EQ(fly.status, 2);
  EXPECT_THAT(fly.err, HasSubstr("no operation \"fly\", expected one of time_mix_in"));
}

// The GPU tests of the operations and models say what is right; this says that it can be measured.
TEST(CommandsTest, MeasuresOnAGpu) {
  if (const absl::Status gpu = ProbeCuda(); !gpu.ok()) {
    ASSERT_EQ(std::getenv("SKEIN_REQUIRE_GPU"), nullptr) << gpu;
    GTEST_SKIP() << gpu;
  }
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"roofline"},
           {"check", "--batch", "1,3,40"},
           {"check", "--batch", "8", "--format", "bf16", "--shape", "tiny", "--state", "fp16"},
           {"decode", "--shape", "tiny", "--batch", "1,3,9", "--steps", "30", "--state", "fp16"},
           {"decode", "--shape", "hybrid-tiny", "--batch", "1,9", "--steps", "30", "--format",
            "bf16", "--context", "100"},
           {"prefill", "--shape", "tiny", "--tokens", "1x70,5x20", "--slab", "32"},
           {"kernel",
            "time_mix_in,time_mix_wkv,project_add,channel_mix_in,channel_mix_out,head,sample",
            "--shape", "tiny", "--rows", "1,8,100,2x20"},
           {"kernel", "paged_attention", "--shape", "hybrid-tiny", "--rows", "3,2x20", "--context",
            "300"}}) {
    SCOPED_TRACE(::testing::PrintToString(args));
    std::vector<std::string> on_gpu = args;
    on_gpu.insert(on_gpu.end(), {"--backend", "cuda", "--runs", "2"});
    const Outcome outcome = RunWith(on_gpu);
    EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  }
}

}  // namespace
}  // namespace skein::bench
