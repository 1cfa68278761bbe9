// Settings (RFC 5234). A line that is empty or begins with "#" says nothing.
//   line     = provider 1*WSP subject 1*(1*WSP setting)
//   provider = "*" / name as of provider_of()
//   subject  = kind [":" name]
//   kind     = "ip" / "total" / "site" / "campaign" / "account" / "domain" / "control"
//   setting  = field "=" value
//   value    = decimal ["k" / "M" / "%"] / decimal ("s" / "m" / "h" / "d"), the second for durations
#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <variant>

#include "core/base/ascii.h"
#include "mailsbuddy/warming.h"
#include "warming/providers_data.h"
#include "warming/text.h"

namespace mailsbuddy::warming {
namespace {

constexpr std::size_t kTextMax = 4u << 20;  // Octets of one file; people write these.
constexpr std::size_t kLinesMax = 100'000;  // Settings of one file.
constexpr std::size_t kNameMax = 255;

using LimitMember = std::variant<int Limits::*, double Limits::*, std::uint64_t Limits::*>;
using ThresholdMember = std::variant<double Thresholds::*, std::uint64_t Thresholds::*, Duration Thresholds::*>;

constexpr unsigned of(Subject subject) { return 1U << static_cast<unsigned>(subject); }

constexpr unsigned kAll = (1U << kSubjectCount) - 1;

template <class Member>
struct Field {
  std::string_view name;
  Member member;
  double min = 0;
  double max = 0;
  unsigned subjects = kAll;  // Whose limit it may be, as bits.
};

using L = Limits;
constexpr Field<LimitMember> kLimitFields[] = {
    {"connections", &L::connections, 1, 100'000},
    {"messages_per_connection", &L::messages_per_connection, 1, 1e9},
    {"messages_in_flight", &L::messages_in_flight, 1, 100, of(Subject::kIp)},  // smtp/proto has the same cap.
    {"recipients_per_transaction", &L::recipients_per_transaction, 1, 100'000},
    {"messages_per_second", &L::messages_per_second, 0, 1e6},
    {"burst", &L::burst, 1, 1e6},
    {"messages_per_minute", &L::messages_per_minute, 0, 1e9},
    {"messages_per_hour", &L::messages_per_hour, 0, 1e10},
    {"messages_per_day", &L::messages_per_day, 0, 1e12},
    {"bytes_per_minute", &L::bytes_per_minute, 0, 1e13},
    {"connections_per_minute", &L::connections_per_minute, 0, 1e6},
};

using T = Thresholds;
constexpr double kYear = 365.0 * 86'400;
constexpr Field<ThresholdMember> kThresholdFields[] = {
    {"curve_multiplier", &T::curve_multiplier, 0.001, 1'000},
    {"smoothing", &T::smoothing, 1, 24},
    {"hour_floor", &T::hour_floor, 1, 1e9},
    {"sent_share", &T::sent_share, 0, 1},
    {"delivered_share", &T::delivered_share, 0, 1},
    {"deferral_hold", &T::deferral_hold, 0, 2},
    {"deferral_step_back", &T::deferral_step_back, 0, 2},
    {"deferral_suspend", &T::deferral_suspend, 0, 2},
    {"bounce_hold", &T::bounce_hold, 0, 2},
    {"bounce_step_back", &T::bounce_step_back, 0, 2},
    {"bounce_suspend", &T::bounce_suspend, 0, 2},
    {"complaint_hold", &T::complaint_hold, 0, 2},
    {"complaint_step_back", &T::complaint_step_back, 0, 2},
    {"complaint_suspend", &T::complaint_suspend, 0, 2},
    {"rejection_suspend", &T::rejection_suspend, 0, 2},
    {"samples_min", &T::samples_min, 1, 1e9},
    {"complaint_samples_min", &T::complaint_samples_min, 1, 1e9},
    {"reputation_events", &T::reputation_events, 1, 1e6},
    {"block_events", &T::block_events, 1, 1e6},
    {"latency_hold", &T::latency_hold, 1, kYear},
    {"cut", &T::cut, 0.1, 1},
    {"raise", &T::raise, 0.01, 1},
    {"raise_every", &T::raise_every, 60, kYear},
    {"suspend_first", &T::suspend_first, 60, kYear},
    {"suspend_max", &T::suspend_max, 60, kYear},
    {"restart_pause", &T::restart_pause, 60, kYear},
    {"alert_pause", &T::alert_pause, 60, kYear},
    {"idle_days", &T::idle_days, 0, 10'000},
};

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

template <class Object, class Member>
void set(Object& object, const Member& member, double value) {
  std::visit(
      [&](auto pointer) {
        auto& field = object.*pointer;
        if constexpr (std::is_same_v<std::decay_t<decltype(field)>, Duration>) {
          field = Duration(static_cast<Duration::rep>(value * 1e9));
        } else {
          field = static_cast<std::decay_t<decltype(field)>>(value);
        }
      },
      member);
}

struct Read {
  std::uint8_t field = 0;
  double value = 0;
};

std::string subjects_text(unsigned subjects) {
  std::string text;
  for (std::size_t i = 0; i < kSubjectCount; ++i) {
    if ((subjects & (1U << i)) != 0) text += (text.empty() ? "" : ", ") + std::string(to_string(static_cast<Subject>(i)));
  }
  return text;
}

template <class Member, std::size_t N>
Result<Read> read_setting(const Field<Member> (&fields)[N], unsigned subject, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos) return invalid(fmt::format("\"{}\": NAME=VALUE is expected", setting));
  const std::string_view name = setting.substr(0, equals);
  const std::string_view text = setting.substr(equals + 1);
  const auto found =
      std::find_if(std::begin(fields), std::end(fields), [name](const auto& each) { return each.name == name; });
  if (found == std::end(fields)) return invalid(fmt::format("there is no setting \"{}\" here", name));
  if ((found->subjects & subject) == 0)
    return invalid(fmt::format("{} is a setting of {} alone", name, subjects_text(found->subjects)));
  std::optional<double> value;
  bool whole = false;
  if constexpr (std::is_same_v<Member, ThresholdMember>) {
    whole = std::holds_alternative<std::uint64_t Thresholds::*>(found->member);
    if (std::holds_alternative<Duration Thresholds::*>(found->member)) {
      if (const auto duration = parse_duration(text)) value = std::chrono::duration<double>(*duration).count();
    } else {
      value = parse_number(text);
    }
  } else {
    whole = !std::holds_alternative<double Limits::*>(found->member);
    value = parse_number(text);
  }
  if (!value) return invalid(fmt::format("{}: \"{}\" is not a value of it", name, text));
  if (*value < found->min || *value > found->max) {
    return invalid(fmt::format("{}: {} is not from {:g} to {:g}", name, text, found->min, found->max));
  }
  if (whole && *value != static_cast<double>(static_cast<std::uint64_t>(*value))) {
    return invalid(fmt::format("{}: {} is not a whole number", name, text));
  }
  return Read{static_cast<std::uint8_t>(found - std::begin(fields)), *value};
}

constexpr std::string_view kControlName = "control";

}  // namespace

Result<void> Settings::parse_line(std::string_view text, std::vector<Line>& lines) {
  const auto words = split_words(text);
  if (words.size() < 3) return invalid("PROVIDER SUBJECT NAME=VALUE... is expected");
  if (words[0].size() > kNameMax || words[1].size() > kNameMax) return invalid("a name is too long");
  Line line{.provider = ascii::to_lower(words[0])};
  if (const std::string_view meant = meant_provider(line.provider); !meant.empty())
    return invalid(fmt::format("there is no provider \"{}\", but \"{}\"", words[0], meant));
  const std::size_t colon = words[1].find(':');
  const std::string_view kind = words[1].substr(0, colon);
  if (colon != std::string_view::npos) {
    line.name = std::string(words[1].substr(colon + 1));  // An IPv6 address has colons of its own.
    if (line.name.empty()) return invalid(fmt::format("\"{}\": a name is missing", words[1]));
  }
  line.subject = kSubjectCount + 1;
  for (std::uint8_t i = 0; i < kSubjectCount; ++i) {
    if (to_string(static_cast<Subject>(i)) == kind) line.subject = i;
  }
  if (kind == kControlName) line.subject = kControl;
  if (line.subject > kControl) return invalid(fmt::format("there is no subject \"{}\"", kind));
  if (line.subject == static_cast<std::uint8_t>(Subject::kTotal) && !line.name.empty())
    return invalid("total has no name");
  for (const std::string_view setting : std::span(words).subspan(2)) {
    const auto read = line.subject == kControl ? read_setting(kThresholdFields, kAll, setting)
                                               : read_setting(kLimitFields, 1U << line.subject, setting);
    if (!read) return read.error();
    line.field = read->field;
    line.value = read->value;
    line.written = std::string(setting.substr(setting.find('=') + 1));
    lines.push_back(line);
  }
  return {};
}

Result<void> Settings::add(std::string_view text, std::string_view file) {
  if (text.size() > kTextMax) return invalid(fmt::format("{}: larger than {} octets", file, kTextMax));
  std::vector<Line> lines;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    ++number;
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = ascii::trim(text.substr(at, end - at));
    at = end + 1;
    if (line.empty() || line.front() == '#') continue;
    const std::size_t before = lines.size();
    if (auto read = parse_line(line, lines); !read)
      return invalid(fmt::format("{}:{}: {}", file, number, read.error().detail));
    for (std::size_t i = before; i < lines.size(); ++i) lines[i].where = fmt::format("{}:{}", file, number);
    if (lines.size() > kLinesMax) return invalid(fmt::format("{}: more than {} settings", file, kLinesMax));
  }
  lines_.insert(lines_.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
  return {};
}

// Default, provider, name, both: visited in that order, so that the last one visited stands.
template <class Visit>
void Settings::resolve(std::string_view provider, std::uint8_t subject, std::string_view name, Visit visit) const {
  for (int rank = 0; rank < 4; ++rank) {
    const bool of_provider = (rank & 1) != 0;
    const bool of_name = (rank & 2) != 0;
    if (of_name && name.empty()) break;
    for (const Line& line : lines_) {
      if (line.subject != subject || (line.provider != "*") != of_provider || !line.name.empty() != of_name) continue;
      if (of_provider && line.provider != provider) continue;
      if (of_name && line.name != name) continue;
      visit(line, rank);
    }
  }
}

Limits Limits::unlimited() {
  return {.connections = INT_MAX,
          .messages_per_connection = INT_MAX,
          .recipients_per_transaction = INT_MAX,
          .messages_per_second = 0};
}

Limits Settings::limits(const ProviderId& provider, Subject subject, std::string_view name) const {
  Limits limits = subject == Subject::kIp ? Limits{} : Limits::unlimited();
  resolve(provider.name, static_cast<std::uint8_t>(subject), name,
          [&](const Line& line, int) { set(limits, kLimitFields[line.field].member, line.value); });
  return limits;
}

Thresholds Settings::thresholds(const ProviderId& provider, std::string_view ip) const {
  Thresholds thresholds;
  resolve(provider.name, kControl, ip,
          [&](const Line& line, int) { set(thresholds, kThresholdFields[line.field].member, line.value); });
  return thresholds;
}

bool Settings::any(Subject subject) const noexcept {
  return std::any_of(lines_.begin(), lines_.end(),
                     [subject](const Line& line) { return line.subject == static_cast<std::uint8_t>(subject); });
}

bool Settings::any(Subject subject, std::string_view setting) const noexcept {
  return std::any_of(lines_.begin(), lines_.end(), [&](const Line& line) {
    return line.subject == static_cast<std::uint8_t>(subject) && kLimitFields[line.field].name == setting;
  });
}

std::vector<Settings::Origin> Settings::origins(const ProviderId& provider, Subject subject,
                                                std::string_view name) const {
  std::vector<Origin> origins;
  const auto note = [&](const Line& line, int rank) {
    const std::string_view setting =
        line.subject == kControl ? kThresholdFields[line.field].name : kLimitFields[line.field].name;
    const std::string_view kind =
        line.subject == kControl ? kControlName : to_string(static_cast<Subject>(line.subject));
    const std::string whom = rank == 0   ? std::string("for everybody")
                             : rank == 1 ? fmt::format("for {}", line.provider)
                             : rank == 2 ? fmt::format("for {} {}", kind, line.name)
                                         : fmt::format("for {} {} at {}", kind, line.name, line.provider);
    Origin origin{std::string(setting), line.written, fmt::format("{}, {}", line.where, whom)};
    const auto same =
        std::find_if(origins.begin(), origins.end(), [&](const Origin& each) { return each.setting == setting; });
    if (same == origins.end()) {
      origins.push_back(std::move(origin));
    } else {
      *same = std::move(origin);
    }
  };
  resolve(provider.name, static_cast<std::uint8_t>(subject), name, note);
  if (subject == Subject::kIp) resolve(provider.name, kControl, name, note);
  return origins;
}

const Settings& Settings::shipped() {
  static const Settings settings = [] {
    Settings made;
    static_cast<void>(
        made.add(kProvidersText, "providers.tsv"));  // A test reads it; what it would not take is not shipped.
    return made;
  }();
  return settings;
}

Limits default_limits(const ProviderId& provider) { return Settings::shipped().limits(provider); }

}  // namespace mailsbuddy::warming
