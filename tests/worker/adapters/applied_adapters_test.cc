// Which adapters a request can have at once.
#include "worker/adapters/applied_adapters.h"

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "tests/worker/adapters/adapter_fixture.h"

namespace skein {
namespace {

constexpr int64_t kWidth = 48, kFfn = 96;

class AppliedAdaptersTest : public testing::Test {
 protected:
  AppliedAdapter Named(const std::string& name, const FakeFile& file,
                       std::optional<float> scale = std::nullopt) {
    auto adapter = Load(file, base_);
    EXPECT_TRUE(adapter.ok()) << adapter.status();
    auto bound = std::make_shared<BoundAdapter>();
    bound->adapter = std::make_shared<const Adapter>(*std::move(adapter));
    return {std::move(bound), scale, name};
  }
  static FakeFile Lora(const std::string& module, int64_t rank = 4) {
    const bool key = module == "blocks.0.ffn.key", value = module == "blocks.0.ffn.value";
    FakeFile file;
    file.AddLora(module, key ? kFfn : kWidth, value ? kFfn : kWidth, rank);
    return file;
  }
  static FakeFile Dora(const std::string& module) {
    FakeFile file = Lora(module);
    file.Add(module + ".lora_M", {kWidth});
    return file;
  }
  static FakeFile Bone(const std::string& module) {
    FakeFile file;
    file.Add(module + ".bone", {kWidth / 8, 8, 8});
    return file;
  }
  static FakeFile Miss(const std::string& module) {
    FakeFile file;
    file.Add(module + ".disha", {8, kWidth});
    return file;
  }
  static FakeFile Replacing(const std::string& name, const Shape& shape) {
    FakeFile file;
    file.Add(name, shape);
    return file;
  }
  static FakeFile Experts() {
    FakeFile file;
    file.AddExperts("blocks.0.ffn", kWidth, kFfn, 4, 3, 2);
    return file;
  }

  FakeBase base_{kWidth, kFfn};
};

const std::string kKey = "blocks.0.att.key", kValue = "blocks.0.att.value";

TEST_F(AppliedAdaptersTest, WhatAddsUpGoesTogether) {
  const AppliedAdapter lora = Named("lora", Lora(kKey)), other = Named("other", Lora(kKey), 0.5f);
  EXPECT_TRUE(CheckApplied({}).ok());
  for (const FakeFile& file : {Lora(kKey), Dora(kKey), Bone(kKey), Miss(kKey), Experts(),
                               Replacing(kKey + ".weight", {kWidth, kWidth})}) {
    const AppliedAdapter adapters[] = {lora, Named("third", file), other, Named("x", Dora(kValue))};
    EXPECT_TRUE(CheckApplied(adapters).ok()) << CheckApplied(adapters);
  }
}

TEST_F(AppliedAdaptersTest, WhatDoesNotIsRefusedByName) {
  struct Case {
    FakeFile first, second;
    std::string message;
  };
  const std::string together = "conditioning.adapters: \"a\" and \"b\" cannot be used together: ";
  const Shape square = {kWidth, kWidth};
  for (const Case& c :
       {Case{Dora(kKey), Bone(kKey),
             together + "both do more to blocks.0.att.key than to add to its output, which one "
                        "adapter may"},
        Case{Replacing("blocks.0.ffn.x_k", {kWidth}), Replacing(kKey + ".weight", square),
             together + "both replace tensors of the model, which one adapter of a request may"},
        Case{Dora(kKey), Replacing(kKey + ".weight", square),
             together +
                 "the second replaces blocks.0.att.key.weight, whose norms the magnitudes of "
                 "the first are made for"},
        Case{Experts(), Lora("blocks.0.ffn.key"),
             together + "the first has experts for blocks.0.ffn.key, which the second changes"},
        Case{Lora("blocks.0.ffn.value"), Experts(),
             together + "the second has experts for blocks.0.ffn.value, which the first changes"},
        Case{Experts(), Experts(), together + "both have experts for blocks.0.ffn"},
        Case{Lora(kKey, 1000), Lora(kKey, 25),
             "conditioning.adapters: rank 1025 on blocks.0.att.key together, expected at most "
             "1024"}}) {
    const AppliedAdapter adapters[] = {Named("a", c.first), Named("b", c.second)};
    const absl::Status status = CheckApplied(adapters);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()), c.message);
  }
}

TEST_F(AppliedAdaptersTest, EachIsThereOnceAndTheyAreFew) {
  const AppliedAdapter lora = Named("a", Lora(kKey));
  const AppliedAdapter twice[] = {lora, Named("b", Lora(kKey)), lora};
  EXPECT_EQ(std::string(CheckApplied(twice).message()),
            "conditioning.adapters: \"a\" is there twice, expected once");
  const std::vector<AppliedAdapter> many(kMaxAppliedAdapters + 1, lora);
  EXPECT_EQ(std::string(CheckApplied(many).message()),
            "conditioning.adapters: 9 adapters, expected at most 8");
}

TEST_F(AppliedAdaptersTest, OnlyLoraTakesAScale) {
  const AppliedAdapter dora[] = {Named("a", Dora(kKey), 1.0f)};
  EXPECT_EQ(std::string(CheckApplied(dora).message()),
            "scale: only LoRA takes one, blocks.0.att.key has dora");
  const AppliedAdapter endless[] = {Named("a", Lora(kKey), INFINITY)};
  EXPECT_EQ(std::string(CheckApplied(endless).message()), "scale: inf, expected -1000 to 1000");
}

}  // namespace
}  // namespace skein
