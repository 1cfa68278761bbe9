// The real engine warms new IPs up: a million messages over days of simulated time to models of mailbox providers
// (tests/sim/receivers.h), which say what they think of it in their real words. Whatever they say: no IP sends more in
// a day or an hour than its curve allows, counted at the receiver; every recipient ends exactly once; nothing is
// stranded.
#include <fmt/format.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <charconv>
#include <fstream>
#include <map>

#include "mailsbuddy/engine.h"
#include "services/cli/svg_chart.h"
#include "tests/sim/receivers.h"
#include "tests/sim/returned.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kIps = 4;
constexpr std::string_view kCurve = "start=2k growth=1.6 ceiling=10M";
constexpr std::size_t kReturnPathsKept = 50;

struct House {
  std::string_view domain, mx, address;
  std::size_t preset = 0;
  double multiplier = 1;  // Of the curve: warming/providers.tsv.
};
constexpr House kHouses[] = {
    {"gmail.com", "gmail-smtp-in.l.google.com", "198.51.100.1", 0, 1},
    {"hotmail.com", "hotmail-com.olc.protection.outlook.com", "198.51.100.2", 1, 0.5},
    {"yahoo.com", "mta5.am0.yahoodns.net", "198.51.100.3", 2, 1},
};

// "192.0.2.N" and "uN@domain".
std::size_t ip_number(std::string_view client) { return static_cast<std::size_t>(client.back() - '1'); }
std::size_t row_of(std::string_view address) {
  std::size_t number = 0;
  std::from_chars(address.data() + 1, address.data() + address.size(), number);
  return number;
}

// A provider's model behind a simulated host, and what came there.
struct Provider {
  Provider(const House& its_house, std::size_t rows, std::uint64_t seed)
      : house(its_house), model(sim::receiver_presets()[its_house.preset], kIps, seed), seen(rows) {}

  std::string judge(const std::string& client, const std::string& to, TimePoint sent) {
    const std::size_t ip = ip_number(client);
    ++by_day[ip][std::chrono::floor<std::chrono::days>(sent.time_since_epoch()).count()];
    ++by_hour[ip][std::chrono::floor<std::chrono::hours>(sent.time_since_epoch()).count()];
    const bool fresh = !seen[row_of(to)];
    seen[row_of(to)] = true;
    const sim::BatchResult result = model.send(ip, 1, fresh, host->open_from[client], sent);
    for (std::size_t i = 0; i < sim::kAnswers; ++i) {
      if (result.counts[i] > 0) return std::string(model.text(static_cast<sim::Answer>(i)));
    }
    return "451 4.3.0 No answer";
  }

  void take(const sim::Receiver::Mail& mail) {
    ++taken;
    auto& kept = lately[ip_number(mail.client)];
    if (kept.size() < kReturnPathsKept) kept.push_back({.client = {}, .from = mail.from, .to = mail.to, .data = {}});
  }

  House house;
  sim::ReceiverModel model;
  sim::Receiver* host = nullptr;
  std::vector<bool> seen;  // Who was tried.
  std::array<std::map<std::int64_t, std::uint64_t>, kIps> by_day;
  std::array<std::map<std::int64_t, std::uint64_t>, kIps> by_hour;
  std::array<std::vector<sim::Receiver::Mail>, kIps> lately;  // Some, to complain about.
  std::uint64_t taken = 0;
};

class Rows final : public RowSource {
 public:
  explicit Rows(std::size_t count) : count_(count) {}
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (at_ == count_) return std::optional<RowView>();
    address_ = fmt::format("u{}@{}", at_, kHouses[at_ % std::size(kHouses)].domain);
    ++at_;
    return std::optional<RowView>({.number = at_, .address = address_, .values = {}});
  }

 private:
  std::size_t count_;
  std::size_t at_ = 0;
  std::string address_;
};

struct Counts final : EventSink {
  explicit Counts(std::size_t rows) : ended(rows) {}
  Result<void> on_events(std::span<const Event> events) override {
    for (const Event& event : events) {
      ++kinds[static_cast<std::size_t>(event.kind)];
      if (!is_final(event.kind)) continue;
      const std::size_t row = row_of(event.recipient);
      repeated += ended[row] ? 1 : 0;
      ended[row] = true;
    }
    return {};
  }
  Result<void> on_decisions(std::span<const warming::Decision> made) override {
    for (const warming::Decision& each : made) ++decisions[each.kind];
    return {};
  }
  std::uint64_t of(EventKind kind) const { return kinds[static_cast<std::size_t>(kind)]; }

  std::array<std::uint64_t, kEventKinds> kinds{};
  std::vector<bool> ended;
  std::uint64_t repeated = 0;
  std::map<warming::DecisionKind, std::uint64_t> decisions;
};

struct World {
  World(std::size_t messages, std::uint64_t seed) : counts(std::make_shared<Counts>(messages)) {
    for (const House& house : kHouses) {
      Provider& provider =
          *providers.emplace_back(std::make_unique<Provider>(house, messages, seed * 100 + house.preset));
      world.mx[std::string(house.domain)] = {{10, std::string(house.mx)}};
      world.addresses[std::string(house.mx)] = {*net::IpAddress::parse(house.address)};
      provider.host = &world.receivers[std::string(house.address)];
      provider.host->judge = [this, &provider](const std::string& client, const std::string& to) {
        return provider.judge(client, to, world.loop.now() - sim::kLatency);
      };
      provider.host->take = [&provider](const sim::Receiver::Mail& mail) { provider.take(mail); };
    }
    EngineOptions options{.egress = {}, .max_age = 60 * 24h, .runtime = sim::make_runtime(world, seed)};
    for (std::size_t i = 0; i < kIps; ++i) {
      options.egress.push_back({.address = fmt::format("192.0.2.{}", i + 1),
                                .ehlo_name = fmt::format("m{}.sender.example", i + 1),
                                .curve = *warming::Curve::parse(kCurve)});
    }
    options.spool = spool::make_memory_spool();  // Given, so that snapshots are kept as with one that is durable.
    engine = *Engine::open(std::move(options));
    engine->subscribe(counts);
  }

  void start(std::size_t messages) {
    const auto content =
        make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                              {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    Rows rows(messages);
    const auto started = engine->start({.id = "c",
                                        .account = "a",
                                        .content = *content,
                                        .from = *NamedAddress::parse("n@s.test"),
                                        .return_path_domain = "b.s.test"},
                                       rows);
    BOOST_REQUIRE(started.has_value());
    BOOST_TEST(started->accepted == messages);
  }

  // An hour passes; then users complain about what they got.
  void hour() {
    world.loop.run_until(world.loop.now() + 1h);
    for (const auto& provider : providers) {
      for (std::size_t ip = 0; ip < kIps; ++ip) {
        auto& lately = provider->lately[ip];
        for (std::uint64_t left = provider->model.complaints(ip, world.loop.now()); left > 0 && !lately.empty();
             --left) {
          const auto mail = sim::make_returned("arf", {.to = lately.back().to,
                                                      .return_path = lately.back().from,
                                                      .source_ip = provider->house.preset == 0 ? "" : lately.back().client});
          lately.pop_back();
          const auto report = engine->inbound(mail.data, {.recipient = mail.recipient});
          complaints += report.has_value() && report->event == EventKind::kComplaint && !report->repeated ? 1 : 0;
        }
      }
    }
  }

  sim::World world;
  std::vector<std::unique_ptr<Provider>> providers;
  std::shared_ptr<Counts> counts;
  std::uint64_t complaints = 0;
  std::unique_ptr<Engine> engine;
};

// No sending day is later on the curve than the calendar day since the start.
void check_caps(const World& w) {
  const auto first = std::chrono::floor<std::chrono::days>(sim::kStart.time_since_epoch()).count();
  for (const auto& provider : w.providers) {
    const warming::Curve curve = warming::Curve::parse(kCurve)->times(provider->house.multiplier);
    for (std::size_t ip = 0; ip < kIps; ++ip) {
      for (const auto& [day, messages] : provider->by_day[ip]) {
        BOOST_TEST(messages <= curve.at(static_cast<std::uint64_t>(day - first)),
                   provider->house.domain << " day " << day - first);
      }
      for (const auto& [hour, messages] : provider->by_hour[ip]) {
        const std::uint64_t cap = curve.at(static_cast<std::uint64_t>(hour / 24 - first));
        BOOST_TEST(messages <= std::max<std::uint64_t>(20, cap / 12), provider->house.domain << " hour " << hour);
      }
    }
  }
}

// What each provider saw a day, over all IPs.
void draw(const World& w, const std::string& file) {
  const auto first = std::chrono::floor<std::chrono::days>(sim::kStart.time_since_epoch()).count();
  cli::Chart chart{"Attempts at each provider, four new IPs (models)", "day", "messages a day", true, {}};
  for (const auto& provider : w.providers) {
    cli::Chart::Line line{std::string(provider->house.domain), {}};
    for (const auto& ip : provider->by_day) {
      for (const auto& [day, messages] : ip) {
        const auto at = static_cast<std::size_t>(day - first);
        line.values.resize(std::max(line.values.size(), at + 1));
        line.values[at] += static_cast<double>(messages);
      }
    }
    chart.lines.push_back(std::move(line));
  }
  std::ofstream(file) << cli::svg(chart);
}

void run(std::size_t messages, std::uint64_t seed, const std::string& chart) {
  World w(messages, seed);
  w.start(messages);
  int hours = 0;
  while (w.engine->open_rows() > 0 && hours < 60 * 24) {
    w.hour();
    ++hours;
    if (hours != 30) continue;
    const auto status = w.engine->status("c");  // It says when it will end, in days and not in the hours of its rate.
    BOOST_REQUIRE(status->finish.has_value());
    BOOST_TEST(status->finish_bound != "");
    BOOST_TEST_MESSAGE("after 30 h it expects to end in " << (*status->finish - w.world.loop.now()) / 1h << " h");
  }
  w.world.loop.run_until(w.world.loop.now() + 1s);  // The last complaints are reported.
  check_caps(w);
  std::uint64_t taken = 0;
  for (const auto& provider : w.providers) taken += provider->taken;
  const Counts& counts = *w.counts;
  BOOST_TEST(w.engine->open_rows() == 0U);
  BOOST_TEST(counts.repeated == 0U);
  BOOST_TEST(static_cast<std::size_t>(std::count(counts.ended.begin(), counts.ended.end(), true)) == messages);
  BOOST_TEST(counts.of(EventKind::kDelivered) == taken);
  BOOST_TEST(counts.of(EventKind::kDelivered) + counts.of(EventKind::kBounced) + counts.of(EventKind::kSuppressed) ==
             messages);
  BOOST_TEST(counts.of(EventKind::kComplaint) == w.complaints);
  BOOST_TEST(counts.decisions.contains(warming::DecisionKind::kAdvance));
  std::string decisions;
  for (const auto& [kind, n] : counts.decisions) decisions += fmt::format(" {} {}", n, warming::to_string(kind));
  if (!chart.empty()) draw(w, chart);
  BOOST_TEST_MESSAGE(
      fmt::format("{} messages in {} h: {} delivered, {} bounced, {} deferrals, {} complaints; decisions:{}", messages,
                  hours, counts.of(EventKind::kDelivered), counts.of(EventKind::kBounced),
                  counts.of(EventKind::kDeferred), w.complaints, decisions));
}

}  // namespace

// More with `-- MESSAGES SEED [CHART.svg]`: docs/warming.md has a million, which is for an optimised build.
BOOST_AUTO_TEST_CASE(new_ips_are_warmed_up) {
  const auto& suite = boost::unit_test::framework::master_test_suite();
  const auto argument = [&suite](int i, std::size_t otherwise) {
    return suite.argc > i ? static_cast<std::size_t>(std::stoull(suite.argv[i])) : otherwise;
  };
  run(argument(1, 60'000), argument(2, 1), suite.argc > 3 ? suite.argv[3] : "");
}
