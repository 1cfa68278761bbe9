// Our reading of reports against the labels that other projects gave to theirs: score_reports CORPUS MAPPING [-v]
// [HALF]. The mapping file says what each label means in our words, and why; the list of disagreements, where a label
// is wrong or says less than the message. Prints how often we agree, by question, corpus and class; ends with 1 below
// the bounds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/ascii.h"
#include "mailsbuddy/bounce.h"

namespace {

using namespace mailsbuddy;
using namespace mailsbuddy::bounce;

constexpr int kSkipped = 77;  // CTest's SKIP_RETURN_CODE.

std::vector<std::string> split(std::string_view line, char by) {
  std::vector<std::string> parts(1);
  for (const char c : line) {
    if (c == by)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::vector<std::vector<std::string>> read_table(const std::filesystem::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty() && line.front() != '#') rows.push_back(split(line, '\t'));
  }
  return rows;
}

struct Meaning {
  std::set<std::string> kinds, permanences, classes;
  bool never_suppressed;
};
bool right(const std::set<std::string>& meant, std::string_view ours) {
  return meant.contains("*") || meant.contains(std::string(ours));
}
std::set<std::string> set_of(const std::string& words) {
  const auto parts = split(words, '|');
  return {parts.begin(), parts.end()};
}

struct Label {
  std::string corpus, taxonomy, klass, recipient;
  std::size_t number;
};

struct Tally {
  int right = 0;
  int all = 0;
  void add(bool agreed) {
    right += agreed;
    ++all;
  }
  double percent() const { return all == 0 ? 100.0 : 100.0 * right / all; }
};

struct Scores {
  std::map<std::string, std::map<std::string, Tally>> questions;  // Question, then corpus; "": all.
  std::map<std::string, Tally> classes;                           // By label.
  std::map<std::string, std::map<std::string, int>> confusion;    // Label, our class.
  int false_suppressions = 0;
  void add(const std::string& question, const std::string& corpus, bool agreed) {
    questions[question][""].add(agreed);
    questions[question][corpus].add(agreed);
  }
};

bool verbose = false;
void tell(const std::string& path, const std::string& what, const std::string& theirs, const std::string& ours,
          const std::string& more = "") {
  if (verbose)
    std::cout << "  " << what << "\t" << path << "\tlabel " << theirs << "\tours " << ours << "\t"
              << more.substr(0, 160) << "\n";
}

const ReportedRecipient* find_recipient(const Report& report, const Label& label) {
  for (const ReportedRecipient& r : report.recipients) {
    if (!label.recipient.empty() &&
        (ascii::iequals(r.address, label.recipient) || ascii::iequals(r.final_recipient, label.recipient)))
      return &r;
  }
  if (report.recipients.empty()) return nullptr;
  return &report.recipients[std::min(label.number, report.recipients.size()) - 1];
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Whatever the label: what only a bounce, a complaint or a wish may do.
bool wrongly_suppressed(const Report& report, const ReportedRecipient& recipient) {
  if (recipient.verdict.reaction != Reaction::kSuppress) return false;
  if (recipient.verdict.permanence == Permanence::kBlock) return true;
  if (report.kind == ReportKind::kArf)
    return report.complaint->feedback_type != "abuse" && report.complaint->feedback_type != "fraud";
  return report.kind != ReportKind::kDsn && report.kind != ReportKind::kUnsubscribe;
}

void score(const std::string& path, const std::vector<Label>& labels, const std::map<std::string, Meaning>& meanings,
           const std::map<std::string, std::string>& disagreements, const Report& report, Scores& scores) {
  const std::string& corpus = labels.front().corpus;
  std::set<std::string> wanted;
  bool kind_right = true;
  std::string kinds;
  const auto agreed = [&](const std::string& what, std::string_view ours) {
    const auto listed = disagreements.find(path + "\t" + what);
    return listed != disagreements.end() && listed->second == ours;
  };
  for (const Label& label : labels) {
    const Meaning& meaning = meanings.at(label.taxonomy + "\t" + label.klass);
    kind_right = kind_right && right(meaning.kinds, to_string(report.kind));
    kinds = label.taxonomy + " " + label.klass;
    if (!label.recipient.empty()) wanted.insert(ascii::to_lower(label.recipient));
    const ReportedRecipient* recipient = find_recipient(report, label);
    const bool suppressed = recipient != nullptr && recipient->verdict.reaction == Reaction::kSuppress;
    const bool listed = suppressed && agreed("suppress", to_string(recipient->verdict.klass));
    if (suppressed && ((meaning.never_suppressed && !listed) || wrongly_suppressed(report, *recipient))) {
      ++scores.false_suppressions;
      std::cout << "  FALSE SUPPRESSION " << path << " by " << recipient->verdict.rule << "\n";
    }
    if (meaning.permanences.contains("*") && meaning.classes.contains("*")) continue;
    const std::string said =
        recipient == nullptr ? "" : std::string(recipient->verdict.rule) + ": " + one_line(recipient->diagnostic.str());
    const std::string klass = recipient == nullptr ? "(nobody)" : std::string(to_string(recipient->verdict.klass));
    const std::string permanence =
        recipient == nullptr ? "(nobody)" : std::string(to_string(recipient->verdict.permanence));
    if (recipient == nullptr && report.kind == ReportKind::kArf) continue;  // Redacted: there is nobody to judge.
    if (!meaning.permanences.contains("*")) {
      const bool ok = right(meaning.permanences, permanence) || agreed("permanence", permanence);
      scores.add("permanence", corpus, ok);
      if (!ok) tell(path, "permanence", label.klass, permanence, said);
    }
    if (!meaning.classes.contains("*")) {
      const bool ok = right(meaning.classes, klass) || agreed("class", klass);
      scores.add("class", corpus, ok);
      scores.classes[label.taxonomy + " " + label.klass].add(ok);
      ++scores.confusion[label.taxonomy + " " + label.klass][klass];
      if (!ok) tell(path, "class", label.klass, klass, said);
    }
  }
  kind_right = kind_right || agreed("kind", to_string(report.kind));
  scores.add("kind", corpus, kind_right);
  if (!kind_right) tell(path, "kind", kinds, std::string(to_string(report.kind)), std::string(report.sign));
  if (wanted.empty()) return;
  std::set<std::string> ours;
  std::string listed;
  for (const ReportedRecipient& r : report.recipients) {
    if (!r.address.empty()) ours.insert(ascii::to_lower(r.address));
  }
  for (const std::string& each : ours) listed += (listed.empty() ? "" : ",") + each;
  std::string theirs;
  for (const std::string& each : wanted) theirs += (theirs.empty() ? "" : ",") + each;
  const bool ok = ours == wanted || agreed("recipients", listed);
  scores.add("recipients", corpus, ok);
  if (!ok) tell(path, "recipients", theirs, listed, std::string(report.sign));
}

void print(const Scores& scores) {
  for (const auto& [question, corpora] : scores.questions) {
    for (const auto& [corpus, tally] : corpora) {
      std::printf("%-11s %-34s %4d of %4d  %5.1f %%\n", question.c_str(), corpus.empty() ? "all" : corpus.c_str(),
                  tally.right, tally.all, tally.percent());
    }
  }
  std::printf("\nclass, by label; what we said\n");
  for (const auto& [label, tally] : scores.classes) {
    std::printf("%-48s %3d of %3d ", label.c_str(), tally.right, tally.all);
    for (const auto& [ours, count] : scores.confusion.at(label)) std::printf(" %s %d", ours.c_str(), count);
    std::printf("\n");
  }
}

int bounds_missed(Scores& scores) {
  struct Bound {
    const char* question;
    const char* corpus;
    double percent;
  };
  constexpr Bound kBounds[] = {{"kind", "", 98},
                               {"permanence", "", 96},
                               {"class", "", 93},
                               {"recipients", "", 96},
                               {"recipients", "flufl.bounce", 85}};
  int missed = 0;
  for (const Bound& bound : kBounds) {
    const double percent = scores.questions[bound.question][bound.corpus].percent();
    if (percent >= bound.percent) continue;
    ++missed;
    std::printf("MISSED: %s %s %.1f %%, %.0f %% wanted\n", bound.question, bound.corpus, percent, bound.percent);
  }
  if (scores.false_suppressions > 0)
    std::printf("MISSED: %d suppressed who are not to blame\n", scores.false_suppressions);
  return missed + scores.false_suppressions;
}

// A half of the files, by their names: to score on files that nobody has looked at.
std::size_t half_of(const std::string& path) {
  std::uint32_t hash = 2166136261u;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash >> 7 & 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() < 3) return std::cerr << "usage: score_reports CORPUS MAPPING DISAGREEMENTS [-v] [0|1]\n", 2;
  const std::filesystem::path corpus = args[0];
  const auto rows = read_table(corpus / "labels.tsv");
  if (rows.empty()) return std::cout << "skipped: no labels.tsv in " << corpus << "\n", kSkipped;
  std::map<std::string, Meaning> meanings;
  for (const auto& row : read_table(args[1])) {
    if (row.size() < 7) return std::cerr << args[1] << ": a row of " << row.size() << " columns: " << row[0] << "\n", 2;
    meanings[row[0] + "\t" + row[1]] = {set_of(row[2]), set_of(row[3]), set_of(row[4]), row[5] == "never"};
  }
  std::map<std::string, std::string> disagreements;
  for (const auto& row : read_table(args[2])) {
    if (row.size() < 4 || row[3].empty())
      return std::cerr << args[2] << ": a row without its reason: " << row[0] << "\n", 2;
    disagreements[row[0] + "\t" + row[1]] = row[2];
  }
  verbose = std::ranges::find(args, "-v") != args.end();
  const bool all = args.back() != "0" && args.back() != "1";
  std::map<std::string, std::vector<Label>> messages;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const auto& row = rows[i];
    messages[row.at(0)].push_back({row.at(1), row.at(2), row.at(4), row.at(8),
                                   std::max<std::size_t>(1, std::strtoul(row.at(3).c_str(), nullptr, 10))});
  }
  Scores scores;
  for (const auto& [path, labels] : messages) {
    if (!all && half_of(path) != static_cast<std::size_t>(args.back()[0] - '0')) continue;
    for (const Label& label : labels) {
      if (!meanings.contains(label.taxonomy + "\t" + label.klass))
        return std::cerr << args[1] << ": no row for " << label.taxonomy << " " << label.klass << "\n", 2;
    }
    std::ifstream file(corpus / path, std::ios::binary);
    const std::string message(std::istreambuf_iterator<char>(file), {});
    score(path, labels, meanings, disagreements, parse(message), scores);
  }
  print(scores);
  return bounds_missed(scores) == 0 ? 0 : 1;
}
