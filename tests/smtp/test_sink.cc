// The sink over loopback sockets, with a client written here and with Python's smtplib.
#include <boost/test/unit_test.hpp>

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/sink_policy.h"
#include "tests/smtp/sink_client.h"

namespace mailsbuddy::smtp {
namespace {

namespace fs = std::filesystem;

net::Endpoint loopback(std::uint16_t port = 0) { return {*net::IpAddress::parse("127.0.0.1"), port}; }

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "mailsbuddy-sink-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

SinkOptions one_profile(SinkProfile profile) {
  SinkOptions options;
  options.listeners = {{.endpoint = loopback(), .profile = profile.name}};
  options.profiles = {std::move(profile)};
  return options;
}

std::unique_ptr<Sink> start(SinkOptions options) {
  auto sink = Sink::start(std::move(options));
  if (!sink) BOOST_FAIL(sink.error().detail);
  return std::move(*sink);
}

std::vector<std::string> files_in(const fs::path& directory) {
  std::vector<std::string> contents;
  for (const auto& entry : fs::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(contents.begin(), contents.end());
  return contents;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Serving

BOOST_AUTO_TEST_CASE(a_pipelined_group_over_two_listeners) {
  SinkOptions options;
  options.profiles = {{.name = "one"}, {.name = "two", .banner_host = "two.example"}};
  options.listeners = {{loopback(), "two"}, {loopback(), "one"}};
  const auto sink = start(std::move(options));
  const auto endpoints = sink->endpoints();
  BOOST_REQUIRE_EQUAL(endpoints.size(), 2U);
  BOOST_TEST((endpoints[0].port != 0 && endpoints[0].port != endpoints[1].port));

  SinkClient client(endpoints[0]);
  BOOST_TEST(client.reply() == "220 two.example ESMTP");
  client.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<1@d.e>\r\nRCPT TO:<2@d.e>\r\nDATA\r\n");
  for (const char* code : {"250", "250", "250", "250", "354"}) BOOST_TEST(client.reply().substr(0, 3) == code);
  client.send("..x\r\n.\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<3@d.e>\r\nDATA\r\n");
  for (const char* code : {"250", "250", "250", "354"}) BOOST_TEST(client.reply().substr(0, 3) == code);
  client.send("y\r\n.\r\nQUIT\r\n");
  for (const char* code : {"250", "221", ""}) BOOST_TEST(client.reply().substr(0, 3) == code);

  const auto counts = sink->counts();
  BOOST_TEST(counts[0].profile == "one");
  BOOST_TEST(counts[0].connections == 0U);
  BOOST_TEST(counts[1].connections == 1U);
  BOOST_TEST(counts[1].accepted == 3U);
  BOOST_TEST(counts[1].bytes == 4U + 3U);
  BOOST_TEST(counts[1].protocol_errors == 0U);
}

BOOST_AUTO_TEST_CASE(each_accepted_recipient_is_reported_with_the_message_as_sent) {
  std::vector<std::string> seen;  // Written on the sink's one thread, read after it has stopped.
  SinkOptions options = one_profile({.name = "p", .chunking = true});
  options.on_message = [&](std::string_view profile, std::string_view from, std::string_view to,
                           std::string_view message) {
    seen.push_back(std::string(profile) + "|" + std::string(from) + "|" + std::string(to) + "|" + std::string(message));
  };
  auto sink = start(std::move(options));
  {
    SinkClient client(sink->endpoints()[0]);
    client.hello();
    client.send("MAIL FROM:<>\r\nRCPT TO:<x@y.z>\r\nRCPT TO:<w@y.z>\r\nDATA\r\n");
    for (int i = 0; i < 4; ++i) client.reply();
    BOOST_TEST(client.code("..a\n.\r\nb\r\n.") == "250");
    client.send("MAIL FROM:<s@t.u>\r\nRCPT TO:<x@y.z>\r\n");
    for (int i = 0; i < 2; ++i) client.reply();
    client.send("BDAT 3\r\n..\rBDAT 0 LAST\r\n");
    for (int i = 0; i < 2; ++i) BOOST_TEST(client.reply().substr(0, 3) == "250");
  }
  sink.reset();
  const std::vector<std::string> expected{"p||x@y.z|.a\n.\r\nb\r\n", "p||w@y.z|.a\n.\r\nb\r\n", "p|s@t.u|x@y.z|..\r"};
  BOOST_TEST(seen == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_limit_of_messages_per_connection) {
  const auto sink = start(one_profile({.messages_per_connection = 2}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.deliver("1@d.e") == "250");
  BOOST_TEST(client.deliver("2@d.e") == "250");
  // What is pipelined behind must not turn the 421 into a reset.
  client.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<3@d.e>\r\nDATA\r\n" + std::string(1 << 20, 'x'));
  BOOST_TEST(client.reply().substr(0, 3) == "421");
  BOOST_TEST(client.ended());
  BOOST_TEST(sink->counts()[0].accepted == 2U);
}

BOOST_AUTO_TEST_CASE(a_limit_of_connections_is_exact_across_threads) {
  SinkOptions options = one_profile({.connections_max = 3});
  options.threads = 4;
  const auto sink = start(std::move(options));
  std::vector<std::unique_ptr<SinkClient>> served;
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    auto client = std::make_unique<SinkClient>(sink->endpoints()[0]);
    const std::string greeting = client->reply();
    if (greeting.starts_with("220"))
      served.push_back(std::move(client));
    else if (greeting.starts_with("421") && client->ended())
      ++refused;
  }
  BOOST_TEST(served.size() == 3U);
  BOOST_TEST(refused == 17);
  BOOST_TEST(served.front()->code("QUIT") == "221");  // Once it was said the place is free.
  SinkClient next(sink->endpoints()[0]);
  BOOST_TEST(next.reply().substr(0, 3) == "220");
  const SinkCounts counts = sink->counts()[0];
  BOOST_TEST(counts.connections == 4U);
  BOOST_TEST(counts.connections_refused == 17U);
}

BOOST_AUTO_TEST_CASE(latency_comes_before_each_group_of_replies) {
  constexpr auto kLatency = std::chrono::milliseconds(20);
  const auto sink = start(one_profile({.latency = kLatency}));
  const auto begin = std::chrono::steady_clock::now();
  SinkClient client(sink->endpoints()[0]);
  client.reply();
  client.send("EHLO c\r\nNOOP\r\n");
  for (int i = 0; i < 2; ++i) BOOST_TEST(client.reply().substr(0, 3) == "250");
  BOOST_TEST(client.code("QUIT") == "221");
  BOOST_TEST(client.ended());
  // At least the greeting and two groups; how much more is the machine's. 1 ms a group: the loop's clock counts whole
  // ones.
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= 3 * (kLatency - std::chrono::milliseconds(1))));
}

BOOST_AUTO_TEST_CASE(a_size_limit) {
  const auto sink = start(one_profile({.size_max = 1000}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.code("MAIL FROM:<a@b.c> SIZE=1001") == "552");
  BOOST_TEST(client.deliver("1@d.e", std::string(999, 'x') + "\r\n") == "552");
  BOOST_TEST(client.deliver("1@d.e", std::string(998, 'x') + "\r\n") == "250");
  BOOST_TEST(sink->counts()[0].bytes == 1000U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Chances

namespace {

// What each of `recipients` is told at its first and its second attempt.
std::map<std::string, std::string> outcomes(const SinkProfile& profile, int threads,
                                            std::vector<std::string> recipients) {
  SinkOptions options = one_profile(profile);
  options.threads = threads;
  options.seed = 7;
  const auto sink = start(std::move(options));
  std::vector<std::unique_ptr<SinkClient>> clients;
  for (int i = 0; i < threads; ++i) {
    clients.push_back(std::make_unique<SinkClient>(sink->endpoints()[0]));
    clients.back()->hello();
  }
  std::map<std::string, std::string> told;
  for (int attempt = 0; attempt < 2; ++attempt)
    for (std::size_t i = 0; i < recipients.size(); ++i)
      told[recipients[i]] += clients[i % clients.size()]->deliver(recipients[i]) + " ";
  return told;
}

}  // namespace

BOOST_AUTO_TEST_CASE(sticky_chances_depend_on_the_recipient_alone) {
  const SinkProfile profile{.defer_chance = 0.3, .reject_chance = 0.2, .data_reject_chance = 0.1};
  std::vector<std::string> recipients;
  for (int i = 0; i < 500; ++i) recipients.push_back("r" + std::to_string(i) + "@d.example");
  const auto told = outcomes(profile, 1, recipients);
  std::reverse(recipients.begin(), recipients.end());
  BOOST_TEST((outcomes(profile, 3, recipients) == told));

  std::map<std::string, int> shares;
  for (const auto& [recipient, replies] : told) ++shares[replies];
  const std::set<std::string> possible{"250 250 ", "451 250 ", "550 550 ", "554 554 ", "451 554 "};
  for (const auto& [replies, count] : shares) BOOST_TEST_CONTEXT(replies) {
      BOOST_TEST(possible.contains(replies));
    }
  BOOST_TEST((shares["550 550 "] > 75 && shares["550 550 "] < 125));  // 100 expected; 9 is one standard deviation.
  const int deferred = shares["451 250 "] + shares["451 554 "];
  BOOST_TEST((deferred > 90 && deferred < 150));  // 120.
}

BOOST_AUTO_TEST_CASE(a_recipient_is_the_same_in_any_letter_case) {
  const SinkProfile profile{.defer_chance = 1};
  const auto sink = start(one_profile(profile));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.deliver("Ann@D.example") == "451");
  BOOST_TEST(client.deliver("ann@d.EXAMPLE") == "250");
}

BOOST_AUTO_TEST_CASE(chances_that_are_not_sticky_are_drawn_each_time) {
  const auto sink = start(one_profile({.defer_chance = 1, .sticky = false}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  for (int i = 0; i < 3; ++i) BOOST_TEST(client.deliver("x@d.e") == "451");
  BOOST_TEST(sink->counts()[0].deferred == 3U);
}

BOOST_AUTO_TEST_CASE(replies_are_the_profiles_and_counted) {
  const auto sink = start(one_profile({.reject_chance = 1, .reject_reply = "552 5.2.2 Mailbox full"}));
  const auto spam = start(one_profile({.data_reject_chance = 1, .data_reject_reply = "450 4.7.1 Too fast"}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.say("MAIL FROM:<a@b.c>") == "250 2.1.0 Ok");
  BOOST_TEST(client.say("RCPT TO:<x@d.e>") == "552 5.2.2 Mailbox full");
  SinkClient second(spam->endpoints()[0]);
  second.hello();
  BOOST_TEST(second.deliver("x@d.e") == "450");
  BOOST_TEST(sink->counts()[0].rejected == 1U);
  BOOST_TEST(spam->counts()[0].data_rejected == 1U);
  BOOST_TEST(spam->counts()[0].accepted == 0U);
}

BOOST_AUTO_TEST_CASE(a_421_at_rcpt_closes) {
  const auto sink = start(one_profile({.defer_chance = 1, .defer_reply = "421 4.7.0 Not now"}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  client.say("MAIL FROM:<a@b.c>");
  BOOST_TEST(client.say("RCPT TO:<x@d.e>") == "421 4.7.0 Not now");
  BOOST_TEST(client.ended());
}

BOOST_AUTO_TEST_CASE(the_set_of_hashes_grows) {
  HashSet set;
  for (std::uint64_t i = 0; i < 10'000; ++i) BOOST_REQUIRE(set.insert(i * 64));  // All would start in one slot of 64.
  for (std::uint64_t i = 0; i < 10'000; ++i) BOOST_REQUIRE(!set.insert(i * 64));
  BOOST_TEST(set.insert(63));
}

// ---------------------------------------------------------------------------------------------------------------------
// Maildir

BOOST_AUTO_TEST_CASE(a_maildir_holds_each_message_byte_for_byte) {
  const TemporaryDirectory directory;
  SinkOptions options = one_profile({.chunking = true});
  options.maildir = directory.path / "mail";
  const auto sink = start(std::move(options));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.deliver("\"a b\"@d.e", "Subject: 1\r\n\r\n..dot\r\n.\n\xff\r\n") == "250");
  client.send("MAIL FROM:<>\r\nRCPT TO:<2@d.e>\r\nRCPT TO:<3@d.e>\r\n");
  for (int i = 0; i < 2; ++i) client.reply();
  BOOST_TEST(client.reply() == "250 2.1.5 Ok");
  client.send(std::string_view("BDAT 6 LAST\r\n.\r\n\0\n.", 19));
  BOOST_TEST(client.reply().substr(0, 3) == "250");
  const std::vector<std::string> expected{
      std::string("Return-Path: <>\r\nDelivered-To: 2@d.e\r\nDelivered-To: 3@d.e\r\n") + std::string(".\r\n\0\n.", 6),
      "Return-Path: <a@s.example>\r\nDelivered-To: \"a b\"@d.e\r\nSubject: 1\r\n\r\n.dot\r\n\n\xff\r\n"};
  BOOST_TEST(files_in(directory.path / "mail" / "new") == expected, boost::test_tools::per_element());
  BOOST_TEST(fs::is_empty(directory.path / "mail" / "tmp"));
}

BOOST_AUTO_TEST_CASE(the_sample_is_the_same_whatever_the_order) {
  const auto sampled = [](bool backwards) {
    const TemporaryDirectory directory;
    SinkOptions options = one_profile({});
    options.maildir = directory.path;
    options.maildir_sample = 0.25;
    const auto sink = start(std::move(options));
    SinkClient client(sink->endpoints()[0]);
    client.hello();
    for (int i = 0; i < 200; ++i)
      BOOST_TEST(client.deliver("r" + std::to_string(backwards ? 199 - i : i) + "@d.e") == "250");
    return files_in(directory.path / "new");
  };
  const auto files = sampled(false);
  BOOST_TEST((files.size() > 25 && files.size() < 75));  // 50 expected.
  BOOST_TEST(sampled(true) == files, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_message_that_cannot_be_kept_is_not_taken) {
  const TemporaryDirectory directory;
  SinkOptions options = one_profile({});
  options.maildir = directory.path;
  const auto sink = start(std::move(options));
  fs::remove_all(directory.path / "new");
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.deliver("x@d.e") == "452");
  BOOST_TEST(fs::is_empty(directory.path / "tmp"));
  BOOST_TEST(sink->counts()[0].accepted == 0U);
}

// ---------------------------------------------------------------------------------------------------------------------
// What start() refuses

BOOST_AUTO_TEST_CASE(start_names_what_is_wrong) {
  const auto taken = start(one_profile({}));
  const net::Endpoint in_use = taken->endpoints()[0];
  struct Refused {
    std::string_view name;
    ErrorCode code;
    std::string detail;
    void (*spoil)(SinkOptions&, const net::Endpoint&);
  };
  const Refused kCases[] = {
      {"address in use", ErrorCode::kIo, "cannot listen on " + in_use.str() + ": Address already in use",
       [](SinkOptions& o, const net::Endpoint& e) { o.listeners[0].endpoint = e; }},
      {"address of another machine", ErrorCode::kIo, "cannot listen on 192.0.2.1:0: Cannot assign requested address",
       [](SinkOptions& o, const net::Endpoint&) {
         o.listeners[0].endpoint.address = *net::IpAddress::parse("192.0.2.1");
       }},
      {"no such profile", ErrorCode::kInvalidArgument, "sink: 127.0.0.1:0 has no profile \"other\"",
       [](SinkOptions& o, const net::Endpoint&) { o.listeners[0].profile = "other"; }},
      {"profile twice", ErrorCode::kInvalidArgument, "sink: two profiles named \"default\"",
       [](SinkOptions& o, const net::Endpoint&) { o.profiles.emplace_back(); }},
      {"chance above 1", ErrorCode::kInvalidArgument, "sink profile \"default\": a chance is not between 0 and 1",
       [](SinkOptions& o, const net::Endpoint&) { o.profiles[0].reject_chance = 1.5; }},
      {"reply that accepts", ErrorCode::kInvalidArgument,
       "sink profile \"default\": \"250 Ok\" is no 4yz or 5yz reply on one line",
       [](SinkOptions& o, const net::Endpoint&) { o.profiles[0].defer_reply = "250 Ok"; }},
      {"reply of two lines", ErrorCode::kInvalidArgument,
       "sink profile \"default\": \"450 a\r\n250 b\" is no 4yz or 5yz reply on one line",
       [](SinkOptions& o, const net::Endpoint&) { o.profiles[0].defer_reply = "450 a\r\n250 b"; }},
      {"no thread", ErrorCode::kInvalidArgument, "sink: threads must be at least 1",
       [](SinkOptions& o, const net::Endpoint&) { o.threads = 0; }},
      {"maildir in nowhere", ErrorCode::kIo,
       "cannot make the maildir directory /nonexistent/maildir: No such file or directory",
       [](SinkOptions& o, const net::Endpoint&) { o.maildir = "/nonexistent/maildir"; }},
  };
  for (const Refused& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      SinkOptions options = one_profile({});
      c.spoil(options, in_use);
      const auto sink = Sink::start(std::move(options));
      BOOST_REQUIRE(!sink.has_value());
      BOOST_TEST((sink.error().code == c.code));
      BOOST_TEST(sink.error().detail == c.detail);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_certificate_that_cannot_be_read) {
  SinkOptions options = one_profile({.start_tls = true});
  options.tls_certificate_pem = "not PEM";
  const auto sink = Sink::start(std::move(options));
  BOOST_REQUIRE(!sink.has_value());
  BOOST_TEST((sink.error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST(sink.error().detail.starts_with("cannot read the TLS certificate: "));
}

// ---------------------------------------------------------------------------------------------------------------------
// Hostile and broken peers

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_read_is_not_read_from) {
  constexpr int kCommands = 300'000;  // 4 MB of replies: more than the socket buffers hold.
  const auto sink = start(one_profile({}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  std::thread writer([&] {
    std::string commands;
    for (int i = 0; i < kCommands; ++i) commands += "NOOP\r\n";
    client.send(commands);
  });
  int replies = 0;
  while (replies < kCommands && client.reply() == "250 2.0.0 Ok") ++replies;
  writer.join();
  BOOST_TEST(replies == kCommands);
}

BOOST_AUTO_TEST_CASE(a_broken_handshake_is_counted_and_closed) {
  const auto sink = start(one_profile({.start_tls = true}));
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.code("STARTTLS") == "220");
  client.send("this is no ClientHello\r\n");
  while (!client.ended()) {  // An alert, perhaps.
  }
  BOOST_TEST(sink->counts()[0].protocol_errors == 1U);
  BOOST_TEST(sink->counts()[0].tls_handshakes == 0U);
}

BOOST_AUTO_TEST_CASE(peers_that_leave_at_any_moment_harm_nobody) {
  const auto sink = start(one_profile({.chunking = true}));
  for (const char* last : {"", "EHLO c\r\n", "EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<x@d.e>\r\nDATA\r\nhalf",
                           "EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<x@d.e>\r\nBDAT 100\r\nhalf", "QUIT\r\n"}) {
    SinkClient client(sink->endpoints()[0]);
    client.send(last);
  }
  SinkClient client(sink->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.deliver("x@d.e") == "250");
  BOOST_TEST(sink->counts()[0].accepted == 1U);
}

BOOST_AUTO_TEST_CASE(stopping_ends_open_connections) {
  SinkOptions options = one_profile({.latency = std::chrono::hours(1)});
  options.listeners.push_back({loopback(), "quick"});
  options.profiles.push_back({.name = "quick"});
  options.threads = 2;
  auto sink = start(std::move(options));
  SinkClient waiting(sink->endpoints()[0]);
  SinkClient client(sink->endpoints()[1]);
  client.hello();
  client.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<x@d.e>\r\nDATA\r\n");
  for (int i = 0; i < 3; ++i) client.reply();
  sink.reset();
  BOOST_TEST(client.ended());
}

// ---------------------------------------------------------------------------------------------------------------------
// An independent client

BOOST_AUTO_TEST_CASE(python_smtplib) {
  if (std::system("python3 -c 'import smtplib, ssl' 2>/dev/null") != 0) {
    BOOST_TEST_MESSAGE("skipped: no python3 with ssl");
    return;
  }
  const TemporaryDirectory directory;
  SinkOptions options = one_profile({.start_tls = true, .chunking = true, .size_max = 10 << 20});
  options.maildir = directory.path;
  options.threads = 2;
  const auto sink = start(std::move(options));
  const std::string command = "python3 " MAILSBUDDY_SOURCE_DIR "/tests/smtp/sink_smtplib.py " +
                              std::to_string(sink->endpoints()[0].port) + " " + directory.path.string();
  BOOST_TEST(std::system(command.c_str()) == 0);
  const SinkCounts counts = sink->counts()[0];
  BOOST_TEST(counts.accepted == 5U);
  BOOST_TEST(counts.tls_handshakes == 2U);
  BOOST_TEST(counts.protocol_errors == 1U);  // The command smuggled behind STARTTLS.
}

}  // namespace mailsbuddy::smtp
