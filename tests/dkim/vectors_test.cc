// What nine other projects hold to be true of a hundred messages, and the examples of RFC 6376 appendix A and RFC 8463
// appendix A among them: each gets the verdict it has there, but for those that later rules or this table except.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "mailsbuddy/dkim.h"
#include "services/cli/key_records.h"
#include "tests/dkim/known_leak.h"

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'790'000'000)};  // Of those that name no time: later than all of them.

struct Exception {
  std::string_view verdict;
  std::string_view why;
};

constexpr std::string_view kNoVersion =
    "RFC 6376 3.5: v= MUST be included. They are of an older draft, and \"missing a required tag\" is PERMFAIL (6.1.1)";
constexpr std::string_view kNoGranularity =
    "RFC 6376 dropped g= of key records: a tag that 3.6.1 does not know is ignored, and the signature verifies";

// Where even under the rules of RFC 6376, with SHA-1 and short keys allowed, we say something else.
const std::map<std::string_view, Exception> kExceptions = {
    {"maildkim-bad-1", {"permerror", kNoVersion}},
    {"maildkim-bad-ietf01-1", {"permerror", kNoVersion}},
    {"maildkim-bad-ietf01-2", {"permerror", kNoVersion}},
    {"maildkim-bad-ietf01-3", {"permerror", kNoVersion}},
    {"maildkim-multiple-1", {"permerror", kNoVersion}},
    {"maildkim-bad-1878954",
     {"permerror", "RFC 5322 3.6: it has no From field, so that it is no message (RFC 6376 3.8)"}},
    {"maildkim-badkey-9", {"pass", kNoGranularity}},
    {"maildkim-badkey-12", {"pass", kNoGranularity}},
    {"maildkim-badkey-13", {"pass", kNoGranularity}},
};

std::filesystem::path corpus() {
  const char* given = std::getenv("MAILSBUDDY_CORPORA");
  return std::filesystem::path(given != nullptr ? given : MAILSBUDDY_SOURCE_DIR "/../shared/corpora") / "dkim";
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(file, "cannot read " << path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// "broken on purpose and has bare LF", all of them: as a file of Unix is read.
std::string read_message(const std::filesystem::path& path) {
  std::string text = read(path);
  if (text.find('\r') != std::string::npos) return text;
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, 1, '\r');
  return text;
}

std::vector<std::map<std::string, std::string>> read_table(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> columns;
  std::vector<std::map<std::string, std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> cells(1);
    for (const char c : line) c == '\t' ? cells.emplace_back() : cells.back() += c, void();
    if (columns.empty()) {
      columns = cells;
      continue;
    }
    for (std::size_t i = 0; i < columns.size() && i < cells.size(); ++i) {
      if (i == 0) rows.emplace_back();
      rows.back()[columns[i]] = cells[i];
    }
  }
  return rows;
}

bool has(const std::string& flags, std::string_view flag) {
  return ("," + flags + ",").find("," + std::string(flag) + ",") != std::string::npos;
}

struct Vector {
  std::map<std::string, std::string> row;
  std::string message;
  cli::KeyRecords keys;

  Verification verify(VerifyOptions options) const {
    const std::string& at = row.at("verify_at");
    options.now = at.empty() ? kNow : TimePoint(std::chrono::seconds(std::stoll(at)));
    return dkim::verify(
        message, [this](std::string_view name) { return keys.find(name); }, options);
  }
  std::string_view expected() const {
    const auto exception = kExceptions.find(row.at("id"));
    return exception != kExceptions.end() ? exception->second.verdict : std::string_view(row.at("expected"));
  }
};

template <class Check>
void for_each_vector(Check&& check) {
  const auto rows = read_table(corpus() / "vectors.tsv");
  if (rows.empty()) {
    BOOST_TEST_MESSAGE("skipped: no vectors.tsv in " << corpus());
    return;
  }
  BOOST_TEST(rows.size() >= 100U);
  for (const auto& row : rows) {
    BOOST_TEST_CONTEXT(row.at("id") << ": " << row.at("note")) {
      auto keys = cli::KeyRecords::parse(read(corpus() / row.at("dns")));
      BOOST_REQUIRE(keys.has_value());
      check(Vector{row, read_message(corpus() / row.at("message")), *std::move(keys)});
    }
  }
}

std::string results_of(const Verification& verification) {
  std::string text;
  for (const SignatureResult& result : verification.signatures) {
    text += (text.empty() ? "" : ",") + std::string(to_string(result.status));
  }
  return text;
}

std::string reasons_of(const Verification& verification) {
  std::string text;
  for (const SignatureResult& result : verification.signatures) {
    text += std::string(to_string(result.reason)) + " (" + result.detail + ") ";
  }
  return text;
}

BOOST_AUTO_TEST_CASE(verdicts_under_the_rules_of_rfc6376) {
  for_each_vector([](const Vector& vector) {
    VerifyOptions options{.now = kNow};
    options.allow_sha1 = true;
    options.rsa_bits_min = 512;
    const Verification got = vector.verify(options);
    BOOST_TEST_CONTEXT(reasons_of(got)) { BOOST_TEST(to_string(got.status) == vector.expected()); }
    const std::string& each = vector.row.at("per_signature");
    // Theirs looks at the first five only, and says nothing of the others.
    const bool comparable = !each.empty() && !kExceptions.contains(vector.row.at("id"));
    if (comparable) BOOST_TEST(results_of(got).substr(0, each.size()) == each);
  });
}

// RFC 8301: neither SHA-1 nor keys under 1024 bits.
BOOST_AUTO_TEST_CASE(verdicts_as_delivered) {
  for_each_vector([](const Vector& vector) {
    const Verification got = vector.verify({.now = kNow});
    const std::string& flags = vector.row.at("flags");
    const bool forbidden = has(flags, "sha1") || has(flags, "rsa512") || has(flags, "rsa768");
    // Of several signatures a lawful one may be among those with SHA-1.
    const bool lawful_one = got.status == Status::kPass && vector.expected() == "pass" && got.signatures.size() > 1;
    BOOST_TEST_CONTEXT(reasons_of(got)) {
      if (!forbidden || lawful_one) BOOST_TEST(to_string(got.status) == vector.expected());
      if (forbidden && !lawful_one) BOOST_TEST(to_string(got.status) == "permerror");
    }
  });
}

// The second engine says pass where the first does. Its other words are its own.
BOOST_AUTO_TEST_CASE(libopendkim_agrees) {
  if (!available(Backend::kLibopendkim)) {
    BOOST_TEST_MESSAGE("skipped: libopendkim is not in this build");
    return;
  }
  const KnownLeak leak;
  for_each_vector([](const Vector& vector) {
    for (const bool old : {false, true}) {
      VerifyOptions options{.now = kNow};
      options.allow_sha1 = old;
      if (old) options.rsa_bits_min = 512;
      const bool native = vector.verify(options).status == Status::kPass;
      options.backend = Backend::kLibopendkim;
      const Verification got = vector.verify(options);
      BOOST_TEST_CONTEXT(reasons_of(got)) { BOOST_TEST((got.status == Status::kPass) == native); }
    }
  });
}

// Whoever asks keys_needed() first finds all that verify() asks for.
BOOST_AUTO_TEST_CASE(keys_needed_are_those_asked_for) {
  for_each_vector([](const Vector& vector) {
    const auto needed = keys_needed(vector.message);
    VerifyOptions options{.now = kNow};
    options.allow_sha1 = true;
    verify(
        vector.message,
        [&](std::string_view name) {
          BOOST_TEST((std::find(needed.begin(), needed.end(), name) != needed.end()), name);
          return vector.keys.find(name);
        },
        options);
  });
}

}  // namespace
}  // namespace mailsbuddy::dkim
