#include "bench/classify/rules.h"

#include <algorithm>
#include <cctype>
#include <fstream>

namespace mailsbuddy::bench {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string regex_of_phrase(std::string phrase) {
  while (!phrase.empty() && (phrase.front() == ' ' || phrase.front() == '?')) phrase.erase(0, 1);
  while (!phrase.empty() && phrase.back() == ' ') phrase.pop_back();
  const bool name = !phrase.empty() && phrase.front() == '@';
  const bool goes_on = !phrase.empty() && phrase.back() == '*';
  if (name) phrase.erase(0, 1);
  if (goes_on) phrase.pop_back();
  const bool ascii = !phrase.empty() && static_cast<unsigned char>(phrase.front()) < 128;
  std::string regex = name || !ascii ? "" : "\\b";
  for (const char c : phrase) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) > 127) {
      regex += c;
    } else if (name) {
      regex += std::string("\\") + c;
    } else if (c != '\'' && !regex.ends_with("+")) {
      regex += "[^a-z0-9]+";
    } else if (c == '\'') {
      regex += "'?";
    }
  }
  return regex + (name || goes_on || !ascii ? "" : "\\b");
}

// "a&b" in any order.
std::string regex_of_alternative(const std::string& alternative) {
  std::vector<std::string> parts;
  for (const std::string& phrase : split(alternative, '&')) parts.push_back(regex_of_phrase(phrase));
  std::sort(parts.begin(), parts.end());
  std::string regex;
  do {
    if (!regex.empty()) regex += '|';
    for (std::size_t i = 0; i < parts.size(); ++i) regex += (i == 0 ? "" : ".*") + parts[i];
  } while (std::next_permutation(parts.begin(), parts.end()));
  return regex;
}

RegexRule rule_of(const std::vector<std::string>& columns) {
  RegexRule rule{.id = columns[0], .provider = columns[1], .regex = {}};
  const std::string& code = columns[3];
  rule.codeless = code == "none";
  if (code.ends_with("yz")) {
    rule.code_first = (code[0] - '0') * 100;
    rule.code_last = rule.code_first + 99;
  } else if (code != "-" && !rule.codeless) {
    rule.code_first = std::stoi(code);
    rule.code_last = std::stoi(code.substr(code.find('-') + 1));
  }
  if (columns[4] != "-") {
    const auto numbers = split(columns[4], '.');
    rule.subject = std::stoi(numbers[1]);
    rule.detail_first = std::stoi(numbers[2]);
    rule.detail_last = std::stoi(numbers[2].substr(numbers[2].find('-') + 1));
  }
  if (columns[5] == "-") return rule;
  for (const std::string& alternative : split(columns[5], '|')) {
    rule.regex += (rule.regex.empty() ? "" : "|") + regex_of_alternative(alternative);
  }
  return rule;
}

}  // namespace

std::vector<RegexRule> read_rules(const std::vector<std::string>& files) {
  std::vector<RegexRule> rules;
  for (const std::string& file : files) {
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
      if (!line.empty() && line.front() != '#') rules.push_back(rule_of(split(line, '\t')));
    }
  }
  return rules;
}

bool fits(const RegexRule& rule, const Reply& reply) {
  const int code = reply.code != 0 ? reply.code : 599;
  if (rule.provider != "-" || (rule.codeless && reply.code != 0)) return false;  // The replies are of no provider.
  if (rule.code_first != 0 && (code < rule.code_first || code > rule.code_last)) return false;
  return rule.subject < 0 ||
         (reply.enhanced && reply.enhanced->subject == rule.subject && reply.enhanced->detail >= rule.detail_first &&
          reply.enhanced->detail <= rule.detail_last);
}

}  // namespace mailsbuddy::bench
