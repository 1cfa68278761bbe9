#include "services/cli/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace mailsbuddy::cli {
namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/mailsbuddy-control-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string socket() const { return path + "/control"; }
  std::string path;
};

ControlCommands commands() {
  return {{"echo", [](const ControlJson& arguments) -> Result<ControlJson> { return arguments; }},
          {"count", [](const ControlJson& arguments) -> Result<ControlJson> {
             return ControlJson(std::string(arguments.at("size").get<std::size_t>(), 'x'));
           }},
          {"fail", [](const ControlJson& arguments) -> Result<ControlJson> {
             auto name = text_argument(arguments, "name");
             if (!name) return name.error();
             return Error{ErrorCode::kNotFound, "no " + *name};
           }}};
}

std::unique_ptr<ControlServer> serve(const Folder& folder) {
  auto server = ControlServer::start(folder.socket(), commands());
  BOOST_REQUIRE_MESSAGE(server, (server ? "" : server.error().detail));
  return *std::move(server);
}

// As a client that is none of ours: octets out, octets in until the other side has no more.
class Raw {
 public:
  explicit Raw(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    BOOST_REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~Raw() { ::close(socket_); }
  void say(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t sent = ::send(socket_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void end() { ::shutdown(socket_, SHUT_WR); }
  std::string line() {
    std::string line;
    for (char c = 0; ::recv(socket_, &c, 1, 0) == 1 && c != '\n';) line += c;
    return line;
  }
  bool at_end() {
    char c = 0;
    return ::recv(socket_, &c, 1, 0) <= 0;
  }

 private:
  int socket_;
};

BOOST_AUTO_TEST_CASE(answers_and_refusals) {
  const Folder folder;
  const auto server = serve(folder);
  const auto echoed = ask_control(folder.socket(), "echo", {{"ip", "192.0.2.1"}, {"n", 7}});
  BOOST_REQUIRE(echoed);
  BOOST_TEST((*echoed)["ip"] == "192.0.2.1");
  const auto missing = ask_control(folder.socket(), "fail", {{"name", "such thing"}});
  BOOST_REQUIRE(!missing);
  BOOST_TEST((missing.error().code == ErrorCode::kNotFound));
  BOOST_TEST(missing.error().detail == "no such thing");
  const auto unknown = ask_control(folder.socket(), "dance", {});
  BOOST_REQUIRE(!unknown);
  BOOST_TEST(unknown.error().detail == "this process knows no command \"dance\"");
  for (const ControlJson& bad : {ControlJson{{"name", 7}}, ControlJson::object()}) {
    const auto refused = ask_control(folder.socket(), "fail", bad);
    BOOST_REQUIRE(!refused);
    BOOST_TEST(refused.error().detail == "\"name\" is missing, or no text");
  }
  const auto mistyped = ask_control(folder.socket(), "count", {{"size", "many"}});
  BOOST_REQUIRE(!mistyped);
  BOOST_TEST((mistyped.error().code == ErrorCode::kInvalidArgument));
}

BOOST_AUTO_TEST_CASE(a_large_answer_and_many_who_ask_at_once) {
  const Folder folder;
  const auto server = serve(folder);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      const std::size_t size = i % 5 == 0 ? 600'000 : static_cast<std::size_t>(i);
      const auto answer = ask_control(folder.socket(), "count", {{"size", size}});
      if (answer && answer->get_ref<const std::string&>().size() == size) ++right;
    });
  }
  for (std::thread& each : threads) each.join();
  BOOST_TEST(right == 50);
}

BOOST_AUTO_TEST_CASE(the_socket_is_its_owners_and_goes_with_the_server) {
  const Folder folder;
  {
    const auto server = serve(folder);
    struct stat status {};
    BOOST_REQUIRE(::stat(folder.socket().c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0600U);
    const auto second = ControlServer::start(folder.socket(), commands());
    BOOST_REQUIRE(!second);
    BOOST_TEST((second.error().code == ErrorCode::kAlreadyExists));
    BOOST_TEST(ask_control(folder.socket(), "echo", {}).has_value());  // The first is as it was.
  }
  BOOST_TEST(!std::filesystem::exists(folder.socket()));
  const auto nobody = ask_control(folder.socket(), "echo", {});
  BOOST_REQUIRE(!nobody);
  BOOST_TEST((nobody.error().code == ErrorCode::kUnavailable));
}

BOOST_AUTO_TEST_CASE(what_a_killed_process_left_is_replaced_and_a_file_is_not) {
  const Folder folder;
  const int left = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  folder.socket().copy(address.sun_path, sizeof address.sun_path - 1);
  BOOST_REQUIRE(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(left);
  BOOST_REQUIRE(std::filesystem::exists(folder.socket()));
  serve(folder);
  std::ofstream(folder.socket()) << "precious";
  const auto refused = ControlServer::start(folder.socket(), commands());
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ErrorCode::kAlreadyExists));
  BOOST_TEST(std::filesystem::file_size(folder.socket()) == 8U);
  for (const std::string& bad : {std::string(), std::string(108, 'x'), folder.path + "/no/such"}) {
    BOOST_TEST(!ControlServer::start(bad, commands()));
    BOOST_TEST(!ask_control(bad, "echo", {}));
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_request) {
  const Folder folder;
  const auto server = serve(folder);
  Raw client(folder.socket());
  for (const std::string_view bad : {"", "nonsense", "[]", "{}", R"({"command": 7})", R"({"command": "echo")", "\xff\xfe"}) {
    client.say(std::string(bad) + "\n");
    BOOST_TEST(client.line().starts_with(R"({"error":)"), bad);
  }
  client.say(std::string(30'000, '[') + "\n");  // Deep, and no harm.
  BOOST_TEST(client.line().starts_with(R"({"error":)"));
  client.say(R"({"command": "echo", "arguments": {"a": 1}})" "\n" R"({"command": "echo"})" "\n");  // Two in one go.
  BOOST_TEST(client.line() == R"({"result":{"a":1}})");
  BOOST_TEST(client.line() == R"({"result":{}})");
  client.say(R"({"command":)");  // In pieces.
  client.say(R"( "echo"})" "\n");
  BOOST_TEST(client.line() == R"({"result":{}})");
}

BOOST_AUTO_TEST_CASE(a_second_request_waits_for_the_answer_to_the_first) {
  const Folder folder;
  const auto server = serve(folder);
  Raw client(folder.socket());
  const std::string large = R"({"command": "count", "arguments": {"size": 600000}})" "\n";
  client.say(large + large + R"({"command": "echo"})" "\n");
  BOOST_TEST(client.line().size() > 600'000U);
  BOOST_TEST(client.line().size() > 600'000U);
  BOOST_TEST(client.line() == R"({"result":{}})");
}

BOOST_AUTO_TEST_CASE(a_line_without_end) {
  const Folder folder;
  const auto server = serve(folder);
  Raw client(folder.socket());
  client.say(std::string(ControlServer::kLineMax + 1'000, 'x'));
  BOOST_TEST(client.line().find("at most 65536 octets") != std::string::npos);
  BOOST_TEST(client.at_end());
  BOOST_TEST(ask_control(folder.socket(), "echo", {}).has_value());
}

// Those who wait in silence take no place from the next beyond the cap's; those who leave give theirs back.
BOOST_AUTO_TEST_CASE(silent_clients_hold_up_nobody) {
  const Folder folder;
  const auto server = serve(folder);
  std::vector<std::unique_ptr<Raw>> silent;
  for (std::size_t i = 0; i + 1 < ControlServer::kClientsMax; ++i)
    silent.push_back(std::make_unique<Raw>(folder.socket()));
  BOOST_TEST(ask_control(folder.socket(), "echo", {}).has_value());
  silent.push_back(std::make_unique<Raw>(folder.socket()));
  std::thread waits([&] { BOOST_TEST(ask_control(folder.socket(), "echo", {}).has_value()); });
  silent.clear();
  waits.join();
}

// Counts up; the server is told when it goes.
class Numbers final : public ControlStream {
 public:
  explicit Numbers(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
  ~Numbers() override { --alive_; }
  std::vector<ControlJson> take() override { return {next_++, next_++}; }

 private:
  std::atomic<int>& alive_;
  int next_ = 0;
};

BOOST_AUTO_TEST_CASE(lines_behind_a_result_until_the_client_goes) {
  const Folder folder;
  std::atomic<int> alive = 0;
  auto server = ControlServer::start(folder.socket(), commands(), {{"numbers", [&](const ControlJson& arguments) -> Result<std::unique_ptr<ControlStream>> {
                                       if (arguments.contains("bad")) return Error{ErrorCode::kInvalidArgument, "bad"};
                                       return std::unique_ptr<ControlStream>(std::make_unique<Numbers>(alive));
                                     }}});
  BOOST_REQUIRE_MESSAGE(server, (server ? "" : server.error().detail));
  {
    Raw client(folder.socket());
    client.say("{\"command\": \"numbers\"}\n");
    BOOST_TEST(client.line() == "{\"result\":null}");
    for (const char* number : {"0", "1", "2", "3"}) BOOST_TEST(client.line() == number);
    BOOST_TEST(alive == 1);
    BOOST_TEST(ask_control(folder.socket(), "echo", {}).has_value());  // Others are served meanwhile.
  }
  while (alive > 0) std::this_thread::yield();
  const auto refused =
      follow_control(folder.socket(), "numbers", {{"bad", true}}, [](const ControlJson&) { return Result<void>(); });
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().detail == "bad");
  const auto unwanted = follow_control(folder.socket(), "numbers", {}, [](const ControlJson&) -> Result<void> {
    return Error{ErrorCode::kIo, "no room"};
  });
  BOOST_REQUIRE(!unwanted);
  BOOST_TEST(unwanted.error().detail == "no room");
  std::vector<int> numbers;
  const auto ended = follow_control(folder.socket(), "numbers", {}, [&](const ControlJson& number) {
    numbers.push_back(number);
    server->reset();  // The process ends.
    return Result<void>();
  });
  BOOST_TEST(ended.has_value());
  BOOST_TEST((numbers == std::vector{0, 1}));
}

BOOST_AUTO_TEST_CASE(a_client_that_ends_its_side_has_its_answer) {
  const Folder folder;
  const auto server = serve(folder);
  Raw client(folder.socket());
  client.say(R"({"command": "count", "arguments": {"size": 600000}})" "\n");
  client.end();
  BOOST_TEST(client.line().size() == 600'000 + std::string_view(R"({"result":""})").size());
  BOOST_TEST(client.at_end());
}

}  // namespace
}  // namespace mailsbuddy::cli
