// An HTTP server on loopback that answers what a test tells it to, byte by byte.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace skein::ctl {

struct ScriptedAnswer {
  std::vector<std::string> pieces;  // sent as they are, one after the other
  bool close = false;               // the connection, afterwards
};

// A whole answer with a Content-Length.
ScriptedAnswer JsonAnswer(int status, const std::string& body);
// An event stream, one HTTP chunk per event.
ScriptedAnswer EventsAnswer(const std::vector<std::string>& events);

// Serves one connection after the other on its own thread.
class ScriptedServer {
 public:
  // `answer` gets the request's first line and its body; it runs on the server's thread.
  using Answer = std::function<ScriptedAnswer(const std::string& line, const std::string& body)>;
  explicit ScriptedServer(Answer answer);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url() const;
  int connections() const;
  std::string last_head() const;  // of the newest request: its first line and its headers

 private:
  void Serve();
  void ServeConnection(int fd);

  const Answer answer_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mu_;
  int current_ = -1;       // the open connection; guarded by mu_
  int connections_ = 0;    // guarded by mu_
  std::string last_head_;  // guarded by mu_
  bool stop_ = false;      // guarded by mu_
  std::thread thread_;
};

}  // namespace skein::ctl
