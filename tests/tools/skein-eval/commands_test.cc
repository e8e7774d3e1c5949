#include "tools/skein-eval/commands.h"

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/weights/checkpoint_writer.h"

namespace skein::eval {
namespace {

using ::testing::HasSubstr;

TEST(CommandsTest, AnswersWithStatusAndText) {
  const TempFolder folder;
  const std::string model = folder.File("model");
  struct Case {
    std::vector<std::string> args;
    int status;
    const char* out;
    const char* err;
  };
  for (const Case& c : {
           Case{{}, 2, "", "usage: skein-eval COMMAND"},
           Case{{"--help"}, 0, "make-model  write a model", ""},
           Case{{"fly"}, 2, "", "no command \"fly\""},
           Case{{"make-model", "--help"}, 0, "hybrid-8B    hybrid 36 layers of 4096", ""},
           Case{{"make-model"}, 2, "", "--shape and --out are needed"},
           Case{{"make-model", "--shape", "tiny"}, 2, "", "--shape and --out are needed"},
           Case{{"make-model", "--shape", "9B", "--out", model}, 2, "", "\"9B\" is not known"},
           Case{{"make-model", "--shape", "tiny", "--out", model, "--dtype", "int8"},
                2,
                "",
                "--dtype \"int8\", expected bf16, fp16 or fp32"},
           Case{
               {"make-model", "--shape", "tiny", "--out", model, "--layers", "0"}, 2, "", "layers"},
           Case{{"make-model", "--shape", "tiny", "--out", model, "--vocab", "10"},
                2,
                "",
                "--vocab 10, expected 259 to 200000"},
           Case{{"make-model", "--shape", "tiny", "--out", model, "more"},
                2,
                "",
                "\"more\" is not an option"},
           Case{{"make-model", "--shape", "tiny", "--out", "/dev/null/model"},
                1,
                "",
                "/dev/null/model"},
           Case{{"make-model", "--shape=tiny", "--out", model, "--layers=2", "--vocab=300"},
                0,
                "wrote",
                ""},
       }) {
    SCOPED_TRACE(::testing::PrintToString(c.args));
    std::ostringstream out, err;
    EXPECT_EQ(RunSkeinEval(c.args, out, err), c.status);
    EXPECT_THAT(out.str(), HasSubstr(c.out));
    EXPECT_THAT(err.str(), HasSubstr(c.err));
    EXPECT_EQ(out.str().empty(), c.status != 0);
    EXPECT_EQ(err.str().empty(), c.status == 0);
  }
  EXPECT_TRUE(std::filesystem::exists(model + "/model.safetensors"));
}

}  // namespace
}  // namespace skein::eval
