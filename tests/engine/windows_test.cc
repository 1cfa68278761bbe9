// Delivery windows: as text, on clocks of many zones, over changes of the clock.
#include "engine/windows.h"

#include <boost/test/unit_test.hpp>

using namespace mailsbuddy;
using namespace mailsbuddy::engine;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint utc(int year, unsigned month, unsigned day, std::chrono::minutes time) {
  return std::chrono::sys_days(std::chrono::year(year) / month / day) + time;
}

const Zone kBerlin = *Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3");

}  // namespace

BOOST_AUTO_TEST_CASE(windows_are_read) {
  const auto windows = Schedule::parse_windows("mon-fri 09:00-17:30, sat 22:00-02:00,fri-mon 00:00-24:00,10:00-11:00");
  BOOST_REQUIRE(windows.has_value());
  BOOST_REQUIRE(windows->size() == 4U);
  BOOST_TEST((*windows)[0].weekdays == 0b001'1111);
  BOOST_TEST(((*windows)[0].to == 17h + 30min));
  BOOST_TEST((*windows)[2].weekdays == 0b111'0001);
  BOOST_TEST((*windows)[3].weekdays == 0b111'1111);
  for (const std::string_view bad : {"mon", "mon 9:00-17:00", "mon 09:00", "day 09:00-17:00", "mon 09:00-25:00",
                                     "mon 24:00-02:00", "mon 09:60-10:00", "mon-day 09:00-10:00", "-5:00-10:00", ","}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!Schedule::parse_windows(bad).has_value()); }
  }
  BOOST_TEST(Schedule::parse_windows("").value().empty());
}

BOOST_AUTO_TEST_CASE(windows_open) {
  struct Case {
    const char* name;
    const char* windows;
    TimePoint at;
    TimePoint opens;
  };
  // 2027-01-15 is a Friday.
  const Case cases[] = {
      {"inside", "fri 09:00-17:00", utc(2027, 1, 15, 9h), utc(2027, 1, 15, 9h)},
      {"before", "fri 09:00-17:00", utc(2027, 1, 15, 1h), utc(2027, 1, 15, 8h)},
      {"at the end", "fri 09:00-17:00", utc(2027, 1, 15, 16h), utc(2027, 1, 22, 8h)},
      {"yesterday's goes on", "thu 22:00-02:00", utc(2027, 1, 15, 30min), utc(2027, 1, 15, 30min)},
      {"over the weekend", "mon-fri 09:00-17:00", utc(2027, 1, 16, 12h), utc(2027, 1, 18, 8h)},
      {"the whole day", "mon 00:00-24:00", utc(2027, 1, 18, 12h), utc(2027, 1, 18, 12h)},
      {"it ends with the day", "mon 00:00-24:00", utc(2027, 1, 18, 23h), utc(2027, 1, 24, 23h)},
      {"the sooner of two", "sun 09:00-10:00,sat 09:00-10:00", utc(2027, 1, 15, 12h), utc(2027, 1, 16, 8h)},
      // The clock is put forward from 02:00 to 03:00 on 2027-03-28, and back from 03:00 to 02:00 on 2027-10-31.
      {"summer", "10:00-11:00", utc(2027, 3, 27, 12h), utc(2027, 3, 28, 8h)},
      {"it is not there that day", "sun 02:10-02:50", utc(2027, 3, 27, 12h), utc(2027, 4, 4, 10min)},
      {"its beginning is not there", "sun 02:10-04:00", utc(2027, 3, 27, 12h), utc(2027, 3, 28, 1h)},
      {"winter", "10:00-11:00", utc(2027, 10, 30, 12h), utc(2027, 10, 31, 9h)},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto windows = Schedule::parse_windows(c.windows);
      BOOST_REQUIRE(windows.has_value());
      BOOST_TEST((opens(*windows, kBerlin, c.at) == c.opens));
    }
  }
  BOOST_TEST((opens({}, kBerlin, TimePoint(5s)) == TimePoint(5s)));
}

// As many minutes as opens() says: at each of them that is in a window it is open then.
BOOST_AUTO_TEST_CASE(how_long_they_are_open) {
  for (const char* text : {"", "mon-fri 09:00-17:00", "22:00-02:00", "sat 10:00-12:00,sat 11:00-14:00", "01:30-02:30", "00:00-24:00,sun 10:00-11:00"}) {
    BOOST_TEST_CONTEXT(text) {
      const auto windows = *Schedule::parse_windows(text);
      // Weeks in which the clock is put forward and back, and their middles.
      for (const TimePoint from : {utc(2027, 3, 25, 12h), utc(2027, 10, 28, 23h), utc(2027, 10, 31, 30min)}) {
        const TimePoint to = from + 5 * 24h + 90min;
        std::chrono::minutes open{0};
        for (TimePoint at = from; at < to; at += 1min) open += opens(windows, kBerlin, at) == at ? 1min : 0min;
        BOOST_TEST((open_between(windows, kBerlin, from, to) == open));
        BOOST_TEST((open_between(windows, kBerlin, to, from) == 0s));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(zones_are_found_by_name) {
  int asked = 0;
  const ZoneBook book([&asked](std::string_view name) -> Result<Zone> {
    ++asked;
    if (name == "Europe/Berlin") return kBerlin;
    return Error{ErrorCode::kNotFound, "no such zone"};
  });
  BOOST_TEST((book.zone("Europe/Berlin")->offset(utc(2027, 7, 1, 0min)) == 2h));
  BOOST_TEST((book.zone("Europe/Berlin")->offset(utc(2027, 1, 1, 0min)) == 1h));
  BOOST_TEST(asked == 1);
  BOOST_TEST((book.zone("-05:30")->offset(TimePoint{}) == -(5h + 30min)));
  BOOST_TEST((book.zone("UTC+02:00")->offset(TimePoint{}) == 2h));
  BOOST_TEST((book.zone("")->offset(TimePoint{}) == 0h));
  for (const char* bad : {"Europe/Berlinn", "+2", "+99:00", "02:00"}) {
    const auto refused = book.zone(bad);
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST(refused.error().detail.find(bad) != std::string::npos);
  }
  BOOST_TEST(!ZoneBook({}).zone("Europe/Berlin").has_value());
}
