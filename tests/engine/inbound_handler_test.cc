// What a listener tells the clients of its inbound domains.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/engine.h"
#include "tests/sim/returned.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

struct Rows final : RowSource {
  bool given = false;
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (std::exchange(given, true)) return std::optional<RowView>();
    return std::optional<RowView>({.number = 1, .address = "ann@d.example", .values = {}});
  }
};

// An engine that has delivered one campaign's mail to ann@d.example.
struct House {
  sim::World world;
  std::unique_ptr<Engine> engine;
  sim::Returned about{.to = "ann@d.example", .return_path = {}};

  House() {
    world.mx["d.example"] = {{10, "mx.d.example"}};
    world.addresses["mx.d.example"] = {*net::IpAddress::parse("198.51.100.7")};
    world.receivers["198.51.100.7"];
    auto opened = Engine::open({.egress = {{"192.0.2.1", "out.example"}}, .runtime = sim::make_runtime(world, 1)});
    BOOST_REQUIRE(opened.has_value());
    engine = *std::move(opened);
    const auto content =
        make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                              {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    Rows rows;
    BOOST_REQUIRE(engine
                      ->start({.id = "c",
                               .account = "brand",
                               .content = *content,
                               .from = *NamedAddress::parse("n@s.test"),
                               .return_path_domain = "b.s.test"},
                              rows)
                      .has_value());
    world.loop.run_until(world.loop.now() + 10s);
    BOOST_REQUIRE(world.receivers["198.51.100.7"].mails.size() == 1U);
    about.return_path = world.receivers["198.51.100.7"].mails.front().from;
  }

  using Keep = std::function<bool(const smtp::Submission&)>;

  // What the client is told of such mail to these recipients.
  template <class K = Keep>
  Reply answer(std::string_view kind, std::vector<std::string> recipients, K keep = {}) {
    smtp::Submission submission;
    submission.inbound = true;
    submission.data = sim::make_returned(kind, about).data;
    for (const std::string& each : recipients) {
      submission.envelope.recipients.push_back({.address = *Address::parse(each)});
    }
    Reply reply;
    make_inbound_handler(*engine, &world.loop, std::move(keep))(std::move(submission),
                                                                [&](Reply given) { reply = std::move(given); });
    BOOST_TEST(reply.code == 0);  // Not on the listener's thread.
    world.loop.run_tasks();
    return reply;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_report_is_taken_and_answered, House) {
  BOOST_TEST(answer("dsn", {about.return_path}).code == 250);
  BOOST_TEST(engine->status("c")->late_bounces == 1U);
  BOOST_TEST(engine->suppressed("brand", *Address::parse("ann@d.example")).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_report_to_several_addresses_is_taken_by_its_token, House) {
  about.status = "5.7.1";
  about.text = "Your IP address is listed at a block list";
  BOOST_TEST(answer("dsn", {"postmaster@b.s.test", about.return_path}).code == 250);
  BOOST_TEST(engine->status("c")->late_bounces == 1U);
  BOOST_TEST(!engine->suppressed("brand", *Address::parse("ann@d.example")).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_letter_is_refused_or_kept, House) {
  BOOST_TEST(answer("person", {about.return_path}).code == 550);
  int kept = 0;
  BOOST_TEST(answer("person", {about.return_path}, [&](const smtp::Submission& letter) {
               kept += letter.data.find("blue one") != std::string::npos ? 1 : 0;
               return true;
             }).code == 250);
  BOOST_TEST(kept == 1);
  BOOST_TEST(answer("person", {about.return_path}, [](const smtp::Submission&) { return false; }).code == 452);
  BOOST_TEST(answer("dsn", {about.return_path}, [](const smtp::Submission&) { return false; }).code == 250);
}

BOOST_FIXTURE_TEST_CASE(a_letter_is_kept_later, House) {
  UniqueFunction<void(bool)> kept;
  std::string letter;
  const auto keep = [&](smtp::Submission submission, UniqueFunction<void(bool)> done) {
    letter = std::move(submission.data);
    kept = std::move(done);
  };
  for (const auto& [answered, code] : {std::pair{true, 250}, std::pair{false, 452}}) {
    Reply reply;
    smtp::Submission submission;
    submission.data = sim::make_returned("person", about).data;
    submission.envelope.recipients.push_back({.address = *Address::parse(about.return_path)});
    make_inbound_handler(*engine, nullptr, keep)(std::move(submission), [&](Reply given) { reply = std::move(given); });
    BOOST_TEST(letter.find("blue one") != std::string::npos);
    BOOST_TEST(reply.code == 0);
    kept(answered);
    BOOST_TEST(reply.code == code);
  }
  letter.clear();
  BOOST_TEST(answer("dsn", {about.return_path}, keep).code == 250);
  BOOST_TEST(letter == "");
}

BOOST_FIXTURE_TEST_CASE(which_addresses_there_are, House) {
  UniqueFunction<void(bool)> found;
  const auto nobody = [](const smtp::Credentials&, smtp::ListenHandler::Authenticated done) { done({}); };
  const auto at_once = make_submission_handler(
      *engine, {.authenticate = nobody, .inbound_address = [](const Address& a) { return a.local() == "ann"; }});
  const auto later = make_submission_handler(
      *engine, {.authenticate = nobody,
                .find_inbound_address = [&](const Address&, UniqueFunction<void(bool)> done) { found = std::move(done); }});
  struct Case {
    std::string address;
    int at_once, later;  // 0: it is looked up.
  };
  std::string forged = about.return_path;
  forged[10] = forged[10] == 'a' ? 'b' : 'a';
  const Case kCases[] = {{"ann@b.s.test", 250, 0},
                         {"bob@b.s.test", 550, 0},
                         {"PostMaster@b.s.test", 250, 250},
                         {about.return_path, 250, 250},
                         {"unsubscribe+" + about.return_path, 250, 250},
                         {forged, 550, 0}};
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.address) {
      const Address address = *Address::parse(c.address);
      BOOST_TEST(at_once->on_recipient({}, address, true).code == c.at_once);
      BOOST_TEST(later->on_recipient({}, address, true).code == c.later);
      BOOST_TEST(later->on_recipient({}, address, false).code == 250);  // Of a submission.
    }
  }
  for (const auto& [there, code] : {std::pair{true, 250}, std::pair{false, 550}}) {
    Reply reply;
    later->find_recipient(*Address::parse("ann@b.s.test"), [&](Reply given) { reply = std::move(given); });
    BOOST_TEST(reply.code == 0);
    found(there);
    BOOST_TEST(reply.code == code);
  }
}
