#include "services/cli/queue_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "services/cli/queue_control.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

struct Arguments {
  QueuePlace place;
  std::vector<std::string> filter;
  std::string by = "campaign", reason, pool, ip, address, id, account = "default", file;
  std::uint64_t max = 50;
  bool json = false, undo = false, everything = false, suppressions = false;
};
using ArgumentsPtr = std::shared_ptr<Arguments>;

int complain(std::string_view command, const Error& error) {
  say("mailsbuddy {}: {}\n", command, error.detail);
  return kBadUsage;
}

std::string text(const ControlJson& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string filter_of(const Arguments& arguments) { return fmt::format("{}", fmt::join(arguments.filter, ",")); }

int list(const Arguments& arguments, const QueueOffice& office) {
  if (!arguments.json)
    fmt::print("{:<24} {:<10} {:>3}  {:<40} {:<20} {}\n", "campaign or message", "state", "try", "recipient", "due", "provider");
  ControlJson cursor;
  std::uint64_t shown = 0;
  do {
    const auto answer = office.ask("queue list", {{"filter", filter_of(arguments)}, {"max", std::min<std::uint64_t>(arguments.max - shown, 1000)}, {"cursor", cursor}});
    if (!answer) return complain("queue list", answer.error());
    for (const ControlJson& row : (*answer)["rows"]) {
      ++shown;
      if (arguments.json) {
        fmt::print("{}\n", row.dump());
      } else {
        fmt::print("{:<24.24} {:<10} {:>3}  {:<40.40} {:<20} {}\n", text(row, "job"), text(row, "state"), text(row, "attempts"), text(row, "address"), text(row, "due"), text(row, "provider"));
      }
    }
    cursor = (*answer)["cursor"];
  } while (!cursor.is_null() && shown < arguments.max);
  if (!cursor.is_null()) say("there may be more: --max, or a narrower --filter\n");
  return kDone;
}

void print_counts(const Arguments& arguments, std::string_view name, const ControlJson& counts, ControlJson line) {
  if (arguments.json) {
    for (std::size_t i = 0; i < spool::kStateCount; ++i)
      line[std::string(spool::to_string(static_cast<spool::State>(i)))] = counts.at(i);
    fmt::print("{}\n", line.dump());
    return;
  }
  std::uint64_t final = 0;
  for (std::size_t i = static_cast<std::size_t>(spool::State::kDelivered); i < spool::kStateCount; ++i)
    final += counts.at(i).get<std::uint64_t>();
  fmt::print("{:<32.32} {:>12} {:>12} {:>12} {:>12} {:>12}\n", name, counts.at(0).dump(), counts.at(1).dump(),
             counts.at(2).dump(), counts.at(3).dump(), final);
}

int summary(const Arguments& arguments, const QueueOffice& office) {
  auto answer = Result<ControlJson>(ControlJson::object());
  do {
    answer = office.ask("queue summary", {{"filter", filter_of(arguments)},
                                          {"by", arguments.by},
                                          {"max", arguments.max},
                                          {"cursor", answer->value("cursor", ControlJson())}});
    if (!answer) return complain("queue summary", answer.error());
  } while (!answer->value("cursor", ControlJson()).is_null());
  if (!arguments.json) fmt::print("{:<32} {:>12} {:>12} {:>12} {:>12} {:>12}\n", arguments.by, "queued", "on the wire", "deferred", "held", "final");
  for (const ControlJson& group : answer->at("groups")) {
    std::string name = text(group, "name");
    if (name.empty())
      name = arguments.by == "campaign" ? "(messages)" : arguments.by == "provider" ? "(not known yet)" : "(none)";
    print_counts(arguments, name, group.at("counts"), {{arguments.by, name}});
  }
  if (const auto others = answer->value("other_groups", std::uint64_t{0}); others > 0)
    print_counts(arguments, fmt::format("({} others)", others), answer->at("others"), {{"others", others}});
  if (const auto unknown = answer->value("unknown", std::uint64_t{0}); unknown > 0)
    say("of {}, at {} domains, the DNS did not tell in time which provider they are at\n", unknown,
        text(*answer, "unknown_domains"));
  return kDone;
}

// What came of a command: as JSON, or as words.
int report(std::string_view command, const Arguments& arguments, const ControlJson& answer) {
  if (arguments.json) {
    fmt::print("{}\n", answer.dump());
  } else if (answer.contains("done")) {
    fmt::print("done\n");
  } else {
    for (const auto& [name, value] : answer.items())
      fmt::print("{:<16} {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  if (answer.value("unreadable", std::uint64_t{0}) == 0) return kDone;
  say("mailsbuddy {}: the spool cannot read all of them now; queue list says which, and why\n", command);
  return kUnsettled;
}

int ask(std::string_view command, const Arguments& arguments, const QueueOffice& office, const ControlJson& what) {
  const auto answer = office.ask(command, what);
  return answer ? report(command, arguments, *answer) : complain(command, answer.error());
}

// Page by page, so that a long command holds up no other. A change of everything is asked for by name, and not by
// leaving something out.
int change(std::string_view command, const Arguments& arguments, const QueueOffice& office, ControlJson what) {
  if (arguments.filter.empty() && !arguments.everything)
    return complain(command, {ErrorCode::kInvalidArgument, "say which: --filter domain=example.net, or --all"});
  what["filter"] = filter_of(arguments);
  what["all"] = arguments.everything;
  what["cursor"] = nullptr;
  ControlJson total = ControlJson::object();
  do {
    const auto answer = office.ask(command, what);
    if (!answer)
      return complain(command, total.empty() ? answer.error() : about(total.dump() + ", then", answer.error()));
    for (const auto& [name, value] : answer->items()) {
      if (name != "cursor") total[name] = total.value(name, std::uint64_t{0}) + value.get<std::uint64_t>();
    }
    what["cursor"] = answer->value("cursor", ControlJson());
  } while (!what["cursor"].is_null());
  return report(command, arguments, total);
}

int campaigns(const Arguments& arguments, const QueueOffice& office) {
  const auto answer = office.ask("campaign list", ControlJson::object());
  if (!answer) return complain("campaign list", answer.error());
  if (!arguments.json) fmt::print("{:<32} {:>12} {:>12} {:>12} {:>12} {:>12}  {}\n", "campaign", "total", "delivered", "queued", "deferred", "held", "is");
  for (const ControlJson& each : *answer) {
    if (arguments.json) {
      fmt::print("{}\n", each.dump());
      continue;
    }
    const ControlJson rows = each.value("recipients", ControlJson::object());
    const std::string is = each.contains("import")            ? "not all imported"
                           : each.value("settled", false)     ? "settled"
                           : each.value("cancelled", false)   ? "cancelled"
                           : each.value("paused", false)      ? "paused"
                                                              : "sending";
    fmt::print("{:<32.32} {:>12} {:>12} {:>12} {:>12} {:>12}  {}\n", text(each, "campaign"), text(each, "total"), text(rows, "delivered"), text(rows, "queued"), text(rows, "deferred"), text(rows, "held"), is);
  }
  return kDone;
}

int egress(const Arguments& arguments, const QueueOffice& office) {
  const auto answer = office.ask("queue egress", ControlJson::object());
  if (!answer) return complain("queue egress", answer.error());
  if (!arguments.json) fmt::print("{:<40} {:<16} {:>12}  {}\n", "IP", "pool", "connections", "is");
  for (const ControlJson& each : *answer) {
    if (arguments.json) {
      fmt::print("{}\n", each.dump());
      continue;
    }
    const bool draining = each.value("draining", false);
    const char* is = !draining ? "in use" : each.value("connections", 0) > 0 ? "draining" : "empty: it may go";
    fmt::print("{:<40} {:<16} {:>12}  {}\n", text(each, "ip"), text(each, "pool"), text(each, "connections"), is);
  }
  return kDone;
}

// ADDRESS[,REASON[,SINCE[,ACCOUNT]]], SINCE as seconds since 1970: what export writes.
Result<ControlJson> entry_of(std::string_view line, const std::string& account) {
  std::vector<std::string> parts;
  for (std::string_view rest = line;;) {
    const std::size_t comma = rest.find(',');
    parts.emplace_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (parts.size() > 4) return Error{ErrorCode::kInvalidArgument, "ADDRESS[,REASON[,SINCE[,ACCOUNT]]] is expected"};
  parts.resize(4);
  ControlJson entry{{"address", parts[0]}, {"reason", parts[1].empty() ? "manual" : parts[1]}, {"account", parts[3].empty() ? account : parts[3]}};
  if (parts[2].find_first_not_of("0123456789") != std::string::npos || parts[2].size() > 11)
    return Error{ErrorCode::kInvalidArgument, fmt::format("SINCE '{}': seconds since 1970 are expected", parts[2])};
  if (!parts[2].empty()) entry["since"] = std::stoll(parts[2]);
  return entry;
}

int import_suppressions(const Arguments& arguments, const QueueOffice& office) {
  std::ifstream file;
  if (arguments.file != "-") file.open(arguments.file);
  std::istream& in = arguments.file == "-" ? std::cin : file;
  if (!in) return complain("suppress import", {ErrorCode::kIo, fmt::format("{}: cannot be read", arguments.file)});
  // Each request is one wait for the disk.
  const std::size_t at_once = 50'000,
                    bytes_at_once = office.engine() == nullptr ? ControlServer::kLineMax - 1024 : SIZE_MAX;
  std::uint64_t line_number = 0, taken = 0, from = 1;
  std::size_t bytes = 0;
  ControlJson entries = ControlJson::array();
  const auto flush = [&](std::uint64_t last) -> Result<void> {
    bytes = 0;
    if (entries.empty()) return {};
    const auto answer = office.ask("suppress import", {{"entries", std::exchange(entries, ControlJson::array())}});
    if (!answer)
      return Error{answer.error().code, fmt::format("lines {} to {}: {}", from, last, answer.error().detail)};
    taken += (*answer)["taken"].get<std::uint64_t>();
    from = last + 1;
    if (isatty(STDERR_FILENO) != 0) say("\r{} taken", taken);
    return {};
  };
  Result<void> result;
  for (std::string line; result && std::getline(in, line);) {
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    auto entry = entry_of(line, arguments.account);
    if (!entry) {
      result = Error{entry.error().code, fmt::format("line {}: {}", line_number, entry.error().detail)};
      break;
    }
    const std::size_t size =
        office.engine() == nullptr ? entry->dump(-1, ' ', false, ControlJson::error_handler_t::replace).size() + 1 : 0;
    if (bytes + size > bytes_at_once) result = flush(line_number - 1);
    if (!result) break;
    entries.push_back(*std::move(entry));
    bytes += size;
    if (entries.size() >= at_once) result = flush(line_number);
  }
  if (result) result = flush(line_number);
  if (taken > 0 && isatty(STDERR_FILENO) != 0) say("\r");
  if (!result) return complain("suppress import", about(fmt::format("{} were taken; {}", taken, arguments.file), result.error()));
  fmt::print("{} taken\n", taken);
  return kDone;
}

int export_suppressions(const QueueOffice& office) {
  std::uint64_t written = 0;
  ControlJson what = ControlJson::object();
  do {
    const auto answer = office.ask("suppress export", what);
    if (!answer)
      return complain("suppress export", about(fmt::format("{} were written, not all", written), answer.error()));
    for (const ControlJson& line : answer->at("lines")) {
      const auto& text = line.get_ref<const std::string&>();
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fputc('\n', stdout);
      ++written;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return complain("suppress export", {ErrorCode::kIo, fmt::format("standard output: {}; what is there is not all",
                                                                      std::strerror(errno))});
    what["cursor"] = answer->at("cursor");
  } while (!what["cursor"].is_null());
  return kDone;
}

using Run = std::function<int(const Arguments&, const QueueOffice&)>;

CLI::App* add(CLI::App& parent, std::function<int()>& run, const char* name, const char* what, const ArgumentsPtr& arguments, Run command) {
  CLI::App* app = parent.add_subcommand(name, what);
  add_queue_place(*app, arguments->place);
  app->add_flag("--json", arguments->json, "JSON on standard output");
  const std::string full = parent.get_name() + " " + name;
  app->callback([arguments, &run, full, command = std::move(command)] {
    run = [arguments, full, command] {
      const auto office = QueueOffice::open(arguments->place);
      if (!office) return complain(full, office.error());
      try {
        return command(*arguments, **office);
      } catch (const ControlJson::exception& error) {  // Of another version, say.
        return complain(full, {ErrorCode::kInternal, fmt::format("an answer that makes no sense: {}", error.what())});
      }
    };
  });
  return app;
}

void add_filter(CLI::App* app, const ArgumentsPtr& arguments, bool all) {
  app->add_option("--filter", arguments->filter, "NAME=VALUE: job, account, pool, domain, address, provider, state, age (2h); all that are given must fit")->delimiter(',');
  if (all) app->add_flag("--all", arguments->everything, "All of the queue");
}

constexpr const char* kQueueFooter = R"(
Of a running send or listen with --control SOCKET, or of a spool that no process has open (--spool DIR). A spool does not know
providers: provider= needs --control, or the DNS. States: queued, claimed, deferred, held, and those of settled recipients;
open, final and any stand for several. Without state=, open ones. fail, hold and release exit 1 when the spool cannot read some of
them now. hold is for those that are there, not for what is on the wire or comes later.
fail, hold, release and move go page by page; one that is cut short has done a part, and said again it does the rest.

Example:
  mailsbuddy queue summary --control /run/mb.sock --by provider
  mailsbuddy queue list --spool /var/spool/mb --filter domain=example.net,state=deferred
  mailsbuddy queue hold --control /run/mb.sock --filter provider=google --reason 'wrong link'     # until they are released
  mailsbuddy queue release --control /run/mb.sock --filter provider=google           # tried as soon as their turn comes
  mailsbuddy queue fail --control /run/mb.sock --filter job=spring,domain=exmaple.net --reason 'a slip of the pen'
  mailsbuddy queue move --control /run/mb.sock --filter job=spring --pool warm
  mailsbuddy queue drain 192.0.2.10 --control /run/mb.sock && mailsbuddy queue egress --control /run/mb.sock
  mailsbuddy queue erase ann@example.net --spool /var/spool/mb                       # personal data; see docs/queue.md)";

constexpr const char* kCampaignFooter = R"(
A pause is kept in the spool and ends with campaign resume; mailsbuddy resume, and send with the same spool and campaign, end it too.

Example:
  mailsbuddy campaign list --control /run/mb.sock
  mailsbuddy campaign pause spring --control /run/mb.sock
  mailsbuddy campaign status spring --spool /var/spool/mb --json
  mailsbuddy campaign erase spring --spool /var/spool/mb      # it, its recipients, and what its events say of them)";

constexpr const char* kSuppressFooter = R"(
A line of import and export is ADDRESS[,REASON[,SINCE[,ACCOUNT]]]. ADDRESS may be hmac-sha256: and 64 digits, a hash under the key
of --suppression-key. ACCOUNT "*" is every one. REASON: manual, unsubscribe, complaint, hard_bounce, soft_bounces.

Example:
  mailsbuddy suppress add ann@example.net --account brand --control /run/mb.sock
  mailsbuddy suppress import list.csv --account '*' --control /run/mb.sock
  mailsbuddy suppress check ann@example.net --account brand --spool /var/spool/mb
  mailsbuddy suppress export --spool /var/spool/mb > suppressed.csv)";

}  // namespace

void add_queue_command(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* queue = app.add_subcommand("queue", "Look into the queue, and command it")->require_subcommand(1);
  queue->footer(kQueueFooter);
  CLI::App* each = add(*queue, run, "list", "Recipients, one a line", arguments, list);
  add_filter(each, arguments, false);
  each->add_option("--max", arguments->max, "So many at most")->capture_default_str()->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}));
  each = add(*queue, run, "summary", "How many there are", arguments, summary);
  add_filter(each, arguments, false);
  each->add_option("--by", arguments->by, "campaign, account, domain, provider or state")->capture_default_str();
  each->add_option("--max", arguments->max, "So many at most, the largest; the others are one line")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000}));
  each = add(*queue, run, "fail", "They are not sent: settled as failed", arguments, [](const Arguments& of, const QueueOffice& office) {
    return change("queue fail", of, office, of.reason.empty() ? ControlJson::object() : ControlJson{{"reason", of.reason}});
  });
  add_filter(each, arguments, true);
  each->add_option("--reason", arguments->reason, "Why: their events say it");
  each = add(*queue, run, "hold", "They wait until they are released", arguments,
             [](const Arguments& of, const QueueOffice& office) {
               return change("queue hold", of, office,
                             of.reason.empty() ? ControlJson::object() : ControlJson{{"reason", of.reason}});
             });
  add_filter(each, arguments, true);
  each->add_option("--reason", arguments->reason, "Why: their events say it");
  each = add(*queue, run, "release", "Deferred and held ones are tried now", arguments, [](const Arguments& of, const QueueOffice& office) {
    return change("queue release", of, office, ControlJson::object());
  });
  add_filter(each, arguments, true);
  each = add(*queue, run, "move", "Campaigns and messages go over another pool's IPs", arguments, [](const Arguments& of, const QueueOffice& office) {
    return change("queue move", of, office, {{"pool", of.pool}});
  });
  add_filter(each, arguments, true);
  each->add_option("--pool", arguments->pool, "To this one")->required();
  add(*queue, run, "egress", "The egress IPs, and whether they are used", arguments, egress);
  each = add(*queue, run, "drain", "Begin nothing more from an egress IP", arguments, [](const Arguments& of, const QueueOffice& office) {
    return ask("queue drain", of, office, {{"ip", of.ip}, {"draining", !of.undo}});
  });
  each->add_option("IP", arguments->ip)->required();
  each->add_flag("--undo", arguments->undo, "Use it again");
  each = add(*queue, run, "erase", "Forget an address: recipients, events, messages, files", arguments, [](const Arguments& of, const QueueOffice& office) {
    return ask("queue erase", of, office, {{"address", of.address}, {"suppressions", of.suppressions}});
  });
  each->add_option("ADDRESS", arguments->address)->required();
  each->add_flag("--suppressions", arguments->suppressions, "Also that it is suppressed: it may be mailed again, then");
}

void add_campaign_command(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* campaign = app.add_subcommand("campaign", "Campaigns: how they stand, pause, resume, cancel, forget, erase")->require_subcommand(1);
  campaign->footer(kCampaignFooter);
  add(*campaign, run, "list", "All of them", arguments, campaigns);
  for (const auto& [name, what] : {std::pair("status", "How one stands"), std::pair("pause", "Nothing more goes on the wire"), std::pair("resume", "It goes on"),
                                   std::pair("cancel", "Its open recipients become cancelled"), std::pair("forget", "Free what a settled one takes"),
                                   std::pair("erase", "End it, and take it from the spool's files")}) {
    const std::string command = std::string("campaign ") + name;
    CLI::App* each = add(*campaign, run, name, what, arguments, [command](const Arguments& of, const QueueOffice& office) {
      return ask(command, of, office, {{"id", of.id}});
    });
    each->add_option("ID", arguments->id)->required();
  }
}

void add_suppress_command(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* suppress = app.add_subcommand("suppress", "Who must not be mailed: add, remove, check, import, export")->require_subcommand(1);
  suppress->footer(kSuppressFooter);
  for (const auto& [name, what] : {std::pair("add", "Never mail an address"), std::pair("remove", "Mail it again"), std::pair("check", "Is it suppressed, and why?")}) {
    const std::string command = std::string("suppress ") + name;
    CLI::App* each = add(*suppress, run, name, what, arguments, [command](const Arguments& of, const QueueOffice& office) {
      ControlJson what_of{{"address", of.address}, {"account", of.account}};
      if (!of.reason.empty()) what_of["reason"] = of.reason;
      return ask(command, of, office, what_of);
    });
    each->add_option("ADDRESS", arguments->address)->required();
    each->add_option("--account", arguments->account, "Whose list; *: everybody's")->capture_default_str();
    if (std::string_view(name) == "add") each->add_option("--reason", arguments->reason, "manual, unsubscribe, complaint, hard_bounce or soft_bounces");
  }
  CLI::App* each = add(*suppress, run, "import", "Take a list", arguments, import_suppressions);
  each->add_option("FILE", arguments->file, "- for standard input")->required();
  each->add_option("--account", arguments->account, "Of lines that name none; *: everybody's")->capture_default_str();
  add(*suppress, run, "export", "Write the whole list", arguments, [](const Arguments&, const QueueOffice& office) { return export_suppressions(office); });
}

}  // namespace mailsbuddy::cli
