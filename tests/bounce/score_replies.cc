// Our verdicts against the labels that other projects gave to replies: accuracy for each label, the table of
// confusions, and the rows that differ. labels.tsv says what their labels mean in our words, and why.
//   score_replies REPLIES.tsv LABELS.tsv
// Exit status 1: below the bounds, or a recipient would be suppressed for what is our fault. 77: there is no such file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

constexpr int kSkipped = 77;
constexpr double kPermanenceMin = 0.97;
constexpr double kClassMin = 0.95;

struct Meaning {
  std::set<std::string, std::less<>> classes;
  std::set<std::string, std::less<>> permanences;
};
using Labels = std::map<std::string, Meaning, std::less<>>;  // By "taxonomy class".

std::vector<std::string> split(std::string_view line, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : line) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Labels read_labels(std::ifstream& file) {
  Labels labels;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const auto columns = split(line, '\t');
    Meaning& meaning = labels[columns.at(0) + ' ' + columns.at(1)];
    for (auto& one : split(columns.at(2), ',')) meaning.classes.insert(std::move(one));
    for (auto& one : split(columns.at(3), ',')) meaning.permanences.insert(std::move(one));
  }
  return labels;
}

// Any of "a|b". Empty: not one of them has a row.
Meaning meaning_of(const Labels& labels, const std::string& taxonomy, std::string_view label) {
  Meaning all;
  for (const std::string& one : split(label, '|')) {
    const auto found = labels.find(taxonomy + ' ' + one);
    if (found == labels.end()) continue;
    all.classes.insert(found->second.classes.begin(), found->second.classes.end());
    all.permanences.insert(found->second.permanences.begin(), found->second.permanences.end());
  }
  return all;
}

// Labels about us or the message only: none may end in a suppressed recipient.
bool about_us(const Meaning& meaning) {
  static const std::set<std::string_view> kRecipient{
      "user_unknown", "mailbox_disabled", "mailbox_moved", "mailbox_full", "domain_unknown", "null_mx", "suppressed"};
  return std::ranges::none_of(meaning.classes, [](const std::string& one) { return kRecipient.contains(one); });
}

struct Row {
  std::string reply, taxonomy, label;
};

class Score {
 public:
  void add(const Row& row, const Meaning& meaning) {
    const Reply reply = parse_reply_line(row.reply);
    const Verdict verdict =
        classify({.stage = likely_stage(reply), .cause = Cause::kReply, .reply = reply, .detail = {}}, {});
    const std::string klass(to_string(verdict.klass));
    const std::string permanence(to_string(verdict.permanence));
    const bool class_right = meaning.classes.contains(klass);
    const bool permanence_right = meaning.permanences.contains(permanence) ||
                                  (reply.transient() && permanence == "soft" && meaning.permanences.contains("hard"));
    count(row, klass, class_right, permanence_right);
    if (!class_right || !permanence_right) {
      fmt::print("differs  {} {}: {} {} by {}: {:.110}\n", row.taxonomy, row.label, klass, permanence, verdict.rule,
                 row.reply);
    }
    if (verdict.reaction == Reaction::kSuppress && about_us(meaning)) {
      ++falsely_suppressed_;
      fmt::print("FALSELY SUPPRESSED  {} {} by {}: {}\n", row.taxonomy, row.label, verdict.rule, row.reply);
    }
  }

  // Whether it is above the bounds.
  bool report() const {
    fmt::print("\n{:55} {:>5} {:>6} {:>11}\n", "label", "rows", "class", "permanence");
    for (const auto& [label, tally] : by_label_) print(label, tally);
    print("all", all_);
    fmt::print("\nlabel -> our classes, rows of each\n");
    for (const auto& [label, classes] : confusion_) {
      std::vector<std::string> cells;
      for (const auto& [klass, rows] : classes) cells.push_back(fmt::format("{} {}", klass, rows));
      fmt::print("{:55} {}\n", label, fmt::join(cells, ", "));
    }
    fmt::print("\nfalsely suppressed: {}\n", falsely_suppressed_);
    return falsely_suppressed_ == 0 && all_.rows > 0 && share(all_.classes, all_) >= kClassMin &&
           share(all_.permanences, all_) >= kPermanenceMin;
  }

 private:
  struct Tally {
    int rows = 0, classes = 0, permanences = 0;
  };
  static double share(int right, const Tally& tally) { return static_cast<double>(right) / tally.rows; }
  static void print(std::string_view label, const Tally& tally) {
    fmt::print("{:55} {:5} {:5.1f}% {:10.1f}%\n", label, tally.rows, 100 * share(tally.classes, tally),
               100 * share(tally.permanences, tally));
  }

  void count(const Row& row, const std::string& klass, bool class_right, bool permanence_right) {
    const std::string label = row.taxonomy + ' ' + row.label;
    for (Tally* tally : {&all_, &by_label_[label]}) {
      ++tally->rows;
      tally->classes += class_right ? 1 : 0;
      tally->permanences += permanence_right ? 1 : 0;
    }
    ++confusion_[label][klass];
  }

  Tally all_;
  std::map<std::string, Tally> by_label_;
  std::map<std::string, std::map<std::string, int>> confusion_;
  int falsely_suppressed_ = 0;
};

int score(std::ifstream& replies, const Labels& labels) {
  Score score;
  int unmapped = 0;
  std::string line;
  std::getline(replies, line);  // Column names.
  while (std::getline(replies, line)) {
    const auto columns = split(line, '\t');
    const Row row{columns.at(0), columns.at(1), columns.at(2)};
    const Meaning meaning = meaning_of(labels, row.taxonomy, row.label);
    if (meaning.classes.empty()) {
      ++unmapped;
      fmt::print("no such label in the mapping: {} {}\n", row.taxonomy, row.label);
      continue;
    }
    score.add(row, meaning);
  }
  return score.report() && unmapped == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mailsbuddy::bounce

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: score_replies REPLIES.tsv LABELS.tsv\n");
    return 2;
  }
  std::ifstream replies(argv[1]), mapping(argv[2]);
  if (!replies || !mapping) {
    fmt::print("skipped: no {}\n", argv[replies ? 2 : 1]);
    return mailsbuddy::bounce::kSkipped;
  }
  return mailsbuddy::bounce::score(replies, mailsbuddy::bounce::read_labels(mapping));
}
