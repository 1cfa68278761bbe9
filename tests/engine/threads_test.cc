// The engine as it runs: real threads and sockets, receivers on loopback; and other threads that meanwhile do all that
// the facade lets them. Under the thread sanitizer this is where races would show. Each recipient has one end.
#include <fmt/format.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "mailsbuddy/engine.h"
#include "spool/store.h"
#include "tests/sim/returned.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

constexpr int kRows = 600;
constexpr int kMessages = 100;
constexpr int kDomains = 8;  // Each with a receiver of its own, so that all workers have some.
constexpr int kErased = 3;   // Each rewrites the spool's files.

struct Collector final : EventSink {
  mutable std::mutex mutex;
  std::condition_variable came;
  std::map<std::string, int> finals;  // By recipient; empty: erased.
  int batches = 0;
  bool stopped = false;

  Result<void> on_events(std::span<const Event> batch) override {
    const std::lock_guard lock(mutex);
    for (const Event& event : batch) finals[event.recipient] += is_final(event.kind) ? 1 : 0;
    ++batches;
    came.notify_all();
    return {};
  }
  template <class Condition>
  void wait_until(Condition condition) {
    std::unique_lock lock(mutex);
    came.wait(lock, condition);
  }
  // Until the engine has got on. False: it is to be left alone.
  bool wait_for_more() {
    std::unique_lock lock(mutex);
    came.wait(lock, [this, before = batches] { return stopped || batches != before; });
    return !stopped;
  }
  void look_again() {
    const std::lock_guard lock(mutex);
    came.notify_all();
  }
  void stop() {
    const std::lock_guard lock(mutex);
    stopped = true;
    came.notify_all();
  }
};

// Refuses every other batch.
struct Moody final : EventSink {
  std::atomic<int> calls = 0;
  Result<void> on_events(std::span<const Event>) override {
    if (++calls % 2 == 1) return Error{ErrorCode::kIo, "not now"};
    return {};
  }
};

class Rows final : public RowSource {
 public:
  explicit Rows(std::string_view name) : name_(name) {}
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (at_ == kRows) return std::optional<RowView>();
    address_ = fmt::format("{}{}@d{}.test", name_, at_, at_ % kDomains);
    ++at_;
    return std::optional<RowView>({.number = static_cast<std::uint64_t>(at_), .address = address_, .values = {}});
  }

 private:
  std::string name_;
  int at_ = 0;
  std::string address_;
};

// Receivers that defer, refuse and hang up now and then, and what they have taken.
struct Receivers {
  std::mutex mutex;
  std::vector<std::pair<std::string, std::string>> taken;  // MAIL FROM, RCPT TO.
  std::unique_ptr<smtp::Sink> sink;

  Receivers() {
    smtp::SinkOptions options{.listeners = {},
                              .profiles = {{.defer_chance = 0.1, .reject_chance = 0.05, .messages_per_connection = 50}},
                              .threads = 2};
    for (int i = 0; i < kDomains; ++i) options.listeners.push_back({.endpoint = *net::Endpoint::parse("127.0.0.1:0", 25)});
    options.on_message = [this](std::string_view, std::string_view from, std::string_view to, std::string_view) {
      const std::lock_guard lock(mutex);
      taken.emplace_back(from, to);
    };
    auto started = smtp::Sink::start(std::move(options));
    BOOST_REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().detail));
    sink = *std::move(started);
  }
  std::optional<std::pair<std::string, std::string>> one(Random& random) {
    const std::lock_guard lock(mutex);
    if (taken.empty()) return std::nullopt;
    return taken[random.below(taken.size())];
  }
};

Address one_of(Random& random, std::string_view name) {
  const auto row = random.below(kRows);
  return *Address::parse(fmt::format("{}{}@d{}.test", name, row, row % kDomains));
}

struct Office {
  Receivers receivers;
  std::shared_ptr<Collector> collector = std::make_shared<Collector>();
  std::unique_ptr<Engine> engine;
  std::mutex mutex;
  std::string wrong;
  std::atomic<bool> stop{false};
  std::atomic<int> moody{3};

  explicit Office(std::shared_ptr<spool::Spool> spool) {
    EngineOptions options{.egress = {{.address = "127.0.0.1", .ehlo_name = "a.test"},
                                     {.address = "127.0.0.2", .ehlo_name = "b.test"},
                                     {.address = "127.0.0.3", .ehlo_name = "c.test", .pool = "other"}},
                          .first_retry = 1s,
                          .allowed_targets = {"127.0.0.0/8"},
                          .refuse_loops = false,
                          .adaptive = false,  // It would hold back what is refused so often.
                          .runtime_options = {.workers = 3, .cpu_threads = 2},
                          .spool = std::move(spool),
                          .sinks = {collector, std::make_shared<Moody>()}};
    const auto endpoints = receivers.sink->endpoints();
    for (int i = 0; i < kDomains; ++i) {
      const std::uint16_t port = endpoints[static_cast<std::size_t>(i)].port;
      options.relays.push_back({fmt::format("d{}.test", i), {.hosts = {{.host = "127.0.0.1", .port = port}}}});
    }
    auto opened = Engine::open(std::move(options));
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    engine = *std::move(opened);
    change_settings();
  }

  void change_settings() {
    auto settings = std::make_shared<warming::Settings>();
    expect(settings->add("* ip connections=3 messages_per_second=0\n", "test"));
    engine->change(settings);
  }
  void start(const std::string& id) {
    const auto content = make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                                               {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    Rows rows(id);
    expect(engine->start({.id = id,
                          .account = "a",
                          .content = *content,
                          .from = *NamedAddress::parse("n@s.test"),
                          .return_path_domain = "b.s.test"},
                         rows));
  }
  void submit() {
    for (int i = 0; i < kMessages; ++i) {
      expect(engine->submit({.sender = *Address::parse("n@s.test"),
                             .recipients = {*Address::parse(fmt::format("m{}@d{}.test", i, i % kDomains))},
                             .data = "From: n@s.test\r\nSubject: one\r\n\r\nHi\r\n",
                             .account = "a"}));
    }
  }

  // Until the end: what people and programs do while mail goes out.
  void command() {
    Random random(1);
    for (int turn = 0; collector->wait_for_more(); ++turn) {
      expect(engine->pause("c"));
      expect(engine->suppress("a", one_of(random, "c"), SuppressionReason::kManual));
      expect(engine->resume("c"));
      change_settings();
      static_cast<void>(engine->command("127.0.0.1", "d1.test", warming::Command::kResume));
      expect(engine->drain_egress("127.0.0.2", turn % 2 == 0));
      expect(engine->move({.job = "c"}, turn % 2 == 0 ? "other" : "default"));
      expect(engine->fail({.address = one_of(random, "c").str()}, "not wanted"));
      expect(engine->hold({.domain = turn % 2 == 0 ? "d3.test" : "d2.test"}, "wait"));
      expect(engine->release({}));
      if (turn < kErased) expect(engine->erase_address(one_of(random, "c")));
      if (turn == kErased) expect(engine->cancel("d"));
      collector->look_again();  // Who is erased ends without an event.
    }
  }
  void look() {
    Random random(2);
    while (!stop) {
      const auto status = engine->status("c");
      if (status && status->total != kRows) note("total");
      static_cast<void>(engine->suppressed("a", one_of(random, "c")));
      static_cast<void>(engine->explain("127.0.0.1", "d2.test"));
      static_cast<void>(engine->paces());
      static_cast<void>(engine->open_recipients("c", 10));
      static_cast<void>(engine->open_rows());
      static_cast<void>(engine->egress());
      static_cast<void>(engine->pressure());
      spool::ListCursor cursor;
      std::vector<QueuedRecipient> rows;
      for (bool more = true; more && !stop;) {
        const auto listed = engine->list({.account = "a"}, cursor, 500, rows);
        expect(listed);
        more = listed && *listed;
      }
      count(QueueGrouping::kDomain);
      count(QueueGrouping::kCampaign);
      std::string page;
      std::vector<SuppressionEntry> entries;
      for (bool more = true; more && !stop;) {
        const auto exported = engine->export_suppressions(page, 7, entries);
        expect(exported);
        more = exported && *exported;
      }
      const auto tracing = engine->trace({.domain = "d4.test"});
      static_cast<void>(tracing->take(1ms));
      if (moody.fetch_sub(1) > 0) engine->subscribe(std::make_shared<Moody>());
    }
  }
  // Whatever becomes of rows meanwhile, each is counted once.
  void count(QueueGrouping by) {
    const auto summary = engine->summary({.job = "c", .states = ~0U}, by);
    expect(summary);
    if (!summary) return;
    std::uint64_t rows = 0;
    for (const QueueGroup& each : summary->groups) rows += each.rows();
    if (rows != kRows || summary->other_groups != 0) note(fmt::format("{} rows are counted", rows));
  }
  void bounce() {
    Random random(3);
    while (collector->wait_for_more()) {
      const auto mail = receivers.one(random);
      if (!mail || mail->first.find("b.s.test") == std::string::npos) continue;
      const auto returned = sim::make_returned(random.below(2) == 0 ? "dsn" : "unsubscribe",
                                               {.to = mail->second, .return_path = mail->first, .status = "5.1.1"});
      expect(engine->inbound(returned.data, {.recipient = returned.recipient}));
    }
  }

  void note(std::string what) {
    const std::lock_guard lock(mutex);
    if (wrong.empty()) wrong = std::move(what);
  }
  template <class T>
  void expect(const Result<T>& result) {
    if (!result) note(result.error().detail);
  }
};

void everything_at_once(std::shared_ptr<spool::Spool> spool) {
  Office office(std::move(spool));
  office.start("c");
  office.start("d");
  std::vector<std::thread> others;
  others.emplace_back([&] { office.command(); });
  others.emplace_back([&] { office.look(); });
  others.emplace_back([&] { office.bounce(); });
  office.submit();
  office.collector->wait_until([&] { return office.engine->open_rows() == 0; });
  office.stop = true;
  office.collector->stop();
  for (std::thread& other : others) other.join();
  BOOST_REQUIRE(office.engine->drain(2min));  // What the last commands had to report.
  BOOST_TEST(office.wrong == "");
  for (const char* id : {"c", "d"}) BOOST_TEST(office.engine->status(id).value().settled());
  office.engine.reset();
  const auto& finals = office.collector->finals;
  const auto erased = finals.find("");
  const std::size_t everybody = 2 * kRows + kMessages;
  BOOST_TEST(finals.size() >= everybody - kErased);
  std::size_t ends = 0;
  for (const auto& [recipient, count] : finals) {
    ends += static_cast<std::size_t>(count);
    if (!recipient.empty()) BOOST_TEST(count == 1, recipient << " has " << count << " ends");
  }
  BOOST_TEST(ends <= everybody);
  BOOST_TEST(ends + kErased >= everybody);  // Who was erased unsent is reported no more.
  BOOST_TEST((erased == finals.end() || erased->second <= kErased));
}

}  // namespace

BOOST_AUTO_TEST_CASE(everything_at_once_in_memory) { everything_at_once(spool::make_memory_spool()); }

BOOST_AUTO_TEST_CASE(everything_at_once_on_disk) {
  spool::Scratch scratch;
  auto spool = spool::open_rocks_spool(
      {.directory = scratch.path(), .durability = spool::Durability::kProcessCrash, .reserve_bytes = 0},
      {.write_buffer_bytes = 256u << 10, .pages_after = 200, .merge_after = 50});
  BOOST_REQUIRE(spool.has_value());
  everything_at_once(*std::move(spool));
}
