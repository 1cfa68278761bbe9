#include "core/base/log.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace mailsbuddy {
namespace {

class Lines final : public LogSink {
 public:
  explicit Lines(LogLevel level) : level_(level) {}
  LogLevel level() const noexcept override { return level_; }
  void write(LogLevel, std::string_view room, std::string_view line) noexcept override {
    lines.push_back(std::string(room) + ": " + std::string(line));
  }
  std::vector<std::string> lines;

 private:
  LogLevel level_;
};

// Counts how often it is made into text.
struct Counted {
  int* formatted;
};

}  // namespace
}  // namespace mailsbuddy

template <>
struct fmt::formatter<mailsbuddy::Counted> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const mailsbuddy::Counted& counted, Context& context) const {
    ++*counted.formatted;
    return context.out();
  }
};

namespace mailsbuddy {
namespace {

BOOST_AUTO_TEST_CASE(a_line_is_built_only_for_a_sink_that_wants_it) {
  int formatted = 0;
  const Counted counted{&formatted};
  log(nullptr, LogLevel::kError, "base", "{}", counted);
  BOOST_TEST(formatted == 0);

  constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError};
  for (const LogLevel wanted : kLevels) {
    Lines sink(wanted);
    formatted = 0;
    for (const LogLevel level : kLevels) log(&sink, level, "base", "{}", counted);
    const int admitted = 4 - static_cast<int>(wanted);
    BOOST_TEST(formatted == admitted);
    BOOST_TEST(sink.lines.size() == static_cast<std::size_t>(admitted));
  }
}

BOOST_AUTO_TEST_CASE(lines_are_formatted_and_stay_single) {
  struct Case {
    const char* name;
    std::string given;
    std::string_view line;
  };
  const Case kCases[] = {
      {.name = "plain", .given = "mx1.example", .line = "smtp: peer mx1.example, try 2"},
      {.name = "a forged second line",
       .given = "a\r\nsmtp: all is well",
       .line = "smtp: peer a\\x0d\\x0asmtp: all is well, try 2"},
      {.name = "terminal escapes", .given = "\x1b[2J", .line = "smtp: peer \\x1b[2J, try 2"},
      {.name = "DEL and a zero byte", .given = std::string("\x7f\0", 2), .line = "smtp: peer \\x7f\\x00, try 2"},
      {.name = "UTF-8", .given = "gr\xc3\xbc\xc3\x9f", .line = "smtp: peer gr\xc3\xbc\xc3\x9f, try 2"},
      {.name = "longer than the inline buffer", .given = std::string(2000, 'x'), .line = {}},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Lines sink(LogLevel::kInfo);
      log(&sink, LogLevel::kInfo, "smtp", "peer {}, try {}", c.given, 2);
      BOOST_REQUIRE(sink.lines.size() == 1U);
      BOOST_TEST(sink.lines[0] == (c.line.empty() ? "smtp: peer " + c.given + ", try 2" : std::string(c.line)));
    }
  }
}

}  // namespace
}  // namespace mailsbuddy
