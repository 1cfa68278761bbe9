#include "mailsbuddy/zone.h"

#include <time.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace mailsbuddy {
namespace {

using namespace std::chrono;
using namespace std::chrono_literals;

constexpr std::string_view kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

TimePoint utc(int year_number, unsigned month_number, unsigned day_number, Duration time = 0h) {
  return TimePoint(sys_days(year(year_number) / month(month_number) / day(day_number))) + time;
}
Zone::Local wall(int year_number, unsigned month_number, unsigned day_number, Duration time = 0h) {
  return Zone::Local(utc(year_number, month_number, day_number, time).time_since_epoch());
}
Zone zone(std::string_view rule) {
  auto parsed = Zone::parse(rule);
  BOOST_REQUIRE_MESSAGE(parsed, rule);
  return *parsed;
}
Duration length_of(const Zone& zone, std::int64_t day) { return zone.day_start(day + 1) - zone.day_start(day); }
std::int64_t day_number(TimePoint at) { return floor<days>(at.time_since_epoch()).count(); }

BOOST_AUTO_TEST_CASE(utc_and_fixed_offsets) {
  const Zone none;
  BOOST_TEST(none.name() == "UTC");
  BOOST_TEST((none.day_start(20'000) == TimePoint(days(20'000))));
  const Zone india(5h + 30min);
  BOOST_TEST(india.name() == "UTC+05:30");
  BOOST_TEST((india.day_start(20'000) == TimePoint(days(20'000)) - 5h - 30min));
  BOOST_TEST(india.day(TimePoint(days(20'000)) - 5h - 30min) == 20'000);
  BOOST_TEST(india.day(TimePoint(days(20'000)) - 5h - 31min) == 19'999);
  BOOST_TEST(Zone(-3h - 30min).name() == "UTC-03:30");
  BOOST_TEST((Zone(1'000h).offset({}) == Zone::kOffsetMax));
}

BOOST_AUTO_TEST_CASE(daylight_saving_days_have_23_and_25_hours) {
  const Zone berlin = zone(kBerlin);
  BOOST_TEST((berlin.offset(utc(2026, 3, 29, 1h) - 1ns) == 1h));
  BOOST_TEST((berlin.offset(utc(2026, 3, 29, 1h)) == 2h));
  BOOST_TEST((berlin.offset(utc(2026, 10, 25, 1h) - 1ns) == 2h));
  BOOST_TEST((berlin.offset(utc(2026, 10, 25, 1h)) == 1h));
  BOOST_TEST((length_of(berlin, day_number(utc(2026, 3, 28))) == 24h));
  BOOST_TEST((length_of(berlin, day_number(utc(2026, 3, 29))) == 23h));
  BOOST_TEST((length_of(berlin, day_number(utc(2026, 10, 25))) == 25h));
  BOOST_TEST((berlin.day_start(day_number(utc(2026, 10, 25))) == utc(2026, 10, 24, 22h)));
}

BOOST_AUTO_TEST_CASE(days_that_have_no_beginning) {
  const TimePoint last = TimePoint(days(100'000));
  for (const Zone& each : {Zone(5h + 30min), Zone(-5h), zone(kBerlin)}) {
    BOOST_TEST(each.day(last - days(1) + 12h) == 99'999);
    BOOST_TEST(each.day(last + 12h) == 100'000);
    BOOST_TEST(each.day(last + days(2'000) + 12h) == 102'000);
  }
}

BOOST_AUTO_TEST_CASE(a_time_that_never_is_and_one_that_is_twice) {
  const Zone berlin = zone(kBerlin);
  BOOST_TEST((berlin.at(wall(2026, 3, 29, 2h + 30min)) == utc(2026, 3, 29, 1h)));  // 02:30 is not: 03:00.
  BOOST_TEST((berlin.at(wall(2026, 3, 29, 3h)) == utc(2026, 3, 29, 1h)));
  BOOST_TEST((berlin.at(wall(2026, 10, 25, 2h + 30min)) == utc(2026, 10, 25, 0h + 30min)));  // The first of two.
  BOOST_TEST((berlin.at(wall(2026, 10, 25, 3h)) == utc(2026, 10, 25, 2h)));
}

BOOST_AUTO_TEST_CASE(the_south_and_all_year_summer_and_other_forms) {
  const Zone sydney = zone("AEST-10AEDT,M10.1.0,M4.1.0/3");
  BOOST_TEST((sydney.offset(utc(2027, 1, 1)) == 11h));
  BOOST_TEST((sydney.offset(utc(2027, 7, 1)) == 10h));
  const Zone summer = zone("EST5EDT,0/0,J365/25");  // RFC 8536 3.3.1
  for (int hour = 0; hour < 366 * 24; ++hour) BOOST_TEST((summer.offset(utc(2028, 1, 1, hours(hour))) == -4h));
  BOOST_TEST((zone("<+0330>-3:30").offset({}) == 3h + 30min));
  BOOST_TEST((zone("EST5").offset({}) == -5h));
  BOOST_TEST((zone("IST-1GMT0,M10.5.0,M3.5.0/1").offset(utc(2026, 12, 1)) == 0h));  // Ireland's winter is the other.
  // 60 counts 29 February where there is one, J60 never: 1 March.
  BOOST_TEST((zone("AAA0BBB,60/0,300/0").offset(utc(2028, 2, 29, 12h)) == 0h));
  BOOST_TEST((zone("AAA0BBB,59/0,300/0").offset(utc(2028, 2, 29, 12h)) == 1h));
  BOOST_TEST((zone("AAA0BBB,J60/0,J300/0").offset(utc(2028, 2, 29, 12h)) == 0h));
  BOOST_TEST((zone("AAA0BBB,J60/0,J300/0").offset(utc(2028, 3, 1, 12h)) == 1h));
}

// Clocks that are put back over midnight show yesterday again; the day goes on all the same.
BOOST_AUTO_TEST_CASE(a_day_never_comes_again) {
  const Zone newfoundland = zone("NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01");
  const std::int64_t sunday = day_number(utc(2026, 11, 1));
  const TimePoint begins = newfoundland.day_start(sunday);
  BOOST_TEST((begins == utc(2026, 11, 1, 2h + 30min)));
  BOOST_TEST((floor<days>(newfoundland.local(begins + 2min).time_since_epoch()).count() == sunday - 1));
  for (int minute = 0; minute < 25 * 60; ++minute)
    BOOST_TEST(newfoundland.day(begins + minutes(minute)) == sunday, "minute " << minute);
  BOOST_TEST(newfoundland.day(begins + 25h) == sunday + 1);
}

// All by itself: days in order, none empty but those that a zone leaves out, and day() and day_start() of one mind.
BOOST_AUTO_TEST_CASE(days_and_their_starts_agree) {
  for (const std::string_view rule : {kBerlin, std::string_view("NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01"),
                                      std::string_view("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"),
                                      std::string_view("<-02>2<-01>,M3.5.0/-1,M10.5.0/0")}) {
    const Zone of = zone(rule);
    for (std::int64_t day = 19'000; day < 22'000; ++day) {
      const TimePoint start = of.day_start(day);
      if (of.day(start) != day || of.day(start - 1ns) != day - 1) BOOST_ERROR(rule << " day " << day);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_rule) {
  for (const std::string_view bad :
       {"", "A", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-25", "CET-1:60", "CET-1CEST,J0,J365", "CET-1CEST,366,1",
        "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3x", "<CET-1", "<A>-1", "Europe/Berlin", "CET-1 "}) {
    const auto parsed = Zone::parse(bad);
    BOOST_REQUIRE_MESSAGE(!parsed, bad);
    BOOST_TEST((parsed.error().code == ErrorCode::kInvalidArgument));
    BOOST_TEST(parsed.error().detail.find("zone \"" + std::string(bad)) == 0U, parsed.error().detail);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Files

struct Tzif {
  char version = '2';
  std::vector<std::pair<std::int64_t, int>> transitions{{0, 1}, {1'000, 0}};
  std::vector<int> types{0, 3'600};
  std::uint32_t leaps = 0;
  std::string footer = "\nUTC0\n";

  static void number(std::string& out, std::uint64_t value, int octets) {
    for (int i = octets - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  }
  void half(std::string& out, int octets) const {
    out += "TZif";
    out += version;
    out.append(15, '\0');
    for (const std::size_t count : {std::size_t{0}, std::size_t{0}, std::size_t{leaps}, transitions.size(), types.size(),
                                    std::size_t{4}})
      number(out, count, 4);
    for (const auto& each : transitions) number(out, static_cast<std::uint64_t>(each.first), octets);
    for (const auto& each : transitions) out += static_cast<char>(each.second);
    for (const int each : types) {
      number(out, static_cast<std::uint32_t>(each), 4);
      out.append(2, '\0');
    }
    out.append("ABC\0", 4);
    out.append(leaps * static_cast<std::size_t>(octets + 4), '\0');
  }
  std::string str() const {
    std::string out;
    half(out, 4);
    if (version >= '2') {
      half(out, 8);
      out += footer;
    }
    return out;
  }
};

BOOST_AUTO_TEST_CASE(a_file_made_here) {
  for (const char version : {'\0', '2', '3'}) {
    const auto read = Zone::read(Tzif{.version = version}.str(), "here");
    BOOST_REQUIRE(read);
    BOOST_TEST(read->name() == "here");
    BOOST_TEST((read->offset(TimePoint(-1s)) == 0s));
    BOOST_TEST((read->offset(TimePoint(0s)) == 1h));
    BOOST_TEST((read->offset(TimePoint(999s)) == 1h));
    BOOST_TEST((read->offset(TimePoint(1'000s)) == 0s));
  }
}

BOOST_AUTO_TEST_CASE(files_that_are_not_taken) {
  const struct {
    std::string_view name;
    std::string bytes;
    std::string_view says;
  } cases[] = {
      {"empty", "", "no time zone file"},
      {"another file", std::string(100, 'x'), "no time zone file"},
      {"no types", Tzif{.transitions = {}, .types = {}}.str(), "no time zone file"},
      {"leap seconds", Tzif{.leaps = 27}.str(), "leap seconds"},
      {"far offset", Tzif{.types = {0, 100'000}}.str(), "26 hours"},
      {"no such type", Tzif{.transitions = {{0, 2}}}.str(), "a type that there is not"},
      {"not in order", Tzif{.transitions = {{5, 0}, {5, 1}}}.str(), "not in order"},
      {"no rule", Tzif{.footer = ""}.str(), "rule at its end is missing"},
      {"bad rule", Tzif{.footer = "\nnonsense\n"}.str(), "not understood"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto read = Zone::read(c.bytes, "bad");
      BOOST_REQUIRE(!read);
      BOOST_TEST(read.error().detail.find("zone bad: ") == 0U);
      BOOST_TEST(read.error().detail.find(c.says) != std::string::npos, read.error().detail);
    }
  }
  const std::string whole = Tzif{}.str();
  for (std::size_t size = 0; size < whole.size(); ++size) BOOST_TEST(!Zone::read(whole.substr(0, size), "part"));
}

// The C library's idea of every zone of this host, at random moments and around every half hour's beginning.
BOOST_AUTO_TEST_CASE(agrees_with_the_c_library_about_every_zone) {
  const std::filesystem::path root = "/usr/share/zoneinfo";
  if (!std::filesystem::exists(root / "Europe/Berlin")) {
    BOOST_TEST_MESSAGE("skipped: no " << root << " on this host");
    return;
  }
  Random random(1);
  int zones = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string name = entry.path().lexically_relative(root).string();
    if (!entry.is_regular_file() || name.starts_with("right/")) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (!bytes.starts_with("TZif")) continue;
    const auto read = Zone::read(bytes, name);
    BOOST_REQUIRE_MESSAGE(read, name << ": " << (read ? "" : read.error().detail));
    ::setenv("TZ", (":" + entry.path().string()).c_str(), 1);
    ::tzset();
    ++zones;
    for (int i = 0; i < 400; ++i) {
      // 1905 to 2195; half of them at full half hours, where changes are.
      time_t seconds = static_cast<time_t>(random.below(9'150'000'000)) - 2'050'000'000;
      if (i % 2 == 0) seconds = seconds / 1'800 * 1'800;
      tm local{};
      ::localtime_r(&seconds, &local);
      const auto offset = read->offset(TimePoint(std::chrono::seconds(seconds)));
      if (offset.count() != local.tm_gmtoff)
        BOOST_ERROR(name << " at " << seconds << ": " << offset.count() << " and " << local.tm_gmtoff);
    }
  }
  ::unsetenv("TZ");
  ::tzset();
  BOOST_TEST(zones > 300);
}

}  // namespace
}  // namespace mailsbuddy
