#include "services/cli/control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

namespace mailsbuddy::cli {
namespace {

using std::chrono::steady_clock;

class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

Error io(std::string_view path) { return {ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno))}; }

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("\"{}\": a socket's name has 1 to {} octets", path, sizeof address.sun_path - 1)};
  }
  path.copy(address.sun_path, path.size());
  return address;
}

// The words of ErrorCode, which an answer carries.
ErrorCode code_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    if (to_string(static_cast<ErrorCode>(i)) == name) return static_cast<ErrorCode>(i);
  }
  return ErrorCode::kInternal;
}

ControlJson json_of(const Error& error) { return {{"error", error.detail}, {"code", to_string(error.code)}}; }

std::string line_of(const ControlJson& json) {
  return json.dump(-1, ' ', false, ControlJson::error_handler_t::replace) + "\n";
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// The server

class ControlServer::Loop {
 public:
  Loop(std::string path, Descriptor listener, Descriptor wake, ControlCommands commands, ControlStreams streams)
      : path_(std::move(path)),
        listener_(std::move(listener)),
        wake_(std::move(wake)),
        commands_(std::move(commands)),
        streams_(std::move(streams)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Loop() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_.get(), &one, sizeof one));
    thread_.join();
    ::unlink(path_.c_str());
  }

 private:
  struct Client {
    Descriptor socket;
    std::string in, out;
    steady_clock::time_point heard = steady_clock::now();  // Or something was taken by it.
    std::unique_ptr<ControlStream> stream{};               // Begun.
    bool ended = false;                                    // Nothing more is read; what is to be said is still said.
  };

  void run() {
    while (true) {
      const bool accepts = clients_.size() < kClientsMax && steady_clock::now() >= accept_again_;
      std::vector<pollfd> watched{{wake_.get(), POLLIN, 0}, {listener_.get(), static_cast<short>(accepts ? POLLIN : 0), 0}};
      for (const Client& each : clients_)
        watched.push_back({each.socket.get(), static_cast<short>(each.out.empty() ? POLLIN : POLLOUT), 0});
      if (::poll(watched.data(), watched.size(), patience(accepts)) < 0 && errno != EINTR) return;
      if (watched[0].revents != 0) return;
      const auto now = steady_clock::now();  // Of the poll: what came while a command took its time is not read yet.
      for (std::size_t i = 0; i < clients_.size(); ++i) {
        if (watched[i + 2].revents != 0) serve(clients_[i]);
        if (clients_[i].stream) go_on(clients_[i]);
      }
      std::erase_if(clients_, [now](const Client& each) {
        return (each.ended && each.out.empty()) || now - each.heard > std::chrono::seconds(kIdleSeconds);
      });
      if ((watched[1].revents & POLLIN) != 0) accept();
    }
  }

  int patience(bool accepts) const {  // Milliseconds.
    constexpr int kStreamTick = 100;
    const bool streams = std::any_of(clients_.begin(), clients_.end(), [](const Client& each) { return each.stream != nullptr; });
    return streams ? kStreamTick : clients_.empty() && accepts ? -1 : 1'000;
  }

  static void go_on(Client& client) {
    if (!client.out.empty()) return;
    client.heard = steady_clock::now();
    for (const ControlJson& each : client.stream->take()) client.out += line_of(each);
    if (!client.out.empty()) write(client);
  }

  void accept() {
    Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      clients_.push_back({.socket = std::move(socket), .in = {}, .out = {}});
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      accept_again_ = steady_clock::now() + std::chrono::seconds(1);  // No descriptors, say: whoever waits is still there then.
    }
  }

  // One request after the other: the next is looked at when the answer to the one before has gone.
  void serve(Client& client) {
    client.heard = steady_clock::now();
    if (client.out.empty())
      read(client);
    else
      write(client);
    while (client.out.empty() && !client.stream) {
      const std::size_t end = client.in.find('\n');
      if (end == std::string::npos) break;
      client.out = line_of(answer(std::string_view(client.in).substr(0, end), client.stream));
      client.heard = steady_clock::now();
      client.in.erase(0, end + 1);
      write(client);
    }
    if (!client.out.empty() || client.in.size() < kLineMax) return;
    client.in.clear();
    client.out = line_of(json_of({ErrorCode::kInvalidArgument, fmt::format("a request has at most {} octets", kLineMax)}));
    client.ended = true;
    write(client);
  }

  static void read(Client& client) {
    char buffer[16 * 1024];
    const ssize_t got = ::recv(client.socket.get(), buffer, std::min(sizeof buffer, kLineMax - client.in.size()), 0);
    if (got > 0) {
      client.in.append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      client.ended = true;
    }
  }

  static void write(Client& client) {
    const ssize_t sent = ::send(client.socket.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      client.out.erase(0, static_cast<std::size_t>(sent));
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      client.out.clear();
      client.ended = true;
    }
  }

  ControlJson answer(std::string_view line, std::unique_ptr<ControlStream>& stream) const {
    const ControlJson request = ControlJson::parse(line, nullptr, false);
    if (!request.is_object() || !request.contains("command") || !request["command"].is_string())
      return json_of({ErrorCode::kInvalidArgument, "a request is a JSON object with \"command\" and \"arguments\""});
    const auto& name = request["command"].get_ref<const std::string&>();
    const ControlJson arguments = request.value("arguments", ControlJson::object());
    const auto command = commands_.find(name);
    const auto begins = streams_.find(name);
    if (command == commands_.end() && begins == streams_.end())
      return json_of({ErrorCode::kNotFound, fmt::format("this process knows no command \"{}\"", name)});
    try {
      if (begins != streams_.end()) {
        auto begun = begins->second(arguments);
        if (!begun) return json_of(begun.error());
        stream = *std::move(begun);
        return {{"result", nullptr}};
      }
      const auto result = command->second(arguments);
      return result ? ControlJson{{"result", *result}} : json_of(result.error());
    } catch (const ControlJson::exception& error) {
      return json_of({ErrorCode::kInvalidArgument, fmt::format("{}: {}", name, error.what())});
    }
  }

  const std::string path_;
  const Descriptor listener_;
  const Descriptor wake_;
  const ControlCommands commands_;
  const ControlStreams streams_;
  std::vector<Client> clients_;
  steady_clock::time_point accept_again_{};
  std::thread thread_;
};

ControlServer::ControlServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
ControlServer::~ControlServer() = default;

namespace {

// A socket at which nobody answers was left by a process that was killed.
Result<void> clear(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? Result<void>() : io(path);
  if (!S_ISSOCK(status.st_mode))
    return Error{ErrorCode::kAlreadyExists, fmt::format("{}: there is a file that is no socket", path)};
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) return io(path);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return Error{ErrorCode::kAlreadyExists, fmt::format("{}: another process answers there", path)};
  if (errno != ECONNREFUSED) return io(path);
  return ::unlink(path.c_str()) == 0 ? Result<void>() : io(path);
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(std::string path, ControlCommands commands, ControlStreams streams) {
  const auto address = address_of(path);
  if (!address) return address.error();
  if (auto cleared = clear(path, *address); !cleared) return cleared.error();
  Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  Descriptor wake(::eventfd(0, EFD_CLOEXEC));
  if (!listener || !wake) return io(path);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) return io(path);
  // Before it listens nobody can connect, so there is no moment at which others may.
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(listener.get(), 16) != 0) {
    const Error error = io(path);
    ::unlink(path.c_str());
    return error;
  }
  auto loop = std::make_unique<Loop>(std::move(path), std::move(listener), std::move(wake), std::move(commands), std::move(streams));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(loop)));
}

// ---------------------------------------------------------------------------------------------------------------------
// The client

namespace {

Result<ControlJson> result_of(const std::string& path, std::string_view line) {
  ControlJson answer = ControlJson::parse(line, nullptr, false);
  if (answer.is_object() && answer.contains("result")) return std::move(answer["result"]);
  if (!answer.is_object() || !answer.contains("error") || !answer["error"].is_string())
    return Error{ErrorCode::kInternal, fmt::format("{}: an answer that makes no sense", path)};
  return Error{code_named(text_or(answer, "code", "")), answer["error"].get<std::string>()};
}

}  // namespace

namespace {

// A connection that has said its request.
Result<Descriptor> request(const std::string& path, std::string_view command, const ControlJson& arguments) {
  const auto address = address_of(path);
  if (!address) return address.error();
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return io(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return Error{ErrorCode::kUnavailable, fmt::format("{}: {}; is the process running?", path, std::strerror(errno))};
  const std::string line = line_of({{"command", command}, {"arguments", arguments}});
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t sent = ::send(socket.get(), line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return io(path);
    if (sent > 0) at += static_cast<std::size_t>(sent);
  }
  return socket;
}

// The next line, off what has come and comes yet. Empty: the process has ended.
Result<std::string> next_line(const std::string& path, const Descriptor& socket, std::string& come) {
  char buffer[16 * 1024];
  std::size_t end = come.find('\n');
  while (end == std::string::npos) {
    const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got == 0) return std::string();
    if (got < 0 && errno != EINTR) return io(path);
    const std::size_t before = come.size();
    if (got > 0) come.append(buffer, static_cast<std::size_t>(got));
    end = come.find('\n', before);
  }
  std::string line = come.substr(0, end + 1);
  come.erase(0, end + 1);
  return line;
}

Result<ControlJson> next_result(const std::string& path, const Descriptor& socket, std::string& come) {
  const auto line = next_line(path, socket, come);
  if (!line) return line.error();
  if (line->empty()) return Error{ErrorCode::kUnavailable, fmt::format("{}: the process ended before it answered", path)};
  return result_of(path, *line);
}

}  // namespace

Result<ControlJson> ask_control(const std::string& path, std::string_view command, const ControlJson& arguments) {
  const auto socket = request(path, command, arguments);
  if (!socket) return socket.error();
  std::string come;
  return next_result(path, *socket, come);
}

Result<void> follow_control(const std::string& path, std::string_view command, const ControlJson& arguments,
                            const std::function<Result<void>(const ControlJson&)>& line) {
  const auto socket = request(path, command, arguments);
  if (!socket) return socket.error();
  std::string come;
  if (const auto begun = next_result(path, *socket, come); !begun) return begun.error();
  while (true) {
    const auto text = next_line(path, *socket, come);
    if (!text) return text.error();
    if (text->empty()) return {};
    if (auto taken = line(ControlJson::parse(*text, nullptr, false)); !taken) return taken;
  }
}

Result<std::string> text_argument(const ControlJson& arguments, const char* name) {
  const std::string text = text_or(arguments, name, "");
  if (text.empty()) return Error{ErrorCode::kInvalidArgument, fmt::format("\"{}\" is missing, or no text", name)};
  return text;
}

std::string text_or(const ControlJson& arguments, const char* name, std::string_view otherwise) {
  const auto found = arguments.find(name);
  return found != arguments.end() && found->is_string() ? found->get<std::string>() : std::string(otherwise);
}

void add_control_server_option(CLI::App& app, std::string& path) {
  app.add_option("--control", path, "Answer other commands (mailsbuddy warm, queue, campaign, suppress, trace) on this Unix-domain socket, its owner's alone")
      ->type_name("SOCKET");
}

void add_control_option(CLI::App& app, std::string& path) {
  app.add_option("--control", path, "Ask the running process that has this --control socket")->type_name("SOCKET");
}

}  // namespace mailsbuddy::cli
