// RFC 5234, of a line that is neither empty nor begins with "#":
//   rule     = id TAB provider TAB stage TAB code TAB enhanced TAB pattern TAB class TAB scope TAB reaction TAB sample
//   id       = 1*( ALPHA / DIGIT / "." / "_" / "-" )
//   provider = "-" / name *( "," name )
//   stage    = "-" / stage-name / [ stage-name ] ".." [ stage-name ]     ; from the one to the other
//   code     = "-" / "none" / 3DIGIT [ "-" 3DIGIT ] / ( "4" / "5" ) "yz"
//   enhanced = "-" / "x." subject "." detail [ "-" detail ]              ; the class is the reply code's
//   pattern  = "-" / [ "?" ] and as in pattern.h; "?": weak
//   class, scope, reaction: by name; "-" for the class's own
#include "bounce/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "bounce/classes.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

constexpr std::size_t kColumns = 10;
constexpr std::size_t kRulesMax = 100'000;  // Places in the order are small numbers; a file of more is no rule file.
constexpr std::size_t kProvidersMax = 8;    // Of one rule: each is tried.
constexpr std::size_t kIdBytesMax = 64;     // It is in every event.
constexpr int kSubjectMax = 9;              // RFC 3463 3: 0 to 7.
constexpr int kDetailMax = 999;             // RFC 3463 2.

using Columns = std::array<std::string_view, kColumns>;

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }
bool given(std::string_view column) { return column != "-"; }

std::optional<int> number(std::string_view text, int max) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0 || value > max) return {};
  return value;
}

std::optional<Stage> stage_of(std::string_view name) {
  for (auto i = static_cast<int>(Stage::kMake); i <= static_cast<int>(Stage::kFinalDot); ++i) {
    if (to_string(static_cast<Stage>(i)) == name) return static_cast<Stage>(i);
  }
  return std::nullopt;
}

Result<void> parse_id(std::string_view text, Rule& rule) {
  const auto good = [](char c) { return ascii::is_alnum(c) || c == '.' || c == '_' || c == '-'; };
  if (text.empty() || text.size() > kIdBytesMax || !std::ranges::all_of(text, good)) {
    return invalid(fmt::format("id \"{}\": 1 to {} letters, digits and . _ -", text, kIdBytesMax));
  }
  rule.id = text;
  return {};
}

Result<void> parse_providers(std::string_view text, Fit& fit) {
  while (given(text) && !text.empty()) fit.providers.emplace_back(ascii::trim(take_until(text, ',')));
  if (std::ranges::count(fit.providers, "") > 0) return invalid("provider: a name is empty");
  if (fit.providers.size() > kProvidersMax) return invalid(fmt::format("provider: over {} names", kProvidersMax));
  return {};
}

Result<void> parse_stages(std::string_view text, Fit& fit) {
  if (!given(text)) return {};
  const std::size_t dots = text.find("..");
  const std::string_view from = text.substr(0, dots);
  const std::string_view to = dots == std::string_view::npos ? from : text.substr(dots + 2);
  const auto first = from.empty() ? Stage::kMake : stage_of(from);
  const auto last = to.empty() ? Stage::kFinalDot : stage_of(to);
  if (text.empty() || !first || !last || *last < *first) {
    return invalid(fmt::format("stage \"{}\": a stage's name, or FROM..TO", text));
  }
  fit.from = *first;
  fit.to = *last;
  return {};
}

Result<void> parse_code(std::string_view text, Fit& fit) {
  if (!given(text)) return {};
  fit.codeless = text == "none";
  if (fit.codeless) return {};
  if (text == "4yz" || text == "5yz") {
    fit.code_first = (text[0] - '0') * 100;
    fit.code_last = fit.code_first + 99;
    return {};
  }
  const auto first = number(text.substr(0, text.find('-')), 599);
  const auto last = number(text.substr(text.find('-') + 1), 599);
  if (!first || !last || *first < 400 || *last < *first) {
    return invalid(fmt::format("code \"{}\": 400 to 599, FIRST-LAST, 4yz, 5yz or none", text));
  }
  fit.code_first = *first;
  fit.code_last = *last;
  return {};
}

Result<void> parse_enhanced(std::string_view text, Fit& fit) {
  if (!given(text)) return {};
  const Error bad = invalid(fmt::format("enhanced \"{}\": x.SUBJECT.DETAIL or x.SUBJECT.FIRST-LAST", text));
  if (take_until(text, '.') != "x") return bad;
  const auto subject = number(take_until(text, '.'), kSubjectMax);
  const auto first = number(text.substr(0, text.find('-')), kDetailMax);
  const auto last = number(text.substr(text.find('-') + 1), kDetailMax);
  if (!subject || !first || !last || *last < *first) return bad;
  fit.subject = *subject;
  fit.detail_first = *first;
  fit.detail_last = *last;
  return {};
}

Result<void> parse_words(std::string_view text, Rule& rule) {
  if (!given(text)) return {};
  if (text.empty()) return invalid("pattern: empty; \"-\" is any text");
  rule.weak = text.starts_with('?');
  if (rule.weak) text = ascii::trim(text.substr(1));
  auto alternatives = parse_pattern(text);
  if (!alternatives) return invalid("pattern: " + alternatives.error().detail);
  rule.pattern = text;
  rule.alternatives = std::move(*alternatives);
  return {};
}

Result<void> parse_meaning(std::string_view klass, std::string_view scope, std::string_view reaction, Rule& rule) {
  const auto named = class_named(klass);
  if (!named) return invalid(fmt::format("class \"{}\": there is none", klass));
  rule.klass = *named;
  rule.scope = scope_named(scope);
  if (given(scope) && !rule.scope) return invalid(fmt::format("scope \"{}\": there is none", scope));
  rule.reaction = reaction_named(reaction);
  if (given(reaction) && !rule.reaction) return invalid(fmt::format("reaction \"{}\": there is none", reaction));
  const ClassRow& row = row_of(*named);
  const Scope own_scope = rule.scope.value_or(row.scope);
  if (rule.reaction == Reaction::kSuppress &&
      (row.permanence == Permanence::kBlock || own_scope != Scope::kRecipient)) {
    return invalid(fmt::format("reaction \"suppress\": {} is not the recipient's fault", klass));
  }
  return {};
}

Result<Rule> parse_columns(const Columns& columns) {
  const auto& [id, provider, stage, code, enhanced, pattern, klass, scope, reaction, sample] = columns;
  Rule rule;
  if (auto ok = parse_id(id, rule); !ok) return ok.error();
  if (auto ok = parse_providers(provider, rule.fit); !ok) return ok.error();
  if (auto ok = parse_stages(stage, rule.fit); !ok) return ok.error();
  if (auto ok = parse_code(code, rule.fit); !ok) return ok.error();
  if (auto ok = parse_enhanced(enhanced, rule.fit); !ok) return ok.error();
  if (auto ok = parse_words(pattern, rule); !ok) return ok.error();
  if (auto ok = parse_meaning(klass, scope, reaction, rule); !ok) return ok.error();
  if (sample.empty() || !given(sample)) return invalid("sample: none; a reply that the rule decides");
  rule.sample = sample;
  const bool any = rule.fit.code_first == 0 && !rule.fit.codeless && rule.fit.subject < 0 && rule.pattern.empty();
  if (any) return invalid("neither code nor enhanced code nor pattern: it would decide everything");
  return rule;
}

Result<Rule> parse_line(std::string_view line) {
  Columns columns;
  const auto tabs = static_cast<std::size_t>(std::ranges::count(line, '\t'));
  if (tabs != kColumns - 1) return invalid(fmt::format("{} columns, {} needed", tabs + 1, kColumns));
  for (std::string_view& column : columns) column = ascii::trim(take_until(line, '\t'));
  return parse_columns(columns);
}

}  // namespace

Result<std::vector<Rule>> parse_rules(std::string_view tsv, std::string_view name) {
  std::vector<Rule> rules;
  std::set<std::string, std::less<>> ids;
  for (std::size_t number = 1; !tsv.empty(); ++number) {
    std::string_view line = take_until(tsv, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (ascii::trim(line).empty() || line.starts_with('#')) continue;
    const std::string place = fmt::format("{}:{}", name, number);
    auto rule = parse_line(line);
    if (!rule) return invalid(fmt::format("{}: {}", place, rule.error().detail));
    if (!ids.insert(rule->id).second) return invalid(fmt::format("{}: id \"{}\" stands twice", place, rule->id));
    if (rules.size() == kRulesMax) return invalid(fmt::format("{}: over {} rules", place, kRulesMax));
    rule->place = place;
    rules.push_back(std::move(*rule));
  }
  return rules;
}

}  // namespace mailsbuddy::bounce
