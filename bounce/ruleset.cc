#include "bounce/ruleset.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <map>
#include <set>

#include "bounce/classes.h"
#include "bounce/fold.h"

namespace mailsbuddy::bounce {
namespace {

// Keys of rules without words: a provider's number, or 0, with an enhanced code or a reply code.
std::uint64_t status_key(std::uint64_t provider, int subject, int detail) {
  return provider << 32U | 1ULL << 31U | static_cast<std::uint64_t>(subject) << 16U |
         static_cast<std::uint64_t>(detail);
}
std::uint64_t code_key(std::uint64_t provider, int code) { return provider << 32U | static_cast<std::uint64_t>(code); }

// What a reply without a code counts as: any of its enhanced code's class; a report's words are about a failure.
constexpr int kCodelessDetail = 99;
int code_of(const Reply& reply) noexcept {
  if (reply.code != 0) return reply.code;
  return (reply.enhanced && reply.enhanced->klass == 4 ? 400 : 500) + kCodelessDetail;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Making ready

class Ruleset::Builder {
 public:
  explicit Builder(Ruleset& set) : set_(set) {}

  void run() {
    for (Place place = 0; place < set_.rules_.size(); ++place) add(place);
    set_.phrases_ = Phrases(texts_);
    for (std::size_t i = 0; i < texts_.size(); ++i) use(i);
  }

 private:
  void add(Place place) {
    const Rule& rule = set_.rules_[place];
    add_conditions(rule);
    if (rule.alternatives.empty()) add_codes(place);
    for (const Alternative& alternative : rule.alternatives) {
      if (alternative.size() == 1) {
        auto& alone = alone_[phrase(alternative[0])];
        if (alone.empty() || alone.back() != place) alone.push_back(place);
      } else {
        add_joined(place, alternative);
      }
    }
  }

  void add_conditions(const Rule& rule) {
    const Fit& fit = rule.fit;
    const ClassRow& row = row_of(rule.klass);
    Conditions made{
        .code_first = static_cast<std::uint16_t>(fit.code_first),
        .code_last = static_cast<std::uint16_t>(fit.code_last),
        .from = fit.from,
        .to = fit.to,
        .codeless = fit.codeless,
        .excuses = !rule.weak && (row.permanence == Permanence::kBlock || rule.klass == Class::kSenderInvalid),
        .suppresses = rule.reaction.value_or(row.reaction) == Reaction::kSuppress,
        .subject = static_cast<std::int16_t>(fit.subject),
        .detail_first = static_cast<std::int16_t>(fit.detail_first),
        .detail_last = static_cast<std::int16_t>(fit.detail_last),
        .providers_from = static_cast<std::uint32_t>(set_.providers_.size()),
        .providers = static_cast<std::uint32_t>(fit.providers.size())};
    // Before RCPT TO there is no recipient to suppress: "no such user" is about the sender there.
    if (made.suppresses) made.from = std::max(made.from, Stage::kRcptTo);
    for (const std::string& name : fit.providers) set_.providers_.push_back(provider(name));
    set_.conditions_.push_back(made);
  }

  std::uint16_t provider(const std::string& name) {
    const auto next = static_cast<std::uint16_t>(set_.provider_numbers_.size() + 1);
    return set_.provider_numbers_.try_emplace(name, next).first->second;
  }

  void add_codes(Place place) {
    const Fit& fit = set_.rules_[place].fit;
    const auto add_keys = [&](std::uint64_t number) {
      if (fit.subject >= 0) {
        for (int i = fit.detail_first; i <= fit.detail_last; ++i) {
          set_.by_codes_[status_key(number, fit.subject, i)].push_back(place);
        }
      } else {
        for (int i = fit.code_first; i <= fit.code_last; ++i) set_.by_codes_[code_key(number, i)].push_back(place);
      }
    };
    for (const std::string& name : fit.providers) add_keys(provider(name));
    if (!fit.providers.empty()) return;
    add_keys(0);
    Place& first = fit.subject >= 0 ? set_.first_by_status_ : set_.first_by_code_;
    first = std::min(first, place);
  }

  std::size_t phrase(const std::string& text) {
    const auto [found, made] = numbers_.try_emplace(text, texts_.size());
    if (made) {
      texts_.push_back(text);
      alone_.emplace_back();
      joined_.emplace_back();
      set_.uses_.emplace_back();
    }
    return found->second;
  }

  void add_joined(Place place, const Alternative& alternative) {
    const auto number = static_cast<std::uint32_t>(set_.joined_.size());
    set_.joined_.push_back(
        {place, {static_cast<std::uint32_t>(set_.parts_.size()), static_cast<std::uint32_t>(alternative.size())}});
    for (const std::string& text : alternative) {
      const std::size_t which = phrase(text);
      if (set_.uses_[which].part == kNoPart) set_.uses_[which].part = parts_++;
      set_.parts_.push_back(set_.uses_[which].part);
      joined_[which].push_back(number);
    }
  }

  void use(std::size_t which) {
    const std::string& text = texts_[which];
    Use& use = set_.uses_[which];
    use.octets = static_cast<std::uint16_t>(text.size());
    if (text.front() == ' ') {
      use.words = static_cast<std::uint16_t>(std::ranges::count(text, ' ') - (text.back() == ' ' ? 1 : 0));
    }
    use.alone = append(set_.alone_, alone_[which]);
    use.joined = append(set_.joined_of_, joined_[which]);
  }

  static Span append(std::vector<std::uint32_t>& all, const std::vector<std::uint32_t>& more) {
    const Span span{static_cast<std::uint32_t>(all.size()), static_cast<std::uint32_t>(more.size())};
    all.insert(all.end(), more.begin(), more.end());
    return span;
  }

  Ruleset& set_;
  std::vector<std::string> texts_;
  std::map<std::string, std::size_t> numbers_;
  std::vector<std::vector<std::uint32_t>> alone_, joined_;  // By phrase.
  std::uint32_t parts_ = 0;
};

Result<Ruleset> Ruleset::make(std::vector<Rule> rules) {
  std::set<std::string_view> parts;
  for (const Rule& rule : rules) {
    for (const Alternative& alternative : rule.alternatives) {
      if (alternative.size() > 1) parts.insert(alternative.begin(), alternative.end());
    }
  }
  if (parts.size() > kPartsMax) {
    return Error{ErrorCode::kResourceExhausted, fmt::format("over {} phrases with \"&\"", kPartsMax)};
  }
  Ruleset set;
  set.rules_ = std::move(rules);
  Builder(set).run();
  return set;
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading one reply: the sink of fold()

class Reading {
 public:
  Reading(const Ruleset& set, const Reply& reply, Stage stage, std::uint16_t provider) noexcept
      : set_(set),
        enhanced_(reply.enhanced),
        code_(code_of(reply)),
        codeless_(reply.code == 0),
        stage_(stage),
        provider_(provider) {}

  void word_begins(std::size_t begin) noexcept {
    step(' ');
    begins_[words_++ % begins_.size()] = static_cast<std::uint16_t>(begin);
  }
  void put(char octet, std::size_t end) noexcept {
    end_ = end;
    step(octet);
  }
  void put_ascii(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    Phrases::State state = state_;  // In a register.
    // At the root no phrase has begun, and none begins within a word.
    for (std::size_t i = begin; i < end && state != Phrases::kRoot; ++i) {
      state = set_.phrases_.step_ascii(state, text[i]);
      if (!Phrases::ends(state)) continue;
      state_ = state;
      end_ = i + 1;
      hit();
    }
    state_ = state;
    end_ = end;
  }
  void name_begins(std::size_t begin) noexcept {
    outside_ = state_;
    outside_end_ = end_;
    name_begin_ = begin;
    state_ = Phrases::kRoot;
    in_name_ = true;
  }
  void name_ends() noexcept {
    state_ = outside_;
    end_ = outside_end_;
    in_name_ = false;
  }
  void text_ends() noexcept { step(' '); }

  bool fits(Ruleset::Place place) const noexcept {
    const Ruleset::Conditions& asked = set_.conditions_[place];
    if (stage_ < asked.from || stage_ > asked.to) return false;
    if (asked.code_first != 0 && (code_ < asked.code_first || code_ > asked.code_last)) return false;
    if (asked.codeless && !codeless_) return false;
    if (asked.subject >= 0 && !(enhanced_ && enhanced_->subject == asked.subject &&
                                enhanced_->detail >= asked.detail_first && enhanced_->detail <= asked.detail_last)) {
      return false;
    }
    return asked.providers == 0 || fits_provider(asked);
  }

  // Takes `place` for the verdict where it comes before what was found so far, and notes what excuses the recipient.
  void offer(Ruleset::Place place, std::size_t begin, std::size_t end) noexcept {
    const bool excuses = set_.conditions_[place].excuses && excuses_ < excuse_.size();
    if ((place >= best_.place && !excuses) || !fits(place)) return;
    const Candidate candidate{place, static_cast<std::uint16_t>(begin), static_cast<std::uint16_t>(end)};
    if (place < best_.place) best_ = candidate;
    if (excuses) excuse_[excuses_++] = candidate;
  }

  struct Candidate {
    Ruleset::Place place;
    std::uint16_t begin, end;
  };
  static constexpr Candidate kNobody{Ruleset::kNone, 0, 0};
  const Candidate& best() const noexcept { return best_; }
  // The first rule in order that is about us, by other words than those of best(): "blocked" in "mailbox blocked" is
  // not.
  Candidate excuse() const noexcept {
    Candidate first = kNobody;
    for (std::size_t i = 0; i < excuses_; ++i) {
      const Candidate& one = excuse_[i];
      const bool within_best = best_.place != Ruleset::kNone && one.begin >= best_.begin && one.end <= best_.end;
      if (!within_best && one.place < first.place) first = one;
    }
    return first;
  }
  const std::optional<EnhancedCode>& enhanced() const noexcept { return enhanced_; }
  int code() const noexcept { return code_; }
  std::uint16_t provider() const noexcept { return provider_; }

 private:
  bool fits_provider(const Ruleset::Conditions& asked) const noexcept {
    for (std::uint32_t i = 0; i < asked.providers; ++i) {
      if (set_.providers_[asked.providers_from + i] == provider_) return true;
    }
    return false;
  }

  void step(char octet) noexcept {
    state_ = set_.phrases_.step(state_, octet);
    if (Phrases::ends(state_)) hit();
  }

  void hit() noexcept {
    for (const std::uint32_t phrase : set_.phrases_.ending(state_)) {
      const Ruleset::Use& use = set_.uses_[phrase];
      const std::size_t begin = begin_of(use);
      for (const Ruleset::Place place : Ruleset::part_of(set_.alone_, use.alone)) offer(place, begin, end_);
      if (use.part != Ruleset::kNoPart && !seen_[use.part]) hit_part(use, begin);
    }
  }

  std::size_t begin_of(const Ruleset::Use& use) const noexcept {
    if (in_name_) return name_begin_;
    if (use.words == 0) return end_ - std::min<std::size_t>(end_, use.octets);
    return begins_[(words_ - std::min<std::size_t>(words_, use.words)) % begins_.size()];
  }

  void hit_part(const Ruleset::Use& use, std::size_t begin) noexcept {
    seen_.set(use.part);
    seen_at_[use.part] = {static_cast<std::uint16_t>(begin), static_cast<std::uint16_t>(end_)};
    for (const std::uint32_t number : Ruleset::part_of(set_.joined_of_, use.joined)) {
      const Ruleset::Joined& joined = set_.joined_[number];
      std::size_t first = begin, last = end_;
      bool all = true;
      for (const std::uint32_t part : Ruleset::part_of(set_.parts_, joined.parts)) {
        all = all && seen_[part];
        if (!all) break;
        first = std::min<std::size_t>(first, seen_at_[part].begin);
        last = std::max<std::size_t>(last, seen_at_[part].end);
      }
      if (all) offer(joined.rule, first, last);
    }
  }

  struct At {
    std::uint16_t begin, end;  // Below kTextBytesMax.
  };

  const Ruleset& set_;
  std::optional<EnhancedCode> enhanced_;
  int code_;
  bool codeless_;
  Stage stage_;
  std::uint16_t provider_;
  Phrases::State state_ = Phrases::kRoot, outside_ = Phrases::kRoot;
  std::size_t end_ = 0, outside_end_ = 0, name_begin_ = 0, words_ = 0;
  bool in_name_ = false;
  static constexpr std::size_t kExcusesMax = 16;  // One is enough; more, since some are within the words of the best.
  Candidate best_ = kNobody;
  std::array<Candidate, kExcusesMax> excuse_;  // The first excuses_ of them.
  std::size_t excuses_ = 0;
  std::bitset<kPartsMax> seen_;
  std::array<std::uint16_t, kPhraseWordsMax + 1> begins_;  // Of the last words.
  std::array<At, kPartsMax> seen_at_;                      // Of those in seen_; not written before, for it is large.
};
static_assert(kTextBytesMax <= UINT16_MAX);

std::uint16_t Ruleset::provider_number(std::string_view name) const noexcept {
  const auto found = name.empty() ? provider_numbers_.end() : provider_numbers_.find(name);
  return found == provider_numbers_.end() ? std::uint16_t{0} : found->second;
}

Ruleset::Place Ruleset::first_by_codes(Place best, std::uint64_t key, const Reading& reading) const noexcept {
  const auto found = by_codes_.find(key);
  if (found == by_codes_.end()) return best;
  for (const Place place : found->second) {
    if (place >= best) break;
    if (reading.fits(place)) return place;
  }
  return best;
}

Ruleset::Found Ruleset::find(const Reply& reply, Stage stage, const ProviderId& provider) const noexcept {
  Reading reading(*this, reply, stage, provider_number(provider.name));
  const std::string_view text = std::string_view(reply.text).substr(0, kTextBytesMax);
  fold(text, reading);
  reading.text_ends();

  Place best = reading.best().place;
  const auto& status = reading.enhanced();
  const auto by_codes = [&](std::uint64_t number, Place first_by_status, Place first_by_code) {
    if (status && best > first_by_status) {
      best = first_by_codes(best, status_key(number, status->subject, status->detail), reading);
    }
    if (best > first_by_code) best = first_by_codes(best, code_key(number, reading.code()), reading);
  };
  if (reading.provider() != 0) by_codes(reading.provider(), 0, 0);
  by_codes(0, first_by_status_, first_by_code_);
  if (best == kNone) return {};

  const Reading::Candidate excuse = conditions_[best].suppresses ? reading.excuse() : Reading::kNobody;
  const Reading::Candidate& words = excuse.place != kNone ? excuse : reading.best();
  if (excuse.place != kNone) best = excuse.place;
  if (best != words.place) return {.rule = &rules_[best]};
  return {.rule = &rules_[best], .begin = words.begin, .end = words.end};
}

}  // namespace mailsbuddy::bounce
