// bench_classify_mailsbuddy REPLIES SECONDS [RULES]: judges the replies of a file, one a line, again and again on one
// thread, with the shipped rules, and with those of a user's file if given. Prints JSON: CPU time a reply, and the rule
// of each for comparison.
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "mailsbuddy/bounce.h"

namespace {

using namespace mailsbuddy;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::vector<Outcome> read_replies(const char* file) {
  std::ifstream stream(file);
  std::vector<Outcome> outcomes;
  for (std::string line; std::getline(stream, line);) {
    const Reply reply = bounce::parse_reply_line(line);
    outcomes.push_back({.stage = bounce::likely_stage(reply), .cause = Cause::kReply, .reply = reply, .detail = {}});
  }
  return outcomes;
}

Result<bounce::Classifier> load(const char* file) {
  if (file == nullptr) return bounce::Classifier::shipped();
  std::ifstream stream(file);
  const std::string tsv{std::istreambuf_iterator<char>(stream), {}};
  return bounce::Classifier::make(tsv, file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto outcomes = read_replies(argv[1]);
  const auto classifier = load(argc > 3 ? argv[3] : nullptr);
  if (outcomes.empty() || !classifier) {
    std::cerr << (classifier ? "no replies" : classifier.error().detail) << '\n';
    return 1;
  }
  const ProviderId provider{"example.net"};
  const double seconds = std::stod(argv[2]);
  const double begun = cpu_seconds();
  double spent = 0;
  std::size_t judged = 0, letters = 0;
  do {
    for (const Outcome& outcome : outcomes) letters += classifier->classify(outcome, provider).rule.size();
    judged += outcomes.size();
    spent = cpu_seconds() - begun;
  } while (spent < seconds);

  std::size_t bytes = 0;
  for (const Outcome& outcome : outcomes) bytes += outcome.reply.text.size();
  std::cout << "{\"replies\": " << judged << ", \"cpu_seconds\": " << spent << ", \"letters\": " << letters
            << ", \"mean_bytes\": " << bytes / outcomes.size() << ", \"rules\": " << classifier->rule_count()
            << ", \"decided\": [";
  for (const Outcome& outcome : outcomes) {
    std::cout << (&outcome == &outcomes[0] ? "\"" : ", \"") << classifier->classify(outcome, provider).rule << '"';
  }
  std::cout << "]}\n";
}
