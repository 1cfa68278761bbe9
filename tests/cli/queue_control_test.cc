// What a process answers about its queue: in slices to those who ask on, and in one to others.
#include "services/cli/queue_control.h"

#include <boost/test/unit_test.hpp>

#include "tests/sim/caller.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace mailsbuddy::cli;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(who_does_not_ask_on_has_all_in_one_answer) {
  sim::World world;
  const std::shared_ptr<spool::Spool> spool = spool::make_memory_spool();
  auto engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "one.test"}},
                              .runtime = sim::make_runtime(world, 1),
                              .spool = spool});
  BOOST_REQUIRE(engine.has_value());
  constexpr std::uint64_t kRows = 9'000;  // Two pages.
  std::vector<std::string> addresses;
  for (std::uint64_t i = 0; i < kRows; ++i) addresses.push_back("u" + std::to_string(i) + "@a.test");
  sim::Rows rows(std::move(addresses));
  const auto content =
      make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                            {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
  const auto started = (*engine)->start({.id = "spring",
                                         .account = "brand",
                                         .content = *content,
                                         .from = *NamedAddress::parse("n@s.test"),
                                         .return_path_domain = "b.s.test"},
                                        rows);
  BOOST_REQUIRE(started.has_value());
  const ControlCommands commands = queue_commands(**engine, 0s);
  const auto ask = [&commands](const char* command, ControlJson arguments) {
    const auto answer = commands.find(command)->second(arguments);
    BOOST_REQUIRE_MESSAGE(answer.has_value(), (answer ? "" : answer.error().detail));
    return *answer;
  };
  std::uint64_t held = 0, slices = 0;
  ControlJson arguments{{"filter", ""}, {"all", true}, {"cursor", nullptr}};
  do {
    const ControlJson slice = ask("queue hold", arguments);
    held += slice["rows"].get<std::uint64_t>();
    arguments["cursor"] = slice["cursor"];
    ++slices;
  } while (!arguments["cursor"].is_null());
  BOOST_TEST(held == kRows);
  BOOST_TEST(slices >= 2U);
  arguments.erase("cursor");
  const ControlJson whole = ask("queue release", arguments);
  BOOST_TEST(whole["rows"].get<std::uint64_t>() == kRows);
  BOOST_TEST(whole["cursor"].is_null());
  engine->reset();
  spool->close();
}
