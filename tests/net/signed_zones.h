// signed_zones.h - NSD on loopback with zones that ldns signed a moment ago, and the trust anchors to them.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/net/support.h"

namespace mailsbuddy::net::test {

struct ZoneText {
  std::string name;
  std::string records;  // After SOA and NS, which are there.
  bool sign = true;     // And a trust anchor for it.
  std::string forge{};  // Not empty: after signing this word becomes `forged`.
  std::string forged{};
  std::string expired{};  // Not empty: signatures end then, "20200101000000".
};

// Threads: one. Ownership: ends the server. Invariants: answers once the constructor has returned.
class SignedZones {
 public:
  static bool can() {
    return std::filesystem::exists("/usr/sbin/nsd") && std::filesystem::exists("/usr/bin/ldns-signzone");
  }

  explicit SignedZones(const std::vector<ZoneText>& zones) {
    char pattern[] = "/tmp/mailsbuddy-dnssec-XXXXXX";
    dir_ = mkdtemp(pattern);
    endpoint_ = free_port();
    std::string config = fmt::format(
        "server:\n  server-count: 1\n  ip-address: {}@{}\n  username: \"\"\n  zonesdir: \"{}\"\n  database: \"\"\n"
        "  pidfile: \"{}/nsd.pid\"\n  xfrdfile: \"{}/xfrd\"\n  xfrdir: \"{}\"\n  zonelistfile: \"{}/zones\"\n"
        "remote-control:\n  control-enable: no\n",
        endpoint_.address.str(), endpoint_.port, dir(), dir(), dir(), dir(), dir());
    for (const ZoneText& zone : zones)
      config += fmt::format("zone:\n  name: {}\n  zonefile: {}\n", zone.name, write(zone));
    std::ofstream(dir_ / "nsd.conf") << config;
    start();
    wait_until_it_answers(zones.front().name);
  }
  ~SignedZones() {
    kill(child_, SIGTERM);
    waitpid(child_, nullptr, 0);
    std::filesystem::remove_all(dir_);
  }
  SignedZones(const SignedZones&) = delete;
  SignedZones& operator=(const SignedZones&) = delete;

  Endpoint endpoint() const { return endpoint_; }
  const std::string& anchors() const { return anchors_; }  // DNSKEYs, one a line.

 private:
  std::string dir() const { return dir_.string(); }

  static Endpoint free_port() {  // For UDP and TCP.
    for (;;) {
      const Fd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const Fd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const SockAddr any = to_sockaddr({ip("127.0.0.1"), 0});
      BOOST_REQUIRE(bind(tcp.get(), any.get(), any.size) == 0);
      const Endpoint bound = bound_to(tcp.get());
      const SockAddr same = to_sockaddr(bound);
      if (bind(udp.get(), same.get(), same.size) == 0) return bound;
    }
  }

  std::string run(const std::string& command) {  // What it printed.
    const std::string line = fmt::format("cd {} && {}", dir(), command);
    FILE* out = popen(line.c_str(), "r");
    BOOST_REQUIRE(out != nullptr);
    std::string text;
    char buffer[512];
    while (const std::size_t count = fread(buffer, 1, sizeof buffer, out)) text.append(buffer, count);
    BOOST_REQUIRE_MESSAGE(pclose(out) == 0, line);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }

  static std::string read(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }

  std::string write(const ZoneText& zone) {
    const std::string file = zone.name + ".zone";
    std::ofstream(dir_ / file) << "$ORIGIN " << zone.name << ".\n$TTL 300\n@ SOA ns root 1 3600 900 86400 60\n"
                               << "@ NS ns\nns A 127.0.0.1\n"
                               << zone.records;
    if (!zone.sign) return file;
    const std::string make = "ldns-keygen -r /dev/urandom -a ECDSAP256SHA256 ";
    const std::string ksk = run(make + "-k " + zone.name);
    const std::string zsk = run(make + zone.name);
    const std::string until = zone.expired.empty() ? "" : "-i 20100101000000 -e " + zone.expired + " ";
    run(fmt::format("ldns-signzone {}-f {}.signed {} {} {}", until, file, file, zsk, ksk));
    anchors_ += read(dir_ / (ksk + ".key"));
    if (zone.forge.empty()) return file + ".signed";
    std::string text = read(dir_ / (file + ".signed"));
    const std::size_t at = text.find(zone.forge);
    BOOST_REQUIRE(at != std::string::npos);
    text.replace(at, zone.forge.size(), zone.forged);
    std::ofstream(dir_ / (file + ".signed")) << text;
    return file + ".signed";
  }

  void start() {
    const std::string config = (dir_ / "nsd.conf").string();
    const char* arguments[] = {"nsd", "-d", "-c", config.c_str(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, (dir_ / "log").c_str(), O_WRONLY | O_CREAT, 0600);
    BOOST_REQUIRE(posix_spawn(&child_, "/usr/sbin/nsd", &files, nullptr, const_cast<char**>(arguments), environ) == 0);
    posix_spawn_file_actions_destroy(&files);
  }

  // Asks for the zone's SOA until there is an answer.
  void wait_until_it_answers(const std::string& zone) const {
    std::string question("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    std::istringstream labels(zone);
    for (std::string label; std::getline(labels, label, '.');) question += static_cast<char>(label.size()) + label;
    question += std::string("\x00\x00\x06\x00\x01", 5);
    const SockAddr to = to_sockaddr(endpoint_);
    for (int i = 0; i < 600; ++i) {
      const Fd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      connect(udp.get(), to.get(), to.size);
      ::send(udp.get(), question.data(), question.size(), MSG_NOSIGNAL);
      pollfd readable{.fd = udp.get(), .events = POLLIN, .revents = 0};
      char answer[512];
      if (poll(&readable, 1, 100) == 1 && recv(udp.get(), answer, sizeof answer, 0) > 12) return;
      usleep(20'000);
    }
    BOOST_FAIL("nsd does not answer: " << read(dir_ / "log"));
  }

  std::filesystem::path dir_;
  Endpoint endpoint_;
  std::string anchors_;
  pid_t child_ = -1;
};

}  // namespace mailsbuddy::net::test
