#include "services/cli/queue_control.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>

#include "services/cli/zone.h"

namespace mailsbuddy::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRowsMax = 10'000;      // Of one answer.
constexpr std::size_t kEntriesMax = 100'000;    // Suppressions of one request; over a socket 64 KB of them.
constexpr auto kLookUpWait = 100ms;             // With the DNS, of one answer.
constexpr auto kLookUpMax = 30s;                // Of a command.

std::string iso_time(TimePoint time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

ControlJson json_of(const spool::ListCursor& cursor) { return {cursor.job, cursor.domain, cursor.row}; }

spool::ListCursor cursor_of(const ControlJson& arguments) {
  const auto found = arguments.find("cursor");
  if (found == arguments.end() || found->is_null()) return {};
  return {.job = found->at(0), .domain = found->at(1), .row = found->at(2)};
}

// Who gives a cursor, null at first, goes on with that of each answer until it is null. Others have all in one.
bool asks_on(const ControlJson& arguments) { return arguments.contains("cursor"); }

// The DNS has not said yet what the command is about: the cursor to ask on with, which has when it waits no longer.
// Null: it may begin, by what is known then.
ControlJson looks_up(const Engine& engine, const QueueFilter& filter, const ControlJson& arguments) {
  if (!asks_on(arguments) || cursor_of(arguments).job != 0) return {};
  const auto milliseconds = [](auto time) { return std::chrono::duration_cast<std::chrono::milliseconds>(time).count(); };
  const auto now = milliseconds(std::chrono::steady_clock::now().time_since_epoch());
  const ControlJson& cursor = arguments.at("cursor");
  const auto latest = now + milliseconds(kLookUpMax);
  const auto until = cursor.is_array() && cursor.size() > 3 ? std::min(cursor.at(3).get<std::int64_t>(), latest) : latest;
  if (now >= until || engine.find_providers(filter, kLookUpWait) == 0) return {};
  return {0, 0, 0, until};
}

Result<QueueFilter> filter_of(const ControlJson& arguments) {
  const auto found = arguments.find("filter");
  if (found != arguments.end() && !found->is_string()) return invalid("\"filter\": text is expected, as in \"domain=example.net\"");
  auto filter = QueueFilter::parse(text_or(arguments, "filter", ""));
  if (filter && asks_on(arguments)) filter->provider_wait = 0ms;  // looks_up() has waited.
  return filter;
}

ControlJson json_of(const QueuedRecipient& each) {
  ControlJson row{{"job", each.job},
                  {"campaign", each.campaign},
                  {"account", each.account},
                  {"address", each.address},
                  {"row", each.row},
                  {"state", spool::to_string(each.state)},
                  {"attempts", each.attempts}};
  if (each.state == spool::State::kDeferred) row["due"] = iso_time(each.due);
  if (!each.provider.empty()) row["provider"] = each.provider;
  if (!each.unreadable.empty()) row["unreadable"] = each.unreadable;
  return row;
}

Result<ControlJson> list(Engine& engine, Duration within, const ControlJson& arguments) {
  const auto filter = filter_of(arguments);
  if (!filter) return filter.error();
  const std::uint64_t most = std::min(arguments.value("max", std::uint64_t{1000}), kRowsMax);
  spool::ListCursor cursor = cursor_of(arguments);
  if (const ControlJson later = looks_up(engine, *filter, arguments); !later.is_null())
    return ControlJson{{"rows", ControlJson::array()}, {"cursor", later}};
  std::vector<QueuedRecipient> rows;
  bool more = true;
  const auto end = std::chrono::steady_clock::now() + within;
  do {
    const auto listed = engine.list(*filter, cursor, most - rows.size(), rows);
    if (!listed) return listed.error();
    more = *listed;
  } while (more && rows.size() < most && std::chrono::steady_clock::now() < end);
  ControlJson answer{{"rows", ControlJson::array()}, {"cursor", more ? json_of(cursor) : ControlJson()}};
  for (const QueuedRecipient& each : rows) answer["rows"].push_back(json_of(each));
  return answer;
}

Result<ControlJson> summary(const Engine& engine, const ControlJson& arguments) {
  const auto filter = filter_of(arguments);
  if (!filter) return filter.error();
  const auto by = parse_queue_grouping(text_or(arguments, "by", "campaign"));
  if (!by) return by.error();
  if (const ControlJson later = looks_up(engine, *filter, arguments); !later.is_null())
    return ControlJson{{"cursor", later}};
  const auto summary = engine.summary(*filter, *by, std::min(arguments.value("max", std::uint64_t{1000}), kRowsMax));
  if (!summary) return summary.error();
  ControlJson answer{{"groups", ControlJson::array()},
                     {"others", summary->others},
                     {"other_groups", summary->other_groups},
                     {"unknown", summary->unknown},
                     {"unknown_domains", summary->unknown_domains},
                     {"cursor", nullptr}};
  for (const QueueGroup& each : summary->groups)
    answer["groups"].push_back({{"name", each.name}, {"counts", each.counts}});
  return answer;
}

ControlJson json_of(const QueueChange& change) {
  return {{"rows", change.rows},
          {"under_way", change.under_way},
          {"unknown", change.unknown},
          {"unknown_domains", change.unknown_domains},
          {"unreadable", change.unreadable}};
}
ControlJson json_of(std::uint64_t moved) { return {{"moved", moved}}; }

// A command page by page, as many as there is time for; behind the last the cursor is null.
template <class Change, class Page>
Result<ControlJson> change(const Engine& engine, Duration within, const QueueFilter& filter,
                           const ControlJson& arguments, Page page) {
  spool::ListCursor cursor = cursor_of(arguments);
  Change sum{};
  const auto end = std::chrono::steady_clock::now() + within;
  bool more = true;
  const ControlJson later = looks_up(engine, filter, arguments);
  for (bool goes_on = later.is_null(); more && goes_on;) {
    const auto done = page(cursor, sum);
    if (!done && json_of(sum) == json_of(Change{})) return done.error();
    if (!done) return about(json_of(sum).dump() + ", then", done.error());
    more = *done;
    goes_on = !asks_on(arguments) || std::chrono::steady_clock::now() < end;
  }
  ControlJson answer = json_of(sum);
  answer["cursor"] = !later.is_null() ? later : more ? json_of(cursor) : ControlJson();
  return answer;
}

Result<ControlJson> done(const Result<void>& result) {
  if (!result) return result.error();
  return ControlJson{{"done", true}};
}

Result<ControlJson> erase_address(Engine& engine, const ControlJson& arguments) {
  const auto text = text_argument(arguments, "address");
  if (!text) return text.error();
  const auto address = Address::parse(*text);
  if (!address) return about(*text, address.error());
  const auto erased = engine.erase_address(*address, arguments.value("suppressions", false));
  if (!erased) return erased.error();
  return ControlJson{{"rows", erased->rows},     {"cancelled", erased->cancelled}, {"under_way", erased->claimed},
                     {"events", erased->events}, {"messages", erased->jobs},       {"suppressions", erased->suppressions}};
}

ControlJson egress(const Engine& engine) {
  ControlJson all = ControlJson::array();
  for (const EgressStatus& each : engine.egress()) {
    all.push_back({{"ip", each.address}, {"pool", each.pool}, {"draining", each.draining}, {"connections", each.connections}});
  }
  return all;
}

ControlJson json_of(const std::string& id, const CampaignStatus& now) {
  ControlJson json{{"campaign", id}, {"total", now.total}, {"paused", now.paused}, {"cancelled", now.cancelled}, {"settled", now.settled()}};
  for (std::size_t i = 0; i < spool::kStateCount; ++i)
    json["recipients"][std::string(spool::to_string(static_cast<spool::State>(i)))] = now.counts[i];
  json["came_back"] = {{"late_bounce", now.late_bounces}, {"complaint", now.complaints}, {"unsubscribed", now.unsubscribed}, {"auto_reply", now.auto_replies}};
  if (now.finish) json["finish"] = iso_time(*now.finish);
  if (!now.finish_bound.empty()) json["finish_bound"] = now.finish_bound;
  return json;
}

ControlJson campaigns(const Engine& engine) {
  ControlJson all = ControlJson::array();
  for (const std::string& id : engine.campaigns()) {
    const auto now = engine.status(id);
    all.push_back(now ? json_of(id, *now) : ControlJson{{"campaign", id}, {"import", "interrupted"}});
  }
  return all;
}

template <class Do>
ControlHandler of_campaign(Do command) {
  return [command](const ControlJson& arguments) -> Result<ControlJson> {
    const auto id = text_argument(arguments, "id");
    if (!id) return id.error();
    return command(*id);
  };
}

// A change of everything is asked for by name, and not by a filter that is left out or misspelt.
template <class Do>
ControlHandler of_filter(Do command) {
  return [command](const ControlJson& arguments) -> Result<ControlJson> {
    const auto all = arguments.find("all");
    if (text_or(arguments, "filter", "").empty() && (all == arguments.end() || !all->is_boolean() || !all->get<bool>()))
      return invalid("say which: \"filter\": \"domain=example.net\", or \"all\": true");
    const auto filter = filter_of(arguments);
    if (!filter) return filter.error();
    return command(*filter, arguments);
  };
}

template <class Do>
ControlHandler of_suppression(Do command) {
  return [command](const ControlJson& arguments) -> Result<ControlJson> {
    const auto text = text_argument(arguments, "address");
    if (!text) return text.error();
    const auto address = Address::parse(*text);
    if (!address) return about(*text, address.error());
    return command(text_or(arguments, "account", "default"), *address, arguments);
  };
}

Result<SuppressionEntry> entry_of(const ControlJson& entry) {
  const auto reason = parse_suppression_reason(text_or(entry, "reason", "manual"));
  if (!reason) return invalid(fmt::format("reason '{}': manual, unsubscribe, complaint, hard_bounce or soft_bounces is expected", text_or(entry, "reason", "")));
  return SuppressionEntry{.account = text_or(entry, "account", "default"),
                          .address = text_or(entry, "address", ""),
                          .suppressed = {*reason, TimePoint(std::chrono::seconds(entry.value("since", std::int64_t{0})))}};
}

Result<ControlJson> import_suppressions(Engine& engine, const ControlJson& arguments) {
  const ControlJson& entries = arguments.at("entries");
  if (!entries.is_array() || entries.size() > kEntriesMax) return invalid(fmt::format("\"entries\": a list of up to {}", kEntriesMax));
  std::optional<Error> bad;
  std::size_t at = 0;
  const auto count = engine.import_suppressions([&]() -> std::optional<SuppressionEntry> {
    if (at == entries.size()) return std::nullopt;
    auto entry = entry_of(entries[at++]);
    if (entry) return *std::move(entry);
    bad = entry.error();
    return std::nullopt;
  });
  if (bad) return *bad;
  if (!count) return count.error();
  return ControlJson{{"taken", *count}};
}

// A page of lines that import takes.
Result<ControlJson> export_suppressions(const Engine& engine, const ControlJson& arguments) {
  std::string cursor = text_or(arguments, "cursor", "");
  std::vector<SuppressionEntry> entries;
  const auto more = engine.export_suppressions(cursor, kRowsMax, entries);
  if (!more) return more.error();
  ControlJson answer{{"lines", ControlJson::array()}, {"cursor", nullptr}};
  for (const SuppressionEntry& each : entries) {
    const auto since = std::chrono::floor<std::chrono::seconds>(each.suppressed.since).time_since_epoch().count();
    answer["lines"].push_back(
        fmt::format("{},{},{},{}", each.address, to_string(each.suppressed.reason), since, each.account));
  }
  if (*more) answer["cursor"] = cursor;
  return answer;
}

ControlCommands suppress_commands(Engine& engine) {
  ControlCommands commands;
  commands["suppress add"] = of_suppression([&engine](const std::string& account, const Address& address, const ControlJson& arguments) -> Result<ControlJson> {
    const auto entry = entry_of(arguments);
    if (!entry) return entry.error();
    return done(engine.suppress(account, address, entry->suppressed.reason));
  });
  commands["suppress remove"] = of_suppression([&engine](const std::string& account, const Address& address, const ControlJson&) -> Result<ControlJson> {
    const auto removed = engine.unsuppress(account, address);
    if (!removed) return removed.error();
    return ControlJson{{"removed", *removed}};
  });
  commands["suppress check"] = of_suppression([&engine](const std::string& account, const Address& address, const ControlJson&) -> Result<ControlJson> {
    const auto found = engine.suppressed(account, address);
    ControlJson answer{{"address", address.str()}, {"account", account}, {"suppressed", found.has_value()}};
    if (found) answer["reason"] = to_string(found->reason);
    if (found) answer["since"] = iso_time(found->since);
    return answer;
  });
  commands["suppress export"] = [&engine](const ControlJson& arguments) {
    return export_suppressions(engine, arguments);
  };
  commands["suppress import"] = [&engine](const ControlJson& arguments) { return import_suppressions(engine, arguments); };
  return commands;
}

ControlCommands campaign_commands(Engine& engine) {
  ControlCommands commands;
  commands["campaign list"] = [&engine](const ControlJson&) -> Result<ControlJson> { return campaigns(engine); };
  commands["campaign status"] = of_campaign([&engine](const std::string& id) -> Result<ControlJson> {
    const auto now = engine.status(id);
    if (!now) return now.error();
    return json_of(id, *now);
  });
  commands["campaign pause"] = of_campaign([&engine](const std::string& id) { return done(engine.pause(id)); });
  commands["campaign resume"] = of_campaign([&engine](const std::string& id) { return done(engine.resume(id)); });
  commands["campaign cancel"] = of_campaign([&engine](const std::string& id) { return done(engine.cancel(id)); });
  commands["campaign forget"] = of_campaign([&engine](const std::string& id) { return done(engine.forget(id)); });
  commands["campaign erase"] = of_campaign([&engine](const std::string& id) { return done(engine.erase_campaign(id)); });
  return commands;
}

}  // namespace

ControlCommands queue_commands(Engine& engine, Duration within) {
  ControlCommands commands = suppress_commands(engine);
  commands.merge(campaign_commands(engine));
  commands["queue list"] = [&engine, within](const ControlJson& arguments) { return list(engine, within, arguments); };
  commands["queue summary"] = [&engine](const ControlJson& arguments) { return summary(engine, arguments); };
  commands["queue fail"] = of_filter([&engine, within](const QueueFilter& filter, const ControlJson& arguments) {
    const std::string reason = text_or(arguments, "reason", "failed by an operator");
    return change<QueueChange>(engine, within, filter, arguments, [&](auto& cursor, auto& changed) {
      return engine.fail(filter, reason, cursor, changed);
    });
  });
  commands["queue hold"] = of_filter([&engine, within](const QueueFilter& filter, const ControlJson& arguments) {
    const std::string reason = text_or(arguments, "reason", "held by an operator");
    return change<QueueChange>(engine, within, filter, arguments, [&](auto& cursor, auto& changed) {
      return engine.hold(filter, reason, cursor, changed);
    });
  });
  commands["queue release"] = of_filter([&engine, within](const QueueFilter& filter, const ControlJson& arguments) {
    return change<QueueChange>(engine, within, filter, arguments,
                               [&](auto& cursor, auto& changed) { return engine.release(filter, cursor, changed); });
  });
  commands["queue move"] = of_filter([&engine, within](const QueueFilter& filter, const ControlJson& arguments) {
    const std::string pool = text_or(arguments, "pool", "");
    return change<std::uint64_t>(engine, within, filter, arguments,
                                 [&](auto& cursor, auto& moved) { return engine.move(filter, pool, cursor, moved); });
  });
  commands["queue erase"] = [&engine](const ControlJson& arguments) { return erase_address(engine, arguments); };
  commands["queue egress"] = [&engine](const ControlJson&) -> Result<ControlJson> { return egress(engine); };
  commands["queue drain"] = [&engine](const ControlJson& arguments) -> Result<ControlJson> {
    const auto ip = text_argument(arguments, "ip");
    if (!ip) return ip.error();
    return done(engine.drain_egress(*ip, arguments.value("draining", true)));
  };
  return commands;
}

void add_queue_place(CLI::App& app, QueuePlace& place) {
  add_control_option(app, place.control);
  app.add_option("--spool", place.spool.directory, "The spool of a process that is not running")->type_name("DIR");
  app.add_option("--suppression-key", place.spool.suppression_key_file, "With --spool: as send and listen have it")->type_name("FILE");
}

Result<std::unique_ptr<QueueOffice>> QueueOffice::open(const QueuePlace& place) {
  if (place.control.empty() == place.spool.directory.empty()) {
    return invalid("--control SOCKET asks a running process, --spool DIR looks into a spool that none has: give one of them");
  }
  auto office = std::make_unique<QueueOffice>();
  office->control_ = place.control;
  if (!place.control.empty()) return office;
  if (!std::filesystem::is_directory(place.spool.directory)) return invalid(fmt::format("--spool {}: no such directory", place.spool.directory));
  auto spool = open_spool(place.spool);
  if (!spool) return Error{spool.error().code, spool.error().detail + "; if its process runs, use --control"};
  auto engine = Engine::open({.egress = {},
                              .runtime_options = {.workers = 1, .cpu_threads = 1},
                              .spool = *std::move(spool),
                              .deliver = false,
                              .find_zone = load_zone});
  if (!engine) return engine.error();
  office->engine_ = *std::move(engine);
  office->commands_ = queue_commands(*office->engine_);
  return office;
}

Result<ControlJson> QueueOffice::ask(std::string_view command, const ControlJson& arguments) const {
  if (engine_ == nullptr) return ask_control(control_, command, arguments);
  return commands_.find(command)->second(arguments);
}

}  // namespace mailsbuddy::cli
