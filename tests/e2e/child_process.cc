#include "tests/e2e/child_process.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(5);

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// Where `program` was built, or beside this test: a bundle holds both in one folder.
std::string Find(const std::string& program) {
  std::error_code error;
  if (std::filesystem::exists(program, error)) return program;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return self.parent_path() / std::filesystem::path(program).filename();
}

std::string LastLines(const std::string& text, size_t count) {
  size_t at = text.size();
  for (size_t lines = 0; at > 0 && lines <= count; --at) lines += text[at - 1] == '\n';
  return text.substr(at);
}

// Runs in the forked child: only calls that are safe there.
[[noreturn]] void Become(char* const* argv, int in, int out, int err, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(argv[0], argv);
  const char message[] = "cannot run the program\n";
  (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::string& name, const std::vector<std::string>& command, const std::string& input) {
  static std::atomic<int> number = 0;
  const std::string files =
      absl::StrCat(testing::TempDir(), "/skein-", getpid(), "-", number++, "-", name);
  auto process = std::unique_ptr<ChildProcess>(new ChildProcess(name, files));
  RETURN_IF_ERROR(process->Launch(command, input));
  return process;
}

absl::Status ChildProcess::Launch(const std::vector<std::string>& command,
                                  const std::string& input) {
  {
    std::ofstream file(files_ + ".in", std::ios::binary);
    file << input;
  }
  const std::string program = Find(command[0]);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& arg : std::span(command).subspan(1))
    argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const int in = open((files_ + ".in").c_str(), O_RDONLY | O_CLOEXEC);
  const int out =
      open((files_ + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  const int err =
      open((files_ + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = getpid();
  if (in >= 0 && out >= 0 && err >= 0) {
    pid_ = fork();
    if (pid_ == 0) Become(argv.data(), in, out, err, parent);
  }
  const int error = errno;
  for (const int fd : {in, out, err}) {
    if (fd >= 0) close(fd);
  }
  if (pid_ < 0) return absl::InternalError(absl::StrCat(name_, ": ", std::strerror(error)));
  return absl::OkStatus();
}

ChildProcess::~ChildProcess() {
  if (Running()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (testing::Test::HasFailure()) {
    std::fprintf(stderr, "--- %s wrote (all of it: %s.err):\n%s\n", name_.c_str(), files_.c_str(),
                 LastLines(err(), 20).c_str());
    return;
  }
  std::error_code ignored;
  for (const char* extension : {".in", ".out", ".err"})
    std::filesystem::remove(files_ + extension, ignored);
}

void ChildProcess::Signal(int number) {
  if (Running()) kill(pid_, number);
}

bool ChildProcess::Running() {
  if (pid_ < 0 || exit_status_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

absl::StatusOr<int> ChildProcess::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (Running()) {
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(name_, " runs on after ", absl::FormatDuration(timeout)));
    }
    absl::SleepFor(kPoll);
  }
  return *exit_status_;
}

std::string ChildProcess::out() const { return ReadAll(files_ + ".out"); }

std::string ChildProcess::err() const { return ReadAll(files_ + ".err"); }

absl::StatusOr<std::string> ChildProcess::WaitForLine(const std::string& text,
                                                      absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const bool running = Running();  // asked first, so that its last words are not missed
    const std::string all = err();
    for (const absl::string_view line : absl::StrSplit(all, '\n')) {
      if (absl::StrContains(line, text)) return std::string(line);
    }
    if (!running) {
      return absl::UnavailableError(
          absl::StrCat(name_, " ended without \"", text, "\":\n", LastLines(all, 10)));
    }
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(name_, " did not write \"", text, "\":\n", LastLines(all, 10)));
    }
    absl::SleepFor(kPoll);
  }
}

int64_t ChildProcess::rss_bytes() const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/statm"));
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::string LogField(const std::string& line, const std::string& key) {
  const std::string prefix = absl::StrCat(" ", key, "=");
  size_t begin = line.find(prefix);
  if (begin == std::string::npos) return "";
  begin += prefix.size();
  if (begin < line.size() && line[begin] == '"')
    return line.substr(begin + 1, line.find('"', begin + 1) - begin - 1);
  return line.substr(begin, line.find(' ', begin) - begin);
}

absl::StatusOr<CommandResult> RunCommand(const std::vector<std::string>& command,
                                         const std::string& input, absl::Duration timeout) {
  ASSIGN_OR_RETURN(
      const auto process,
      ChildProcess::Start(std::filesystem::path(command[0]).filename(), command, input));
  ASSIGN_OR_RETURN(const int exit_status, process->Wait(timeout));
  return CommandResult{.exit_status = exit_status, .out = process->out(), .err = process->err()};
}

}  // namespace skein
