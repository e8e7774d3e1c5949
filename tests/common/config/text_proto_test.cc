#include "common/config/text_proto.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "skein/config/v1/worker.pb.h"

namespace skein {
namespace {

using config::v1::WorkerConfig;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(TextProtoTest, AFileBecomesAMessage) {
  const std::string path = ::testing::TempDir() + "/text_proto_test.conf";
  std::ofstream(path)
      << "listen: \"[::1]:0\"\n# a comment\nmodel { path: \"m\" stop: \"a\" stop: \"b\" }\n";
  const absl::StatusOr<WorkerConfig> config = ReadTextProto<WorkerConfig>(path);
  std::remove(path.c_str());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen(), "[::1]:0");
  EXPECT_EQ(config->model().stop_size(), 2);
}

TEST(TextProtoTest, AnEmptyFileIsAMessageOfDefaults) {
  WorkerConfig config;
  EXPECT_TRUE(ParseTextProto("", "empty", config).ok());
}

TEST(TextProtoTest, AMissingFileIsNotFound) {
  const absl::Status status = ReadTextProto<WorkerConfig>("/nowhere/worker.conf").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(status), HasSubstr("/nowhere/worker.conf: cannot be opened: No such file"));
}

TEST(TextProtoTest, ErrorsNameFileLineAndField) {
  struct Case {
    const char* name;
    const char* text;
    const char* place;
    const char* field;
  };
  for (const Case& c : {
           Case{"unknown field", "listen: \"a:1\"\nlisten_on: \"b:2\"", "w.conf:2:", "listen_on"},
           Case{"wrong type", "engine {\n  max_queue: \"many\"\n}", "w.conf:2:", "max_queue"},
           Case{"negative", "\n\nengine { threads: -1 }", "w.conf:3:", "threads"},
           Case{"too large", "engine { threads: 5000000000 }", "w.conf:1:", "threads"},
           Case{"given twice", "listen: \"a:1\" \nlisten: \"b:2\"", "w.conf:2:", "listen"},
           Case{"open brace", "model {\n path: \"x\"\n", "w.conf:3:", "end of the text"},
           Case{"no value", "log_level:", "w.conf:1:", "log_level"},
       }) {
    SCOPED_TRACE(c.name);
    WorkerConfig config;
    const absl::Status status = ParseTextProto(c.text, "w.conf", config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(Message(status), AllOf(HasSubstr(c.place), HasSubstr(c.field)));
  }
}

TEST(TextProtoTest, ErrorsOfSecretFilesRepeatNothing) {
  for (const char* text : {"listen: sk-secret", "sk-secret", "model {\n sk-secret: \"x\" }",
                           "listen: \"sk-secret", "engine { threads: \"sk-secret\" }"}) {
    SCOPED_TRACE(text);
    WorkerConfig config;
    const absl::Status status = ParseTextProto(text, "keys", config, TextErrors::kPlaceOnly);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(Message(status), AllOf(HasSubstr("keys:"), HasSubstr("cannot be read"),
                                       testing::Not(HasSubstr("sk-"))));
  }
}

}  // namespace
}  // namespace skein
