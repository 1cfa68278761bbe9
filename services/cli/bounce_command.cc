#include "services/cli/bounce_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "mailsbuddy/bounce.h"
#include "services/cli/bounce_parse_command.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string rules_file;  // Empty: the shipped rules alone.
  bool explain = false;
};

Result<bounce::Classifier> load(const std::string& file) {
  if (file.empty()) return bounce::Classifier::shipped();
  std::ifstream stream(file, std::ios::binary);
  std::string tsv;
  // read() and not an iterator over the buffer: of a directory that one throws.
  for (char some[16 * 1024]; stream.read(some, sizeof some), stream.gcount() > 0;) {
    tsv.append(some, static_cast<std::size_t>(stream.gcount()));
  }
  if (!stream.is_open() || stream.bad()) return Error{ErrorCode::kIo, file + ": cannot be read"};
  return bounce::Classifier::make(tsv, file);
}

// A stage by its name here, or as SMTP has it: "rcpt_to", "RCPT TO", "rcpt".
std::optional<Stage> stage_named(std::string_view written) {
  std::string name;
  for (const char c : written) {
    if (c != ' ' && c != '_' && c != '-') name += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 0x20 : c);
  }
  struct Row {
    std::string_view name;
    Stage stage;
  };
  static constexpr Row kRows[] = {
      {"make", Stage::kMake},         {"route", Stage::kRoute},        {"connect", Stage::kConnect},
      {"greeting", Stage::kGreeting}, {"banner", Stage::kGreeting},    {"ehlo", Stage::kEhlo},
      {"helo", Stage::kEhlo},         {"starttls", Stage::kStartTls},  {"auth", Stage::kAuth},
      {"mailfrom", Stage::kMailFrom}, {"mail", Stage::kMailFrom},      {"rcptto", Stage::kRcptTo},
      {"rcpt", Stage::kRcptTo},       {"data", Stage::kData},          {"finaldot", Stage::kFinalDot},
      {"dot", Stage::kFinalDot},      {"endofdata", Stage::kFinalDot},
  };
  for (const Row& row : kRows) {
    if (row.name == name) return row.stage;
  }
  return std::nullopt;
}

struct Line {
  Outcome outcome;
  ProviderId provider;
  bool unknown_stage = false;
};

std::string_view take_column(std::string_view& line) {
  const std::string_view column = line.substr(0, line.find('\t'));
  line.remove_prefix(std::min(line.size(), column.size() + 1));
  return column;
}

Line parse_line(std::string_view text) {
  Line line;
  line.outcome.cause = Cause::kReply;
  line.outcome.reply = bounce::parse_reply_line(take_column(text));
  const std::string_view stage = take_column(text);
  const auto named = stage_named(stage);
  line.unknown_stage = !stage.empty() && !named;
  line.outcome.stage = named.value_or(bounce::likely_stage(line.outcome.reply));
  const std::string_view host = take_column(text);
  // A provider's name has no dot.
  if (!host.empty()) line.provider = host.find('.') == host.npos ? ProviderId{std::string(host)} : provider_of(host);
  return line;
}

Json judged(const Line& line, const bounce::Verdict& verdict, bool explain) {
  const Reply& reply = line.outcome.reply;
  Json json{{"class", bounce::to_string(verdict.klass)},
            {"permanence", bounce::to_string(verdict.permanence)},
            {"scope", bounce::to_string(verdict.scope)},
            {"reaction", bounce::to_string(verdict.reaction)},
            {"rule", verdict.rule},
            {"code", nullptr},
            {"enhanced", nullptr}};
  if (reply.code != 0) json["code"] = reply.code;
  if (reply.enhanced) json["enhanced"] = reply.enhanced->str();
  if (!explain) return json;
  json["matched"] = verdict.matched;
  json["stage"] = to_string(line.outcome.stage);
  json["provider"] = line.provider.name;
  json["powermta"] = bounce::powermta_category(verdict.klass);
  json["sparkpost"] = bounce::sparkpost_class(verdict.klass);
  json["ses"] = {bounce::ses_type(verdict.klass).type, bounce::ses_type(verdict.klass).subtype};
  return json;
}

int classify(const Arguments& arguments) {
  const auto classifier = load(arguments.rules_file);
  if (!classifier) {
    say("mailsbuddy bounce classify: {}\n", classifier.error().detail);
    return kBadUsage;
  }
  std::ios::sync_with_stdio(false);
  bool good = true;
  std::size_t number = 0;
  for (std::string text; std::getline(std::cin, text);) {
    ++number;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    const Line line = parse_line(text);
    if (line.unknown_stage) {
      say("mailsbuddy bounce classify: line {}: no such stage; judged without it\n", number);
      good = false;
    }
    const Json json = judged(line, classifier->classify(line.outcome, line.provider), arguments.explain);
    std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }
  if (!std::cout.flush()) return kUnsettled;
  return good ? kDone : kBadUsage;
}

int test_rules(const std::string& file) {
  const auto classifier = load(file);
  if (!classifier) {
    say("mailsbuddy bounce rules test: {}\n", classifier.error().detail);
    return kBadUsage;
  }
  const auto faults = classifier->faults();
  for (const std::string& fault : faults) fmt::print("{}\n", fault);
  if (!faults.empty()) return kUnsettled;
  fmt::print("good: {} rules in all\n", classifier->rule_count());
  return kDone;
}

void add_classify(CLI::App& bounce, std::function<int()>& run) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = bounce.add_subcommand("classify", "Say what replies on standard input mean; JSON lines come out");
  command->add_option("--rules", arguments->rules_file, "Rules of your own, which go before ours")->type_name("FILE");
  command->add_flag(
      "--explain", arguments->explain,
      "Also the words that decided, stage, provider, and what PowerMTA, SparkPost and SES call the class");
  command->footer(
      "Each line in: a reply as the server sent it, then, if known, a tab and the stage (connect, greeting, ehlo,\n"
      "starttls, auth, mail_from, rcpt_to, data, final_dot), a tab and the MX host. The lines of a reply of several\n"
      "stand side by side with their codes. Without a stage, it is the one that the words name (\"in reply to end of\n"
      "DATA command\"), mail_from for x.1.7 and x.1.8, else rcpt_to. Words without a code are judged as a report's.\n\n"
      "Each line out: {\"class\", \"permanence\", \"scope\", \"reaction\", \"rule\", \"code\", \"enhanced\"}; "
      "docs/bounces.md\n"
      "has their values. `enhanced` is found wherever it stands in the text; it and `code` are null where there is "
      "none.\n\n"
      "Exit status: 0; 1: output failed; 2: a bad rule file, or a line with a stage that does not exist.\n\n"
      "Example:\n  printf '550 5.1.1 User unknown\\trcpt_to\\tmx.example.net\\n' | mailsbuddy bounce classify");
  command->callback([arguments, &run] { run = [arguments] { return classify(*arguments); }; });
}

void add_rules(CLI::App& bounce, std::function<int()>& run) {
  CLI::App* rules = bounce.add_subcommand("rules", "Rule files")->require_subcommand(1);
  rules->footer("Example:\n  mailsbuddy bounce rules test my_rules.tsv");
  auto file = std::make_shared<std::string>();
  CLI::App* test = rules->add_subcommand("test", "Check a rule file: does each rule decide what it is for?");
  test->add_option("FILE", *file, "Rules of your own; none: the shipped ones");
  test->footer(
      "Ten columns, parted by tabs; \"-\" for what does not matter; lines that begin with # are notes:\n"
      "  id        letters, digits and . _ - ; the id of a shipped rule replaces that rule\n"
      "  provider  google, yahoo, microsoft, ... or the registrable domain of the MX host; several: a,b\n"
      "  stage     rcpt_to, or FROM..TO\n"
      "  code      550, 550-559, 4yz, 5yz; none: words without a code\n"
      "  enhanced  x.7.28, or a range of details: x.7.600-649\n"
      "  pattern   phrases: a|b any of them, a&b both, word* a beginning, @example.org a host name or part of a URL\n"
      "  class     user_unknown, ...: docs/bounces.md\n"
      "  scope, reaction   where they differ from the class's own\n"
      "  sample    a reply that this rule decides\n\n"
      "A rule that cannot be read is named with its line and what is wrong: exit status 2. A rule whose sample, or "
      "one\n"
      "of whose phrases alone, another rule decides is named with that rule: exit status 1.\n\n"
      "Example:\n  mailsbuddy bounce rules test my.tsv");
  test->callback([file, &run] { run = [file] { return test_rules(*file); }; });
}

}  // namespace

void add_bounce_command(CLI::App& app, std::function<int()>& run) {
  CLI::App* bounce =
      app.add_subcommand("bounce", "What refusals and reports mean, and what to do about them")->require_subcommand(1);
  bounce->footer("Examples:\n  mailsbuddy bounce classify < replies.txt\n  mailsbuddy bounce parse returned.eml");
  add_classify(*bounce, run);
  add_bounce_parse_command(*bounce, run);
  add_rules(*bounce, run);
}

}  // namespace mailsbuddy::cli
