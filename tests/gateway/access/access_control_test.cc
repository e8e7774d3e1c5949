#include "gateway/access/access_control.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "common/base/retry_after.h"
#include "common/config/text_proto.h"
#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

// printf %s KEY | sha256sum
constexpr char kHashOfAlpha[] = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
constexpr char kHashOfBeta[] = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

std::string KeyText(const std::string& name, const std::string& hash,
                    const std::string& more = "") {
  return absl::StrCat("key { name: '", name, "' sha256: '", hash, "' role: 'inference' ", more,
                      "}\n");
}

class AccessControlTest : public testing::Test {
 protected:
  void SetKeys(const std::string& text) {
    config::v1::KeysFile keys;
    ASSERT_TRUE(ParseTextProto(text, "keys", keys).ok());
    ASSERT_TRUE(access_.SetKeys(keys).ok());
  }
  Caller Alpha() { return *access_.Identify("Bearer alpha", Role::kInference); }
  double Refused(const std::string& reason) {
    return registry_.AddCounter("skein_gateway_refused_requests_total", "", {{"reason", reason}})
        .Value();
  }

  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  AccessControl access_{clock_, metrics_};
};

TEST_F(AccessControlTest, WithoutKeysAnybodyMayDoAnything) {
  for (const Role role : {Role::kOpen, Role::kInference, Role::kMetrics, Role::kAdmin}) {
    const auto caller = access_.Identify("", role);
    ASSERT_TRUE(caller.ok());
    EXPECT_EQ(caller->name(), "");
    EXPECT_TRUE(access_.Admit(*caller, "any", {"thing"}, 1 << 30).ok());
    EXPECT_TRUE(access_.RateLimitHeaders(*caller).empty());
  }
}

TEST_F(AccessControlTest, AKeyOpensWhatItsRolesAllow) {
  SetKeys(KeyText("a", kHashOfAlpha));
  const auto caller = access_.Identify("bearer   alpha ", Role::kInference);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->name(), "a");
  EXPECT_TRUE(absl::IsPermissionDenied(access_.Identify("Bearer alpha", Role::kMetrics).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(access_.Identify("Bearer alpha", Role::kAdmin).status()));
  EXPECT_TRUE(access_.Identify("", Role::kOpen).ok());
  EXPECT_EQ(Refused("role"), 2);
}

TEST_F(AccessControlTest, WhatIsNoKeyIsUnauthenticated) {
  SetKeys(KeyText("a", kHashOfAlpha));
  for (const char* text : {"", "Bearer", "Bearer ", "Basic alpha", "alpha", "BearerAlpha"}) {
    EXPECT_TRUE(absl::IsUnauthenticated(access_.Identify(text, Role::kInference).status())) << text;
  }
  EXPECT_EQ(Refused("no_key"), 6);
  EXPECT_TRUE(absl::IsUnauthenticated(access_.Identify("Bearer x", Role::kInference).status()));
  EXPECT_EQ(Refused("wrong_key"), 1);
}

TEST_F(AccessControlTest, AnExpiredKeyIsRefusedLikeAWrongOne) {
  SetKeys(KeyText("a", kHashOfAlpha, "expires: '1970-01-01T01:00:00Z'"));  // second 3600
  EXPECT_TRUE(access_.Identify("Bearer alpha", Role::kInference).ok());
  clock_.Advance(absl::Seconds(2600));
  const absl::Status expired = access_.Identify("Bearer alpha", Role::kInference).status();
  EXPECT_EQ(expired, access_.Identify("Bearer wrong", Role::kInference).status());
  // The role is not looked at either.
  EXPECT_EQ(expired, access_.Identify("Bearer alpha", Role::kAdmin).status());
  EXPECT_EQ(Refused("expired_key"), 2);
}

TEST_F(AccessControlTest, ModelsAndAdaptersOutsideTheListsAreNamed) {
  SetKeys(KeyText("a", kHashOfAlpha, "model: 'rwkv*' model: 'demo' adapter: 'law-*'"));
  const Caller caller = Alpha();
  EXPECT_TRUE(access_.Admit(caller, "demo", {"law-de", "law-fr"}, 1).ok());
  EXPECT_TRUE(access_.Admit(caller, "rwkv7", {}, 1).ok());
  const absl::Status model = access_.Admit(caller, "big", {}, 1).status();
  EXPECT_TRUE(absl::IsPermissionDenied(model));
  EXPECT_EQ(model.message(), "model: this API key may not use \"big\"");
  EXPECT_TRUE(absl::IsPermissionDenied(access_.Admit(caller, "", {}, 1).status()));
  const absl::Status adapter = access_.Admit(caller, "demo", {"law-de", "poet"}, 1).status();
  EXPECT_TRUE(absl::IsPermissionDenied(adapter));
  EXPECT_EQ(adapter.message(), "adapter: this API key may not use \"poet\"");
  EXPECT_TRUE(access_.MayUseModel(caller, "rwkv6"));
  EXPECT_FALSE(access_.MayUseModel(caller, "gpt"));
  EXPECT_EQ(Refused("model"), 2);
  EXPECT_EQ(Refused("adapter"), 1);
}

TEST_F(AccessControlTest, LimitsAreResourceExhaustedUntilTheirTime) {
  SetKeys(KeyText("a", kHashOfAlpha, "requests_per_minute: 2"));
  const Caller caller = Alpha();
  EXPECT_TRUE(access_.Admit(caller, "demo", {}, 0).ok());
  EXPECT_TRUE(access_.Admit(caller, "demo", {}, 0).ok());
  const absl::Status refused = access_.Admit(caller, "demo", {}, 0).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_TRUE(absl::StrContains(refused.message(), "2 requests a minute")) << refused;
  EXPECT_EQ(RetryAfterOf(refused), absl::Seconds(30));
  EXPECT_EQ(Refused("requests_per_minute"), 1);
  clock_.Advance(absl::Seconds(30));
  EXPECT_TRUE(access_.Admit(caller, "demo", {}, 0).ok());
}

TEST_F(AccessControlTest, ARequestAboveTheLimitIsNotToldToTryAgain) {
  SetKeys(KeyText("a", kHashOfAlpha, "tokens_per_minute: 100"));
  const absl::Status refused = access_.Admit(Alpha(), "demo", {}, 200).status();
  EXPECT_EQ(RetryAfterOf(refused), absl::InfiniteDuration());
  EXPECT_TRUE(absl::StrContains(refused.message(), "asks for 200")) << refused;
  EXPECT_EQ(Refused("tokens_per_minute"), 1);
}

TEST_F(AccessControlTest, AnAdmissionIsAParallelRequestWhileItLives) {
  SetKeys(KeyText("a", kHashOfAlpha, "max_parallel: 1"));
  const Caller caller = Alpha();
  {
    absl::StatusOr<Admission> first = access_.Admit(caller, "demo", {}, 0);
    ASSERT_TRUE(first.ok());
    const Admission moved = *std::move(first);
    EXPECT_TRUE(absl::IsResourceExhausted(access_.Admit(caller, "demo", {}, 0).status()));
  }
  EXPECT_TRUE(access_.Admit(caller, "demo", {}, 0).ok());
  EXPECT_EQ(Refused("parallel"), 1);
}

TEST_F(AccessControlTest, NewKeysKeepWhatWasUsed) {
  SetKeys(KeyText("a", kHashOfAlpha, "requests_per_minute: 2"));
  const Caller before = Alpha();
  EXPECT_TRUE(access_.Admit(before, "demo", {}, 0).ok());
  SetKeys(KeyText("a", kHashOfBeta, "requests_per_minute: 2"));
  EXPECT_FALSE(access_.Identify("Bearer alpha", Role::kInference).ok());
  const auto after = access_.Identify("Bearer beta", Role::kInference);
  ASSERT_TRUE(after.ok());
  EXPECT_TRUE(access_.Admit(*after, "demo", {}, 0).ok());
  EXPECT_FALSE(access_.Admit(*after, "demo", {}, 0).ok());
  EXPECT_FALSE(access_.Admit(before, "demo", {}, 0).ok());
}

// The file is watched: real time, short.
class KeysFileTest : public testing::Test {
 protected:
  KeysFileTest() { std::filesystem::create_directories(folder_ / "v1"); }
  ~KeysFileTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  static bool WaitFor(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(10));
    return condition();
  }
  void Create(const std::string& name) {
    auto access =
        AccessControl::Create(folder_ / name, Clock::Real(), metrics_, absl::Milliseconds(20));
    ASSERT_TRUE(access.ok()) << access.status();
    access_ = *std::move(access);
  }
  bool Opens(const std::string& key) {
    return access_->Identify("Bearer " + key, Role::kInference).ok();
  }
  double Stale() {
    return registry_.AddGauge("skein_gateway_stale_file", "", {{"file", "keys"}}).Value();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      absl::StrCat("skein-keys-", std::chrono::steady_clock::now().time_since_epoch().count());
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  std::unique_ptr<AccessControl> access_;
};

TEST_F(KeysFileTest, MustBeGoodAtTheStart) {
  EXPECT_TRUE(
      absl::IsNotFound(AccessControl::Create(folder_ / "none", Clock::Real(), metrics_).status()));
  Write("keys", "key { name: 'a' }");
  const absl::Status status =
      AccessControl::Create(folder_ / "keys", Clock::Real(), metrics_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "keys: key \"a\": sha256: missing")) << status;
}

TEST_F(KeysFileTest, IsReadAgainWhenItChanges) {
  Write("keys", KeyText("a", kHashOfAlpha));
  Create("keys");
  EXPECT_TRUE(Opens("alpha"));
  EXPECT_FALSE(Opens("beta"));
  Write("keys", KeyText("a", kHashOfAlpha) + KeyText("b", kHashOfBeta));
  EXPECT_TRUE(WaitFor([&] { return Opens("beta"); }));
  EXPECT_TRUE(Opens("alpha"));
  EXPECT_EQ(metrics_.api_keys.Value(), 2);
}

TEST_F(KeysFileTest, ABrokenOneChangesNothingUntilItIsMended) {
  Write("keys", KeyText("a", kHashOfAlpha));
  Create("keys");
  for (const std::string& broken : {std::string("key {"), std::string(), KeyText("b", "x")}) {
    Write("keys", broken);
    EXPECT_TRUE(WaitFor([&] { return Stale() == 1; })) << broken;
    EXPECT_TRUE(Opens("alpha"));
    Write("keys", KeyText("a", kHashOfAlpha));
    EXPECT_TRUE(WaitFor([&] { return Stale() == 0; }));
  }
  std::filesystem::remove(folder_ / "keys");
  EXPECT_TRUE(WaitFor([&] { return Stale() == 1; }));
  EXPECT_TRUE(Opens("alpha"));
  Write("keys", KeyText("b", kHashOfBeta));
  EXPECT_TRUE(WaitFor([&] { return Opens("beta"); }));
  EXPECT_FALSE(Opens("alpha"));
  EXPECT_EQ(Stale(), 0);
}

// As the kubelet does it: keys -> ..data/keys, ..data -> a folder; ..data is replaced by a rename.
TEST_F(KeysFileTest, ASwappedSecretMountIsSeen) {
  namespace fs = std::filesystem;
  Write("v1/keys", KeyText("a", kHashOfAlpha));
  fs::create_directory_symlink("v1", folder_ / "..data");
  fs::create_symlink("..data/keys", folder_ / "keys");
  Create("keys");
  EXPECT_TRUE(Opens("alpha"));
  fs::create_directories(folder_ / "v2");
  Write("v2/keys", KeyText("a", kHashOfBeta));
  fs::create_directory_symlink("v2", folder_ / "..data_tmp");
  fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  fs::remove_all(folder_ / "v1");
  EXPECT_TRUE(WaitFor([&] { return Opens("beta"); }));
  EXPECT_FALSE(Opens("alpha"));
}

}  // namespace
}  // namespace skein
