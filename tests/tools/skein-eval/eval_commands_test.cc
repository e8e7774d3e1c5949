// skein-eval logits and perplexity, as a user calls them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/testing/safetensors.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "tools/skein-eval/commands.h"
#include "tools/skein-eval/perplexity.h"

namespace skein::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Result {
  int status = 0;
  std::string out, err;
};

Result RunTool(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  Result result;
  result.status = RunSkeinEval(args, out, err);
  result.out = out.str();
  result.err = err.str();
  return result;
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(EvalCommandsTest, LogitsAreANumpyArrayThatChunksDoNotChange) {
  const auto model = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  const auto expected = GoldenPath("rwkv/rand-x070/seq_017.safetensors");
  if (!model || !expected) GTEST_SKIP() << "no golden data";
  const TempFolder folder;
  const GoldenTensors golden(*expected);
  WriteFile(folder.File("tokens"), absl::StrJoin(golden.Ints("tokens"), " \n"));
  std::string first;
  for (const char* chunk : {"1", "7", "256"}) {
    const Result result = RunTool({"logits", "--model", *model, "--tokens", folder.File("tokens"),
                                   "--out", folder.File("out.npy"), "--chunk", chunk});
    ASSERT_EQ(result.status, 0) << result.err;
    const std::string npy = ReadFileOrDie(folder.File("out.npy"));
    if (first.empty()) first = npy;
    EXPECT_TRUE(npy == first) << chunk;
  }
  EXPECT_EQ(first.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header =
      10 + static_cast<unsigned char>(first[8]) + 256 * static_cast<unsigned char>(first[9]);
  EXPECT_EQ(header % 64, 0u);
  EXPECT_THAT(first.substr(10, header - 10),
              HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (17, 512), }"));
  ASSERT_EQ(first.size(), header + 17 * 512 * 4);
  const std::vector<float> logits = golden.Floats("logits");
  for (size_t i = 0; i < logits.size(); ++i) {
    float found = 0;
    std::memcpy(&found, first.data() + header + 4 * i, 4);
    ASSERT_NEAR(found, logits[i], 2e-4) << i;
  }
}

// The numbers of a file that skein-eval logits wrote.
std::vector<float> NpyFloats(const std::string& path) {
  const std::string npy = ReadFileOrDie(path);
  const size_t header =
      10 + static_cast<unsigned char>(npy[8]) + 256 * static_cast<unsigned char>(npy[9]);
  std::vector<float> values((npy.size() - header) / sizeof(float));
  std::memcpy(values.data(), npy.data() + header, values.size() * sizeof(float));
  return values;
}

double MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]));
  }
  return largest;
}

// A tuned state with the first [layer, ...] values of a golden run.
std::string StateOfRun(const GoldenTensors& golden) {
  struct Part {
    const char* golden;
    const char* key;
  };
  std::vector<TestTensor> tensors;
  for (const Part& part :
       {Part{"init.wkv", "att.time_state"}, Part{"init.shift_att", "att.ts_state"},
        Part{"init.shift_ffn", "ffn.ts_state"}}) {
    Shape shape = golden.ShapeOf(part.golden);
    const std::vector<float> values = golden.Floats(part.golden);
    const int64_t layers = shape[0];
    const int64_t size = static_cast<int64_t>(values.size()) / layers;
    shape.erase(shape.begin());
    for (int64_t layer = 0; layer < layers; ++layer) {
      const auto begin = values.begin() + layer * size;
      tensors.push_back(MakeTestTensor(absl::StrCat("blocks.", layer, ".", part.key), DType::kF32,
                                       shape, {begin, begin + size}));
    }
  }
  return SafetensorsBytes(tensors);
}

TEST(EvalCommandsTest, LogitsStartFromATunedState) {
  const auto model = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  const auto expected = GoldenPath("rwkv/rand-x070/cont_023.safetensors");
  if (!model || !expected) GTEST_SKIP() << "no golden data";
  const TempFolder folder;
  const GoldenTensors golden(*expected);
  WriteFile(folder.File("tokens"), absl::StrJoin(golden.Ints("tokens"), " "));
  // Under both names value-key is right; a name may hold a colon of its own.
  const std::string state = folder.Write("of:a:run.state", StateOfRun(golden));
  const std::string same = folder.Write("run:kvs", StateOfRun(golden));
  struct Case {
    std::vector<std::string> more;
    bool right;
    const char* line;
  };
  for (const Case& c :
       {Case{{"--state", state + ":vk"}, true, ", value-key\n"},
        Case{{"--state", state + ":vk", "--chunk", "7"}, true, ", value-key\n"},
        Case{{"--state", same}, true, ", value-key\n"},
        Case{{"--state", same + ":kv"}, false, ", key-value\n"},
        Case{{"--state", state}, false, ", key-value\n"}, Case{{}, false, "wrote"}}) {
    SCOPED_TRACE(absl::StrJoin(c.more, " "));
    std::vector<std::string> args = {"logits",
                                     "--model",
                                     *model,
                                     "--tokens",
                                     folder.File("tokens"),
                                     "--out",
                                     folder.File("out.npy")};
    args.insert(args.end(), c.more.begin(), c.more.end());
    const Result result = RunTool(args);
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr(c.line));
    const double difference =
        MaxDifference(NpyFloats(folder.File("out.npy")), golden.Floats("logits"));
    EXPECT_EQ(difference <= 2e-4, c.right) << difference;
  }
}

TEST(EvalCommandsTest, LogitsOfAStateFileFromTrainingAreThoseOfTheReference) {
  const auto model = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  const auto state = GoldenPath("rwkv/rand-x070/time_state.pth");
  const auto expected = GoldenPath("rwkv/rand-x070/tuned_021.safetensors");
  if (!model || !state || !expected) GTEST_SKIP() << "no golden data";
  const TempFolder folder;
  const GoldenTensors golden(*expected);
  WriteFile(folder.File("tokens"), absl::StrJoin(golden.Ints("tokens"), " "));
  const Result result = RunTool({"logits", "--model", *model, "--tokens", folder.File("tokens"),
                                 "--out", folder.File("out.npy"), "--state", *state});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_LE(MaxDifference(NpyFloats(folder.File("out.npy")), golden.Floats("logits")), 2e-4);
}

// skein-eval logits of a few tokens, as a user calls it with `more`.
class LogitsOf {
 public:
  explicit LogitsOf(std::string model) : model_(std::move(model)) {
    WriteFile(folder_.File("tokens"), "1 2 3 4 5 6 7 8 9");
  }
  Result Run(std::vector<std::string> more) const {
    more.insert(more.begin(), {"logits", "--model", model_, "--tokens", folder_.File("tokens"),
                               "--out", folder_.File("out.npy")});
    return RunTool(more);
  }
  std::vector<float> operator()(const std::vector<std::string>& more) const {
    const Result result = Run(more);
    EXPECT_EQ(result.status, 0) << result.err;
    return NpyFloats(folder_.File("out.npy"));
  }
  const TempFolder& folder() const { return folder_; }

 private:
  const std::string model_;
  const TempFolder folder_;
};

TEST(EvalCommandsTest, AMixtureIsTheSumOfItsStatesByWeight) {
  const auto model = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  const auto run = GoldenPath("rwkv/rand-x070/cont_023.safetensors");
  const auto hybrid = GoldenPath("hybrid/hxa079-qknorm");
  if (!model || !run || !hybrid) GTEST_SKIP() << "no golden data";
  const LogitsOf logits(*model);
  const std::string state =
      logits.folder().Write("run.safetensors", StateOfRun(GoldenTensors(*run)));
  const std::vector<float> tuned = logits({"--state", state}), plain = logits({});
  std::vector<float> expected = tuned;
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = 0.75f * tuned[i] + 0.25f * plain[i];
  for (const char* chunk : {"256", "4"}) {
    const std::string mixture = absl::StrCat(state, ":vk:3,:1");
    EXPECT_LE(MaxDifference(logits({"--mixture", mixture, "--chunk", chunk}), expected), 1e-5);
  }
  EXPECT_THAT(
      logits.Run({"--mixture", state + ":3,:1"}).out,
      AllOf(HasSubstr(", value-key, weight 0.75\n"), HasSubstr("state zeros, weight 0.25")));
  EXPECT_EQ(logits({"--mixture", state + ":1,:0"}), tuned);
  const LogitsOf pages(*hybrid);
  EXPECT_LE(MaxDifference(pages({"--mixture", ":1,:1", "--chunk", "4"}), pages({})), 1e-5);
}

TEST(EvalCommandsTest, AdaptersChangeTheLogitsAndAddUp) {
  const auto model = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  if (!model) GTEST_SKIP() << "no golden data";
  const LogitsOf logits(*model);
  constexpr int64_t kWidth = 128, kRank = 4;
  // B of every layer's key product has the same `value` everywhere.
  const auto lora = [&](const std::string& name, float value) {
    std::vector<TestTensor> tensors;
    for (int layer = 0; layer < 2; ++layer) {
      const std::string module = absl::StrCat("blocks.", layer, ".att.key.");
      tensors.push_back(MakeTestTensor(module + "lora_A", DType::kF32, {kRank, kWidth},
                                       std::vector<float>(kRank * kWidth, 0.05f)));
      tensors.push_back(MakeTestTensor(module + "lora_B", DType::kF32, {kWidth, kRank},
                                       std::vector<float>(kRank * kWidth, value)));
    }
    return logits.folder().Write(name, SafetensorsBytes(tensors));
  };
  const std::string one = lora("one.safetensors", 0.01f), three = lora("t:1.safetensors", 0.03f);
  const std::vector<float> plain = logits({});
  EXPECT_EQ(logits({"--adapter", one + ":0"}), plain);
  EXPECT_GT(MaxDifference(logits({"--adapter", three}), plain), 1e-3);
  EXPECT_EQ(logits({"--adapter", three + ":2"}), logits({"--adapter", three}));
  EXPECT_LE(MaxDifference(logits({"--adapter", one + ":6"}), logits({"--adapter", three})), 1e-5);
  EXPECT_LE(MaxDifference(logits({"--adapter", one, "--adapter", three + ":-0.5"}),
                          logits({"--adapter", one + ":0.5"})),
            1e-5);
  EXPECT_THAT(logits.Run({"--adapter", one}).out, HasSubstr(", lora\n"));
  EXPECT_THAT(logits.Run({"--adapter", one + ":x"}).err, HasSubstr("x: no such file"));
  EXPECT_THAT(logits.Run({"--mixture", one}).err, HasSubstr("expected FILE:WEIGHT"));
  EXPECT_THAT(logits.Run({"--state", one, "--mixture", ":1"}).err,
              HasSubstr("there is a state already"));
}

TEST(EvalCommandsTest, AHybridTakesStatesOfItsRwkvLayers) {
  const auto model = GoldenPath("hybrid/hxa079-qknorm");  // RWKV, attention, RWKV, attention
  if (!model) GTEST_SKIP() << "no golden data";
  const LogitsOf logits(*model);
  const GoldenTensors golden(*model + "/expected.safetensors");
  const Shape all = golden.ShapeOf("wkv.T17");  // [layer, head, N, N]
  const Shape shape = {all[1], all[2], all[3]};
  const auto filled = [&](const std::vector<int>& layers, float value) {
    std::vector<TestTensor> tensors;
    tensors.reserve(layers.size());
    const std::vector<float> values(static_cast<size_t>(NumElements(shape)), value);
    for (const int layer : layers) {
      tensors.push_back(
          MakeTestTensor(absl::StrCat("model.layers.", layer, ".self_attn.time_state"),
                         DType::kBF16, shape, values));
    }
    return logits.folder().Write("state.safetensors", SafetensorsBytes(tensors));
  };
  const std::vector<float> plain = logits({});
  EXPECT_EQ(logits({"--state", filled({0, 2}, 0.0f)}), plain);
  EXPECT_GT(MaxDifference(logits({"--state", filled({0, 2}, 0.5f)}), plain), 1e-3);
  const Result wrong = logits.Run({"--state", filled({0, 1}, 0.5f)});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("layer 1 of the model is not an RWKV layer"));
}

TEST(EvalCommandsTest, PerplexityAndBitsPerByteFollowFromTheMeanOverTheWholeText) {
  const TempFolder folder;
  const std::string model = folder.File("model");
  ASSERT_EQ(RunTool({"make-model", "--shape", "tiny", "--out", model}).status, 0);
  const std::string text = "The quick brown fox jumps over the lazy dog. 0123456789.";
  WriteFile(folder.File("text"), text);
  const Result result = RunTool(
      {"perplexity", "--model", model, "--text", folder.File("text"), "--prefix-token", "0"});
  ASSERT_EQ(result.status, 0) << result.err;
  int tokens = 0;
  double mean = 0, perplexity = 0, bits = 0, speed = 0;
  ASSERT_EQ(std::sscanf(
                result.out.c_str(),
                "tokens scored %d mean nll %lf nats perplexity %lf bits per byte %lf tokens/s %lf",
                &tokens, &mean, &perplexity, &bits, &speed),
            5)
      << result.out;
  EXPECT_GT(mean, 1.0) << "random weights cannot predict";
  EXPECT_NEAR(perplexity / std::exp(mean), 1.0, 1e-3);
  EXPECT_NEAR(bits, mean * tokens / std::log(2.0) / static_cast<double>(text.size()), 1e-3);
  EXPECT_GT(speed, 0);
}

TEST(EvalCommandsTest, TheCpuAnswersAsTheCpuDoes) {
  const TempFolder folder;
  const std::string chats = ReadFileOrDie(SourcePath("tests/e2e/data/eval_prompts.jsonl"));
  WriteFile(folder.File("chats"), chats.substr(0, chats.find('\n', chats.find('\n') + 1)));
  const Result result = RunTool({"compare", "--model", SourcePath("deploy/demo-model"), "--prompts",
                                 folder.File("chats"), "--rounding", "0"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("answers          2, "));
  EXPECT_THAT(result.out, HasSubstr("\nalike            2\n"));
  EXPECT_THAT(result.out, HasSubstr("logits differ by 0.0000 at most"));
}

TEST(EvalCommandsTest, NegativeLogLikelihoodIsThatOfTheSoftmax) {
  const std::vector<float> logits = {0.0f, std::log(3.0f), 1000.0f, 1000.0f};
  EXPECT_NEAR(NegativeLogLikelihood({logits.data(), 2}, 1), std::log(4.0 / 3.0), 1e-6);
  EXPECT_NEAR(NegativeLogLikelihood({logits.data(), 2}, 0), std::log(4.0), 1e-6);
  EXPECT_NEAR(NegativeLogLikelihood(logits, 3), std::log(2.0), 1e-9);
  EXPECT_NEAR(NegativeLogLikelihood(logits, 0), 1000.0 + std::log(2.0), 1e-6);
}

TEST(EvalCommandsTest, WrongUseIsExplained) {
  const TempFolder folder;
  WriteFile(folder.File("tokens"), "1 2 x");
  WriteFile(folder.File("large"), "1 99999999");
  WriteFile(folder.File("empty"), "");
  const auto golden = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  if (!golden) GTEST_SKIP() << "no golden data";
  struct Case {
    std::vector<std::string> args;
    int status;
    const char* message;
  };
  const std::string out = folder.File("out.npy");
  for (const Case& c : {
           Case{{"logits", "--model", *golden}, 2, "--tokens and --out are needed"},
           Case{{"logits", "--tokens", folder.File("large"), "--out", out}, 2, "--model is needed"},
           Case{{"logits", "--model", *golden, "--tokens", folder.File("tokens"), "--out", out},
                2,
                "token 2 is \"x\""},
           Case{{"logits", "--model", *golden, "--tokens", folder.File("empty"), "--out", out},
                2,
                "holds no token"},
           Case{{"logits", "--model", *golden, "--tokens", folder.File("large"), "--out", out},
                2,
                "token 1 is 99999999, the vocabulary has 512"},
           Case{{"logits", "--model", *golden, "--tokens", folder.File("none"), "--out", out},
                1,
                "cannot be read"},
           Case{{"logits", "--model", *golden, "--tokens", folder.File("large"), "--out", out,
                 "--backend", "tpu"},
                2,
                "expected cpu or cuda"},
           Case{{"logits", "--model", folder.File("none"), "--tokens", folder.File("large"),
                 "--out", out},
                1,
                "none"},
           Case{{"logits", "--model", *golden, "--tokens", folder.File("large"), "--out", out,
                 "--state", folder.File("none.pth:kv")},
                1,
                "skein-eval logits: none.pth: no such file"},
           Case{{"compare", "--model", *golden}, 2, "--model and --prompts are needed"},
           Case{{"compare", "--model", *golden, "--prompts", folder.File("tokens")},
                1,
                "no tokenizer or no chat format"},
           Case{{"compare", "--model", SourcePath("deploy/demo-model"), "--prompts",
                 folder.File("tokens")},
                2,
                "line 1: expected {\"messages\""},
           Case{{"perplexity", "--model", *golden}, 2, "--model and --text are needed"},
           Case{{"perplexity", "--model", *golden, "--text", folder.File("tokens")},
                1,
                "no tokenizer"},
       }) {
    SCOPED_TRACE(c.message);
    const Result result = RunTool(c.args);
    EXPECT_EQ(result.status, c.status) << result.err;
    EXPECT_THAT(result.err, HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace skein::eval
