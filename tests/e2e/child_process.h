// A program that a test runs beside itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace skein {

// Not thread-safe. The process is killed with this object, and dies with the test if the test dies
// first. When the test has failed by then, what the process wrote is kept and the end of it
// printed.
class ChildProcess {
 public:
  // Runs `command`, whose first element is the program's path; a program that is not there is taken
  // from the test's own folder. `name` shows up in messages; `input` is its standard input.
  // Internal if it cannot be started.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const std::string& name, const std::vector<std::string>& command,
      const std::string& input = "");
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Signal(int number);
  // The exit status, or 128 + the signal that ended the process. DeadlineExceeded if it runs on.
  absl::StatusOr<int> Wait(absl::Duration timeout);
  bool Running();

  // What it has written so far.
  std::string out() const;
  std::string err() const;
  // The first line of err() that contains `text`. Unavailable with the last lines if the process
  // ends without one, DeadlineExceeded if none comes.
  absl::StatusOr<std::string> WaitForLine(const std::string& text, absl::Duration timeout);

  int pid() const { return pid_; }
  // Memory in use, from /proc.
  int64_t rss_bytes() const;

 private:
  ChildProcess(std::string name, std::string files)
      : name_(std::move(name)), files_(std::move(files)) {}
  absl::Status Launch(const std::vector<std::string>& command, const std::string& input);

  const std::string name_;
  const std::string files_;  // path of its output files, without .out and .err
  int pid_ = -1;
  std::optional<int> exit_status_;
};

// Value of `key` in a log line of key=value pairs, without quotes; empty if absent.
std::string LogField(const std::string& line, const std::string& key);

// Runs a command to its end, at most `timeout`.
struct CommandResult {
  int exit_status = 0;
  std::string out, err;
};
absl::StatusOr<CommandResult> RunCommand(const std::vector<std::string>& command,
                                         const std::string& input = "",
                                         absl::Duration timeout = absl::Seconds(60));

}  // namespace skein
