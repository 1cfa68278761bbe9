// Curve texts (RFC 5234):
//   curve   = source *(1*SP option)
//   source  = name / list / formula
//   list    = number *("," number)
//   formula = 1*(key "=" value) in any order, separated by spaces: "start", "growth", "ceiling"; "hold" may be left out
//   option  = "x" decimal / "hour=" decimal
//   number  = decimal ["k" / "M"]
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/ascii.h"
#include "mailsbuddy/warming.h"
#include "warming/text.h"

namespace mailsbuddy::warming {
namespace {

using Daily = std::vector<std::uint64_t>;

// SendGrid's automated warm-up: messages an hour by the age of the IP in days (docs/warming.md).
constexpr std::uint64_t kSendGrid[] = {20,        28,        39,        55,        77,         108,        151,
                                       211,       295,       413,       579,       810,        1'000,      1'587,
                                       2'222,     3'111,     4'356,     6'098,     8'583,      11'953,     16'734,
                                       23'427,    32'798,    45'917,    64'284,    89'998,     125'997,    176'395,
                                       246'953,   345'735,   484'029,   677'640,   948'696,    1'328'175,  1'859'444,
                                       2'603'222, 3'644'511, 5'102'316, 7'143'242, 10'000'539, 14'000'754, 19'601'056};
static_assert(std::size(kSendGrid) == 42);

// SparkPost's stages, messages a day. Its rule for leaving a stage (90 % of it delivered) belongs to who controls the
// curve, not to the curve.
constexpr std::uint64_t kSparkPost[] = {200,       500,       1'000,     2'000,     5'000,     10'000,    20'000,     //
                                        40'000,    50'000,    75'000,    100'000,   150'000,   200'000,   250'000,    //
                                        325'000,   400'000,   500'000,   600'000,   750'000,   1'000'000, 1'250'000,  //
                                        1'750'000, 2'000'000, 3'000'000, 4'250'000, 5'000'000, 6'000'000, 7'500'000,  //
                                        10'000'000};
static_assert(std::size(kSparkPost) == 29);

Daily sendgrid() {
  Daily daily;
  for (const std::uint64_t hourly : kSendGrid) daily.push_back(hourly * 24);
  return daily;
}

Daily sparkpost() { return {std::begin(kSparkPost), std::end(kSparkPost)}; }

// `days` values from first to last, each the same factor above the one before.
Daily geometric(double first, double last, int days) {
  Daily daily;
  for (int day = 0; day < days; ++day) {
    daily.push_back(static_cast<std::uint64_t>(std::llround(first * std::pow(last / first, day / (days - 1.0)))));
  }
  return daily;
}

Daily formula_days(double start, double growth, double ceiling) {
  Daily daily;
  for (double level = start; level < ceiling; level *= growth)
    daily.push_back(static_cast<std::uint64_t>(std::llround(level)));
  daily.push_back(static_cast<std::uint64_t>(ceiling));
  return daily;
}

// iPost's growth rule: from 1,000 a day, each level held for three or four mailing days, then at most doubled below
// 50,000, half more below 100,000, a fifth more below 250,000, a tenth more above. The rule names no end; ours is a
// million.
Daily growth_rule(std::size_t days_held) {
  constexpr std::uint64_t kFirst = 1'000;
  constexpr std::uint64_t kLast = 1'000'000;
  const auto grown = [](std::uint64_t level) {
    const std::uint64_t percent = level < 50'000 ? 100 : level < 100'000 ? 50 : level < 250'000 ? 20 : 10;
    return level + level * percent / 100;
  };
  Daily daily;
  for (std::uint64_t level = kFirst; level < kLast; level = grown(level)) daily.insert(daily.end(), days_held, level);
  daily.push_back(kLast);
  return daily;
}

struct Preset {
  CurvePreset about;
  Daily (*daily)();
  double hour_share = 0;
};
const Preset kPresets[] = {
    {{"sendgrid", "from 20 an hour, about 1.4 times more each day, 42 days", "SendGrid, automated IP warm-up"},
     sendgrid,
     1.0 / 24},
    {{"sparkpost", "29 stages from 200 to 10,000,000 a day", "SparkPost, IP warm-up overview"}, sparkpost},
    {{"ses", "from 50 to 50,000 a day in 45 days",
      "Amazon SES, at most 50,000 a day within 45 days; the steps are ours"},
     [] { return geometric(50, 50'000, 45); }},
    {{"growth", "1,000 a day, each level for 3 days, then x2, later x1.5, x1.2, x1.1", "iPost, growth rule"},
     [] { return growth_rule(3); }},
    {{"conservative", "the same with 4 days a level", "iPost, growth rule"}, [] { return growth_rule(4); }},
    {{"adaptive", "from 500 a day, x1.6 each day, to 10,000,000: for the controller, which goes by the replies",
      "ours; below the doubling that Google warns of"},
     [] { return formula_days(500, 1.6, 10'000'000); }},
    {{"aggressive", "from 1,000 to 1,000,000 a day in 4 weeks", "ours; 4 weeks as Salesforce's least"},
     [] { return geometric(1'000, 1'000'000, 28); }},
};

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

Result<std::uint64_t> messages(std::string_view text) {
  const auto value = parse_number(text);
  if (!value || *value < 0 || *value > static_cast<double>(kCurveMessagesMax)) {
    return invalid(fmt::format("curve: \"{}\" is no number of messages", text));
  }
  return static_cast<std::uint64_t>(std::llround(*value));
}

Result<Daily> parse_list(std::string_view text) {
  Daily daily;
  while (true) {
    const std::size_t comma = text.find(',');
    auto value = messages(ascii::trim(text.substr(0, comma)));
    if (!value) return std::move(value).error();
    if (daily.size() == kCurveDaysMax) return invalid(fmt::format("curve: more than {} days", kCurveDaysMax));
    daily.push_back(*value);
    if (comma == std::string_view::npos) return daily;
    text.remove_prefix(comma + 1);
  }
}

struct Formula {
  double start = 0;
  double growth = 0;
  double ceiling = 0;
  double hold = 1;
  bool given = false;
};

Result<Daily> run(const Formula& formula) {
  if (!(formula.start >= 1)) return invalid("curve: a formula needs start=MESSAGES, at least 1");
  if (!(formula.growth > 1 && formula.growth <= 10))
    return invalid("curve: a formula needs growth= above 1, at most 10");
  if (!(formula.ceiling >= formula.start)) return invalid("curve: a formula needs ceiling= at or above its start");
  if (!(formula.hold >= 1 && formula.hold <= 100)) return invalid("curve: hold= is 1 to 100 days");
  Daily daily;
  const auto hold = static_cast<std::size_t>(formula.hold);
  for (double level = formula.start; level < formula.ceiling; level *= formula.growth) {
    daily.insert(daily.end(), hold, static_cast<std::uint64_t>(std::llround(level)));
    if (daily.size() >= kCurveDaysMax)
      return invalid(fmt::format("curve: more than {} days to the ceiling", kCurveDaysMax));
  }
  daily.push_back(static_cast<std::uint64_t>(std::llround(formula.ceiling)));
  return daily;
}

struct Parsed {
  Formula formula;
  double factor = 1;
  double hour_share = 0;
};

// One word after the source, or of a formula.
Result<void> parse_word(std::string_view word, Parsed& parsed) {
  const std::size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const bool multiplies = equals == std::string_view::npos && word.starts_with('x');
  const auto value = parse_number(multiplies                         ? word.substr(1)
                                  : equals == std::string_view::npos ? ""
                                                                     : word.substr(equals + 1));
  if (!value) return invalid(fmt::format("curve: \"{}\" is not understood", word));
  if (multiplies) {
    if (!(*value > 0 && *value <= 1'000))
      return invalid(fmt::format("curve: \"{}\": x is above 0, at most 1000", word));
    parsed.factor = *value;
    return {};
  }
  if (key == "hour") {
    if (!(*value > 0 && *value <= 1)) return invalid("curve: hour= is a share of the day, above 0 and at most 1");
    parsed.hour_share = *value;
    return {};
  }
  double* const field = key == "start"     ? &parsed.formula.start
                        : key == "growth"  ? &parsed.formula.growth
                        : key == "ceiling" ? &parsed.formula.ceiling
                        : key == "hold"    ? &parsed.formula.hold
                                           : nullptr;
  if (field == nullptr || *value > static_cast<double>(kCurveMessagesMax)) {
    return invalid(fmt::format("curve: \"{}\" is not understood", word));
  }
  *field = *value;
  parsed.formula.given = true;
  return {};
}

}  // namespace

std::span<const CurvePreset> curve_presets() noexcept {
  static const auto table = [] {
    std::array<CurvePreset, std::size(kPresets)> all;
    std::transform(std::begin(kPresets), std::end(kPresets), all.begin(),
                   [](const Preset& each) { return each.about; });
    return all;
  }();
  return table;
}

Result<Curve> Curve::preset(std::string_view name) {
  std::string names;
  for (const Preset& preset : kPresets) {
    if (preset.about.name == name) {
      return Curve{.name = std::string(name), .daily = preset.daily(), .hour_share = preset.hour_share};
    }
    names += fmt::format("{}{}", names.empty() ? "" : ", ", preset.about.name);
  }
  return Error{ErrorCode::kNotFound, fmt::format("no warm-up curve \"{}\": there are {}", name, names)};
}

Result<Curve> Curve::parse(std::string_view text) {
  std::vector<std::string_view> words = split_words(text);
  if (words.empty()) return invalid("curve: empty");
  Curve curve;
  Parsed parsed;
  const bool listed = ascii::is_digit(words[0].front());
  const bool named = !listed && words[0].find('=') == std::string_view::npos;
  for (const std::string_view word : std::span(words).subspan(listed || named ? 1 : 0)) {
    if (auto read = parse_word(word, parsed); !read) return std::move(read).error();
  }
  if ((listed || named) && parsed.formula.given) return invalid("curve: a formula and something else");
  if (named) {
    auto found = preset(words[0]);
    if (!found) return found;
    curve = *std::move(found);
  } else {
    auto daily = listed ? parse_list(words[0]) : run(parsed.formula);
    if (!daily) return std::move(daily).error();
    curve.daily = *std::move(daily);
  }
  if (parsed.factor != 1) curve = curve.times(parsed.factor);
  if (parsed.hour_share > 0) curve.hour_share = parsed.hour_share;
  curve.name = std::string(ascii::trim(text));
  return curve;
}

std::uint64_t Curve::at(std::uint64_t day) const noexcept {
  return daily.empty() ? kNoCap : daily[std::min<std::uint64_t>(day, daily.size() - 1)];
}

Curve Curve::times(double factor) const {
  Curve scaled = *this;
  for (std::uint64_t& day : scaled.daily) {
    const double value = std::min(static_cast<double>(day) * factor, static_cast<double>(kCurveMessagesMax));
    day = std::max<std::uint64_t>(day > 0 ? 1 : 0, static_cast<std::uint64_t>(std::llround(value)));
  }
  return scaled;
}

}  // namespace mailsbuddy::warming
