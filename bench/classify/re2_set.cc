// bench_classify_re2 REPLIES SECONDS RULES...: the same rules as one RE2::Set, the first that fits of those that match.
// With --dump RULES... it prints the rules as JSON, for the contender in Python.
#include <re2/set.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "bench/classify/rules.h"
#include "mailsbuddy/bounce.h"

namespace {

using namespace mailsbuddy;

constexpr std::int64_t kMemoryBytes = std::int64_t{1} << 30;  // So that its automaton is never thrown away.

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Contender {
 public:
  explicit Contender(std::vector<bench::RegexRule> rules) : rules_(std::move(rules)), set_(options(), RE2::UNANCHORED) {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (rules_[i].regex.empty()) continue;
      std::string error;
      if (set_.Add(rules_[i].regex, &error) < 0) std::cerr << rules_[i].id << ": " << error << '\n';
      with_regex_.push_back(i);
    }
    good_ = set_.Compile();
  }

  bool good() const { return good_; }

  const bench::RegexRule* decide(const Reply& reply) const {
    std::vector<int> found;
    set_.Match(reply.text, &found);
    std::size_t best = rules_.size();
    for (const int one : found) {
      const std::size_t place = with_regex_[static_cast<std::size_t>(one)];
      if (place < best && bench::fits(rules_[place], reply)) best = place;
    }
    for (std::size_t i = 0; i < best; ++i) {
      if (rules_[i].regex.empty() && bench::fits(rules_[i], reply)) best = i;
    }
    return best < rules_.size() ? &rules_[best] : nullptr;
  }

 private:
  static RE2::Options options() {
    RE2::Options options;
    options.set_case_sensitive(false);
    options.set_encoding(RE2::Options::EncodingLatin1);  // Replies have no charset.
    options.set_max_mem(kMemoryBytes);
    return options;
  }
  std::vector<bench::RegexRule> rules_;
  RE2::Set set_;
  std::vector<std::size_t> with_regex_;
  bool good_ = false;
};

int dump(const std::vector<bench::RegexRule>& rules) {
  const auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (const char c : text) out += c == '\\' ? "\\\\" : std::string(1, c);
    return out + '"';
  };
  std::cout << "[";
  for (const auto& rule : rules) {
    std::cout << (&rule == rules.data() ? "" : ",\n") << "[" << quoted(rule.id) << ", " << quoted(rule.provider) << ", "
              << rule.code_first << ", " << rule.code_last << ", " << (rule.codeless ? "true" : "false") << ", "
              << rule.subject << ", " << rule.detail_first << ", " << rule.detail_last << ", " << quoted(rule.regex)
              << "]";
  }
  std::cout << "]\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) return 2;
  if (arguments[0] == "--dump") return dump(bench::read_rules({arguments.begin() + 1, arguments.end()}));
  const Contender contender(bench::read_rules({arguments.begin() + 2, arguments.end()}));
  std::vector<Reply> replies;
  std::ifstream stream(arguments[0]);
  for (std::string line; std::getline(stream, line);) replies.push_back(bounce::parse_reply_line(line));
  if (!contender.good() || replies.empty()) return 1;

  for (const Reply& reply : replies) contender.decide(reply);  // It builds its automaton as it goes.
  const double begun = cpu_seconds();
  double spent = 0;
  std::size_t judged = 0, letters = 0;
  do {
    for (const Reply& reply : replies) {
      const bench::RegexRule* rule = contender.decide(reply);
      letters += rule == nullptr ? 0 : rule->id.size();
    }
    judged += replies.size();
    spent = cpu_seconds() - begun;
  } while (spent < std::stod(arguments[1]));

  std::cout << "{\"replies\": " << judged << ", \"cpu_seconds\": " << spent << ", \"letters\": " << letters
            << ", \"decided\": [";
  for (const Reply& reply : replies) {
    const bench::RegexRule* rule = contender.decide(reply);
    std::cout << (&reply == replies.data() ? "\"" : ", \"") << (rule == nullptr ? "" : rule->id) << '"';
  }
  std::cout << "]}\n";
}
