// control.h - how commands talk to a running process: JSON, a line each way, over a Unix-domain socket.
//
//   {"command": "warm pause", "arguments": {"ip": "192.0.2.1", "provider": "google"}}
//   {"result": ...}   or   {"error": "no egress IP 192.0.2.9", "code": "not_found"}
//
// Behind the result of some commands come more lines, as they come up, until the client hangs up.
//
// Who may write to the socket may do everything: it is made for its owner alone (0600), and nothing is asked of
// clients.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace CLI {
class App;
}

namespace mailsbuddy::cli {

using ControlJson = nlohmann::ordered_json;
// Judges its arguments and does what is asked. Runs on the server's thread, one at a time: others wait for it
// meanwhile. What it throws of nlohmann::json ("type must be string") is answered as a bad argument.
using ControlHandler = std::function<Result<ControlJson>(const ControlJson& arguments)>;
using ControlCommands = std::map<std::string, ControlHandler, std::less<>>;

// What comes behind a result, as long as its client is there.
class ControlStream {
 public:
  virtual ~ControlStream() = default;
  virtual std::vector<ControlJson> take() = 0;  // Since the last call; asked some times a second. Does not wait.
};
// Likewise; the stream is begun where the handler returns one.
using ControlStreamHandler = std::function<Result<std::unique_ptr<ControlStream>>(const ControlJson& arguments)>;
using ControlStreams = std::map<std::string, ControlStreamHandler, std::less<>>;

// Threads: one of its own. Ownership: what handlers use outlives the server.
class ControlServer {
 public:
  // A socket that a process which was killed left at `path` is replaced. Errors: kAlreadyExists: a process answers
  // there, or a file is there that is no socket; kInvalidArgument: longer than a socket's name may be; kIo.
  static Result<std::unique_ptr<ControlServer>> start(std::string path, ControlCommands commands, ControlStreams streams = {});
  ~ControlServer();  // Removes the socket. Clients that wait for an answer get none.

  static constexpr std::size_t kLineMax = 64 * 1024;  // Of a request.
  static constexpr std::size_t kClientsMax = 32;      // At once; more wait to be accepted.
  static constexpr int kIdleSeconds = 60;             // Then a client that says nothing, or reads nothing, is left.

 private:
  class Loop;
  explicit ControlServer(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

// Asks the process that serves `path`, and waits for its answer. Errors: kUnavailable: nobody serves it; what the
// handler said.
Result<ControlJson> ask_control(const std::string& path, std::string_view command, const ControlJson& arguments);

// Likewise of a stream: each line goes to `line`, until the process ends, or an error of `line`, which is returned.
Result<void> follow_control(const std::string& path, std::string_view command, const ControlJson& arguments,
                            const std::function<Result<void>(const ControlJson&)>& line);

// Of a request's arguments. Errors: kInvalidArgument naming it.
Result<std::string> text_argument(const ControlJson& arguments, const char* name);
std::string text_or(const ControlJson& arguments, const char* name, std::string_view otherwise);

// --control SOCKET: of who serves, and of who asks.
void add_control_server_option(CLI::App& app, std::string& path);
void add_control_option(CLI::App& app, std::string& path);

}  // namespace mailsbuddy::cli
