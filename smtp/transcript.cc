#include "smtp/transcript.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/base/ascii.h"
#include "smtp/proto/command_parser.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::string_view kMasked = "(masked)";

// Of "BDAT 1234 LAST"; 0: none.
std::uint64_t chunk_size(std::string_view line) noexcept {
  const Command command = parse_command(line);
  if (command.verb != Verb::kBdat) return 0;
  return parse_size(command.argument.substr(0, command.argument.find(' '))).value_or(0);
}

// RFC 4422 3.1: up to 20 upper-case letters, digits, hyphens and underscores. Of what comes instead nothing is shown.
bool is_mechanism(std::string_view word) noexcept {
  return !word.empty() && word.size() <= 20 && std::all_of(word.begin(), word.end(), [](char c) {
    return ascii::is_alnum(c) || c == '-' || c == '_';
  });
}

bool is_command(std::string_view verb) noexcept { return parse_command(verb).verb != Verb::kUnknown; }

}  // namespace

bool Transcript::Line::add(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  const std::string_view part = bytes.substr(0, end == std::string_view::npos ? end : end + 1);
  const char before = part.size() > 1 ? part[part.size() - 2] : last;
  crlf = end != std::string_view::npos && before == '\r';
  last = part.back();
  octets += part.size();
  // Two octets more than are shown, so that the end of one that just fits is seen.
  text.append(part.substr(0, kTraceLineMax + 2 - std::min(text.size(), kTraceLineMax + 2)));
  bytes.remove_prefix(part.size());
  return end != std::string_view::npos;
}

std::string_view Transcript::Line::content() const {
  std::string_view content = text;
  if (octets > text.size()) return content.substr(0, kTraceLineMax);
  if (content.ends_with('\n')) content.remove_suffix(1);
  if (content.ends_with('\r')) content.remove_suffix(1);
  return content;
}

void Transcript::Line::clear() {
  text.clear();
  octets = 0;
  crlf = false;
  last = 0;
}

void Transcript::step(TimePoint now, std::string_view text) { say(now, TraceLine::Kind::kStep, text); }

// ---------------------------------------------------------------------------------------------------------------------
// Sent

void Transcript::sent(TimePoint now, std::string_view bytes) {
  while (!bytes.empty()) {
    if (sending_ == Sending::kChunk) {
      std::string_view chunk = bytes.substr(0, chunk_left_);
      const std::size_t before = chunk.size();
      const bool complete = sent_.add(chunk);
      const std::size_t taken = before - chunk.size();
      bytes.remove_prefix(taken);
      chunk_left_ -= taken;
      if (complete || chunk_left_ == 0) on_message_line(now);
      if (chunk_left_ == 0) end_message(now);
    } else if (sent_.add(bytes)) {
      sending_ == Sending::kData ? on_message_line(now) : on_command(now);
    }
  }
}

void Transcript::on_command(TimePoint now) {
  const std::string_view line = sent_.content();
  if (!on_credentials(now, line)) {
    show(now, TraceLine::Kind::kSent, sent_);
    // A line that is longer, or does not end in CRLF, is refused: no chunk follows it.
    chunk_left_ = sent_.crlf && sent_.octets <= sent_.text.size() ? chunk_size(line) : 0;
    if (chunk_left_ > 0) begin_message(Sending::kChunk);
  }
  sent_.clear();
}

bool Transcript::on_credentials(TimePoint now, std::string_view line) {
  line = ascii::trim(line);  // What is no command because of a space before it has a password all the same.
  const std::string_view verb = line.substr(0, line.find_first_of(" \t"));
  if (auth_ || (auth_failed_ && !is_command(verb))) {  // An answer to 334.
    say(now, TraceLine::Kind::kSent, kMasked);
    return true;
  }
  if (!ascii::iequals(verb, "AUTH")) return false;
  auth_ = true;
  const std::string_view rest = ascii::trim(line.substr(verb.size()));
  const std::string_view mechanism = rest.substr(0, rest.find_first_of(" \t"));
  const bool initial = mechanism.size() < rest.size();
  say(now, TraceLine::Kind::kSent,
      is_mechanism(mechanism) ? fmt::format("{} {}{}{}", verb, mechanism, initial ? " " : "", initial ? kMasked : "")
                              : fmt::format("{} {}", verb, kMasked));
  return true;
}

void Transcript::begin_message(Sending how) {
  sending_ = how;
  bodies_ = to_->bodies();
  in_header_ = line_begins_ = true;
  shown_ = hidden_ = 0;
}

// A line of the message, or the end of data.
void Transcript::on_message_line(TimePoint now) {
  const std::string_view line = sent_.content();
  if (sending_ == Sending::kData && line_begins_ && line == "." && sent_.crlf) {
    end_message(now);
    say(now, TraceLine::Kind::kSent, line);
  } else {
    in_header_ = in_header_ && !line.empty();
    const bool wanted = bodies_ == TraceBodies::kFull || (bodies_ == TraceBodies::kHeaders && in_header_);
    if (wanted && shown_ + sent_.octets <= kTraceMessageMax) {
      shown_ += sent_.octets;
      show(now, TraceLine::Kind::kSent, sent_);
    } else {
      shown_ = kTraceMessageMax;  // What follows what was left out is left out.
      hidden_ += sent_.octets;
    }
    line_begins_ = sent_.crlf;
  }
  sent_.clear();
}

void Transcript::end_message(TimePoint now) {
  sending_ = Sending::kCommands;
  if (hidden_ > 0) say(now, TraceLine::Kind::kSent, fmt::format("({} octets)", hidden_));
  hidden_ = 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Received

void Transcript::received(TimePoint now, std::string_view bytes) {
  while (!bytes.empty()) {
    if (received_.add(bytes)) on_reply(now);
  }
}

void Transcript::on_reply(TimePoint now) {
  const std::string_view line = received_.content();
  show(now, TraceLine::Kind::kReceived, received_);
  const bool last = line.size() == 3 || (line.size() > 3 && line[3] == ' ');
  if (last && line.starts_with("354")) begin_message(Sending::kData);
  if (last && !line.starts_with("334")) {
    auth_failed_ = auth_ ? !line.starts_with('2') : auth_failed_;
    auth_ = false;
  }
  received_.clear();
}

// ---------------------------------------------------------------------------------------------------------------------
// Shown

void Transcript::show(TimePoint now, TraceLine::Kind kind, const Line& line) {
  const std::string_view content = line.content();
  const bool whole = escape(content) && line.octets <= line.text.size();
  if (!whole) fmt::format_to(std::back_inserter(words_), "... ({} octets)", line.octets);
  to_->on_line({.time = now, .kind = kind, .text = words_});
}

void Transcript::say(TimePoint now, TraceLine::Kind kind, std::string_view text) {
  if (!escape(text)) words_ += "...";
  to_->on_line({.time = now, .kind = kind, .text = words_});
}

bool Transcript::escape(std::string_view text) {
  words_.clear();
  for (const char c : text) {
    const bool as_it_is = c == ' ' || ascii::is_visible(c);
    if (words_.size() + (as_it_is ? 1 : 4) > kTraceLineMax) return false;
    if (as_it_is)
      words_.push_back(c);
    else
      fmt::format_to(std::back_inserter(words_), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return true;
}

}  // namespace mailsbuddy::smtp
