// ruleset.h - rules made ready: which of them decides a reply.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bounce/phrases.h"
#include "bounce/rules.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {

// What is said after so many octets decides nothing.
inline constexpr std::size_t kTextBytesMax = 8 * 1024;
// Phrases of alternatives with "&", of which a reply's own are noted while it is read: a bit each, cleared each time.
inline constexpr std::size_t kPartsMax = 4096;

// Rules in the order they are tried; the first that fits decides, but no rule suppresses whom another, about us,
// excuses: "user unknown" in one breath with a block list is a block.
//
// It never tries them in turn. The text is read once; each phrase found there names the rules that look for it, and the
// enhanced code and the reply code name those that look for no words. Of these the earliest that fits is kept.
// Threads: immutable after make(), find() from any number at once.
class Ruleset {
 public:
  struct Found {
    const Rule* rule = nullptr;  // Null: none fits.
    std::size_t begin = 0;       // The words that decided, in reply.text.
    std::size_t end = 0;
  };

  // Errors: kResourceExhausted: over kPartsMax phrases with "&".
  static Result<Ruleset> make(std::vector<Rule> rules);

  Found find(const Reply& reply, Stage stage, const ProviderId& provider) const noexcept;
  std::span<const Rule> rules() const noexcept { return rules_; }

 private:
  friend class Reading;
  using Place = std::uint32_t;  // Of a rule, in the order.
  static constexpr Place kNone = std::numeric_limits<Place>::max();
  static constexpr std::uint32_t kNoPart = std::numeric_limits<std::uint32_t>::max();

  // A rule's conditions besides words.
  struct Conditions {
    std::uint16_t code_first = 0, code_last = 0;
    Stage from = Stage::kMake, to = Stage::kFinalDot;
    bool codeless = false;
    bool excuses = false;  // It is about us: a block, or the sender's address.
    bool suppresses = false;
    std::int16_t subject = -1, detail_first = 0, detail_last = 0;
    std::uint32_t providers_from = 0, providers = 0;
  };
  struct Span {
    std::uint32_t from = 0, size = 0;
  };
  // Who looks for a phrase.
  struct Use {
    Span alone;   // Rules, in order: it is all they look for.
    Span joined;  // Alternatives of several phrases.
    std::uint32_t part = kNoPart;
    std::uint16_t words = 0;  // 0: it does not begin with a word's beginning.
    std::uint16_t octets = 0;
  };
  struct Joined {
    Place rule = 0;
    Span parts;
  };
  struct Lookup {
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
    using is_transparent = void;
  };
  class Builder;

  std::uint16_t provider_number(std::string_view name) const noexcept;
  template <class Value>
  static std::span<const Value> part_of(const std::vector<Value>& all, Span span) noexcept {
    return std::span(all).subspan(span.from, span.size);
  }
  Place first_by_codes(Place best, std::uint64_t key, const class Reading& reading) const noexcept;

  std::vector<Rule> rules_;
  std::vector<Conditions> conditions_;
  std::vector<std::uint16_t> providers_;  // Numbers; Conditions have spans of it.
  std::unordered_map<std::string, std::uint16_t, Lookup, std::equal_to<>> provider_numbers_;  // From 1.
  Phrases phrases_;
  std::vector<Use> uses_;  // By phrase.
  std::vector<Place> alone_;
  std::vector<std::uint32_t> joined_of_;
  std::vector<Joined> joined_;
  std::vector<std::uint32_t> parts_;
  std::unordered_map<std::uint64_t, std::vector<Place>> by_codes_;  // Rules without words.
  Place first_by_status_ = kNone;  // The first of those that ask for an enhanced code, and no provider;
  Place first_by_code_ = kNone;    // for a reply code alone. What comes before them need not be looked up.
};

}  // namespace mailsbuddy::bounce
