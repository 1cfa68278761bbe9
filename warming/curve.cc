#include <fmt/format.h>

#include <array>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

// SendGrid's automated warm-up, messages an hour by the age of the IP in days (docs/warming.md), here as messages a
// day. A daily count cannot hold an hourly cap: a day's 24 hourly shares may all go in its first hour. What keeps every
// hour within what was published, however the day's mail is spread, is one hour's share a day.
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

// iPost's growth rule: from 1,000 a day, each level held for four mailing days (the longer of its "3 to 4"), then at
// most doubled below 50,000, half more below 100,000, a fifth more below 250,000, a tenth more above. The rule names no
// end; ours is a million.
std::vector<std::uint64_t> conservative() {
  constexpr std::uint64_t kFirst = 1'000;
  constexpr std::uint64_t kLast = 1'000'000;
  constexpr int kDaysHeld = 4;
  const auto grown = [](std::uint64_t level) {
    const std::uint64_t percent = level < 50'000 ? 100 : level < 100'000 ? 50 : level < 250'000 ? 20 : 10;
    return level + level * percent / 100;
  };
  std::vector<std::uint64_t> daily;
  for (std::uint64_t level = kFirst; level < kLast; level = grown(level)) daily.insert(daily.end(), kDaysHeld, level);
  daily.push_back(kLast);
  return daily;
}

std::vector<std::uint64_t> sendgrid() { return {std::begin(kSendGrid), std::end(kSendGrid)}; }
std::vector<std::uint64_t> sparkpost() { return {std::begin(kSparkPost), std::end(kSparkPost)}; }

struct Preset {
  std::string_view name;
  std::vector<std::uint64_t> (*daily)();
};
constexpr Preset kPresets[] = {{"sendgrid", sendgrid}, {"sparkpost", sparkpost}, {"conservative", conservative}};

}  // namespace

Result<Curve> Curve::preset(std::string_view name) {
  std::string names;
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return Curve{.name = std::string(name), .daily = preset.daily()};
    names += fmt::format("{}{}", names.empty() ? "" : ", ", preset.name);
  }
  return Error{ErrorCode::kNotFound, fmt::format("no warm-up curve \"{}\": there are {}", name, names)};
}

}  // namespace mailsbuddy::warming
