#include <chrono>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

void put_two(char* to, unsigned value) noexcept {
  to[0] = static_cast<char>('0' + value / 10);
  to[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

// date-time = day-of-week "," date time; written into place, for it runs once per message. TimePoint reaches the years
// 1677 to 2262, so that a year has four digits.
std::string format_date(TimePoint time) {
  using namespace std::chrono;
  const auto midnight = floor<days>(time);
  const year_month_day date(midnight);
  const hh_mm_ss clock(floor<seconds>(time - midnight));
  std::string text = "Mon, 00 Jan 0000 00:00:00 +0000";
  char* at = text.data();
  kDays.copy(at, 3, weekday(midnight).c_encoding() * 3);
  put_two(at + 5, static_cast<unsigned>(date.day()));
  kMonths.copy(at + 8, 3, (static_cast<unsigned>(date.month()) - 1) * 3);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  put_two(at + 12, year / 100);
  put_two(at + 14, year % 100);
  put_two(at + 17, static_cast<unsigned>(clock.hours().count()));
  put_two(at + 20, static_cast<unsigned>(clock.minutes().count()));
  put_two(at + 23, static_cast<unsigned>(clock.seconds().count()));
  return text;
}

}  // namespace mailsbuddy
