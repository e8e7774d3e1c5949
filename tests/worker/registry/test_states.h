// States and adapters without a model, and a folder for files.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include <unistd.h>

#include "gtest/gtest.h"

#include "worker/adapters/bound_adapter.h"
#include "worker/memory/initial_state.h"

namespace skein {

inline std::shared_ptr<const InitialState> MakeState(const std::string& hash) {
  return std::make_shared<const InitialState>(
      InitialState{.record = *Arena::Create(8), .content_hash = hash});
}

inline std::shared_ptr<const BoundAdapter> MakeBoundAdapter(const std::string& hash) {
  Adapter adapter;
  adapter.content_hash = hash;
  auto bound = std::make_shared<BoundAdapter>();
  bound->adapter = std::make_shared<const Adapter>(std::move(adapter));
  return bound;
}

// An empty folder of the running test's own, gone with this object.
class TestFolder {
 public:
  TestFolder() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::string(test.test_suite_name()) + "." + test.name() + std::to_string(getpid()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
    path_ = std::filesystem::canonical(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace skein
