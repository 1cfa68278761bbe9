#include "core/net/caching_resolver.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <optional>

#include "core/base/timer_wheel.h"

namespace mailsbuddy::net {
namespace {

using std::chrono::seconds;

// A loop turned by hand.
class ManualLoop final : public Loop {
 public:
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  TimePoint now() const noexcept override { return now_; }
  TimerWheel& timers() noexcept override { return wheel_; }
  bool is_owner() const noexcept override { return true; }
  void turn() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }
  void pass(seconds time) { now_ += time; }

 private:
  TimePoint now_{std::chrono::hours(1)};
  TimerWheel wheel_{now_};
  std::deque<Task> tasks_;
};

// Counts questions and keeps them until told what to answer.
class Source final : public Resolver {
 public:
  void mx(std::string_view domain, Callback<MxRecord> done) override { keep(mxs, domain, std::move(done)); }
  void addresses(std::string_view host, Callback<IpAddress> done) override { keep(hosts, host, std::move(done)); }
  void txt(std::string_view name, Callback<std::string> done) override { keep(txts, name, std::move(done)); }

  template <class Record>
  void keep(std::deque<Callback<Record>>& open, std::string_view name, Callback<Record> done) {
    asked += (asked.empty() ? "" : " ") + std::string(name);
    open.push_back(std::move(done));
  }
  void answer_mx(const DnsAnswer<MxRecord>& answer) {
    auto done = std::move(mxs.front());
    mxs.pop_front();
    done(answer);
  }

  std::string asked;
  std::deque<Callback<MxRecord>> mxs;
  std::deque<Callback<IpAddress>> hosts;
  std::deque<Callback<std::string>> txts;
};

struct Fixture {
  explicit Fixture(std::size_t entries = 100) {
    auto owned = std::make_unique<Source>();
    source = owned.get();
    resolver = std::make_unique<CachingResolver>(loop, std::move(owned), entries);
  }
  void ask(const char* name) {
    resolver->mx(name, [this](const DnsAnswer<MxRecord>& answer) {
      ++answers;
      last = answer;
    });
  }
  // Asks and has the question, if it comes through, answered.
  void ask(const char* name, const DnsAnswer<MxRecord>& with) {
    ask(name);
    if (!source->mxs.empty()) source->answer_mx(with);
    loop.turn();
  }
  ManualLoop loop;
  Source* source = nullptr;
  std::unique_ptr<CachingResolver> resolver;
  int answers = 0;
  DnsAnswer<MxRecord> last;
};

const DnsAnswer<MxRecord> kGood{DnsStatus::kOk, {{10, "mx.test"}}, seconds(300), ""};

struct Kept {
  const char* name;
  DnsAnswer<MxRecord> answer;
  seconds kept;  // 0: not at all.
};

const std::vector<Kept> kKept = {
    {"records, for their TTL", kGood, seconds(300)},
    {"records, for a day at most", {DnsStatus::kOk, {{10, "mx.test"}}, seconds(1'000'000), ""}, kTtlMax},
    {"records with TTL 0", {DnsStatus::kOk, {{10, "mx.test"}}, seconds(0), ""}, seconds(0)},
    {"no name, for its TTL", {DnsStatus::kNxDomain, {}, seconds(60), ""}, seconds(60)},
    {"no name, for an hour at most", {DnsStatus::kNxDomain, {}, seconds(86'400), ""}, kNegativeTtlMax},
    {"no data, for an hour at most", {DnsStatus::kNoData, {}, seconds(86'400), ""}, kNegativeTtlMax},
    {"no name without a TTL", {DnsStatus::kNxDomain, {}, seconds(0), ""}, seconds(0)},
    {"a failure, for seconds", {DnsStatus::kFailed, {}, seconds(0), "no answer"}, kFailureTtl},
};

BOOST_AUTO_TEST_CASE(an_address_is_its_own_answer) {
  for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
    Fixture f;
    std::vector<DnsAnswer<IpAddress>> answers;
    f.resolver->addresses(text, [&](const DnsAnswer<IpAddress>& answer) { answers.push_back(answer); });
    BOOST_TEST(answers.empty());  // Never from inside.
    f.loop.turn();
    BOOST_REQUIRE(answers.size() == 1U);
    BOOST_TEST((answers[0].status == DnsStatus::kOk));
    BOOST_TEST(answers[0].records.at(0).str() == text);
    BOOST_TEST(f.source->asked.empty());
    f.resolver->addresses(text, [&](const DnsAnswer<IpAddress>& answer) { answers.push_back(answer); });
    f.resolver.reset();
    f.loop.turn();
    BOOST_TEST(answers.size() == 1U);  // The resolver went first.
  }
  Fixture f;
  f.resolver->addresses("192.0.2", [](const DnsAnswer<IpAddress>&) {});
  BOOST_TEST(f.source->asked == "192.0.2");
}

BOOST_AUTO_TEST_CASE(how_long_answers_are_kept) {
  for (const Kept& c : kKept) BOOST_TEST_CONTEXT(c.name) {
      Fixture f;
      f.ask("a.test", c.answer);
      BOOST_TEST(f.answers == 1);
      BOOST_TEST((f.last.status == c.answer.status));
      BOOST_TEST((f.last.records == c.answer.records));
      BOOST_TEST(f.last.detail == c.answer.detail);
      BOOST_TEST((f.last.ttl == c.kept));
      if (c.kept > seconds(0)) {
        f.loop.pass(c.kept - seconds(1));
        f.ask("a.test", kGood);
        BOOST_TEST(f.source->asked == "a.test");
        BOOST_TEST((f.last.status == c.answer.status));
        BOOST_TEST((f.last.ttl == seconds(1)));  // What is left of it.
        f.loop.pass(seconds(1));
      }
      f.ask("a.test", kGood);
      BOOST_TEST(f.source->asked == "a.test a.test");
      BOOST_TEST((f.last.status == DnsStatus::kOk));
    }
}

BOOST_AUTO_TEST_CASE(a_cached_answer_does_not_come_from_inside_the_call) {
  Fixture f;
  f.ask("a.test", kGood);
  f.ask("a.test");
  BOOST_TEST(f.answers == 1);
  f.loop.turn();
  BOOST_TEST(f.answers == 2);
}

BOOST_AUTO_TEST_CASE(equal_questions_share_an_answer_and_names_are_equal_in_any_spelling) {
  Fixture f;
  for (const char* name : {"a.test", "A.Test", "a.test.", "A.TEST."}) f.ask(name);
  BOOST_TEST(f.source->asked == "a.test");
  BOOST_TEST(f.answers == 0);
  f.source->answer_mx(kGood);
  BOOST_TEST(f.answers == 4);
  f.ask("a.TEST.", kGood);
  BOOST_TEST(f.source->asked == "a.test");
  BOOST_TEST(f.answers == 5);
}

BOOST_AUTO_TEST_CASE(types_do_not_mix) {
  Fixture f;
  f.ask("a.test", kGood);
  int hosts = 0;
  int texts = 0;
  f.resolver->addresses("a.test",
                        [&](const DnsAnswer<IpAddress>& answer) { hosts += static_cast<int>(answer.records.size()); });
  f.resolver->txt("a.test",
                  [&](const DnsAnswer<std::string>& answer) { texts += static_cast<int>(answer.records.size()); });
  BOOST_TEST(f.source->asked == "a.test a.test a.test");
  f.source->hosts.front()({DnsStatus::kOk, {IpAddress::v4({192, 0, 2, 1})}, seconds(60), ""});
  f.source->txts.front()({DnsStatus::kOk, {"x", "y"}, seconds(60), ""});
  BOOST_TEST(hosts == 1);
  BOOST_TEST(texts == 2);
  f.ask("a.test", {});
  BOOST_TEST((f.last.records == kGood.records));
}

BOOST_AUTO_TEST_CASE(the_least_recently_used_entry_leaves) {
  Fixture f(2);
  f.ask("a.test", kGood);
  f.ask("b.test", kGood);
  f.ask("a.test", kGood);
  f.ask("c.test", kGood);  // b.test leaves.
  f.ask("a.test", kGood);
  BOOST_TEST(f.source->asked == "a.test b.test c.test");
  f.ask("b.test", kGood);
  BOOST_TEST(f.source->asked == "a.test b.test c.test b.test");
}

BOOST_AUTO_TEST_CASE(a_cache_of_nothing_still_answers) {
  Fixture f(0);
  f.ask("a.test", kGood);
  f.ask("a.test", kGood);
  BOOST_TEST(f.answers == 2);
  BOOST_TEST(f.source->asked == "a.test a.test");
}

BOOST_AUTO_TEST_CASE(a_callback_may_ask_again) {
  Fixture f;
  f.resolver->mx("a.test", [&](const DnsAnswer<MxRecord>&) { f.ask("a.test"); });
  f.source->answer_mx({DnsStatus::kOk, {{10, "mx.test"}}, seconds(0), ""});
  BOOST_TEST(f.source->asked == "a.test a.test");
  f.source->answer_mx(kGood);
  BOOST_TEST(f.answers == 1);
}

BOOST_AUTO_TEST_CASE(a_destroyed_resolver_calls_nobody) {
  {
    Fixture f;
    f.ask("a.test", kGood);
    f.ask("a.test");  // From the cache, posted.
    f.ask("b.test");  // On its way.
    f.resolver.reset();
    f.loop.turn();
    BOOST_TEST(f.answers == 1);
  }
  Fixture f;
  f.resolver->mx("a.test", [&](const DnsAnswer<MxRecord>&) {
    ++f.answers;
    f.resolver.reset();
  });
  f.ask("a.test");
  auto done = std::move(f.source->mxs.front());
  f.source->mxs.pop_front();
  done(kGood);
  BOOST_TEST(f.answers == 1);
}

}  // namespace
}  // namespace mailsbuddy::net
