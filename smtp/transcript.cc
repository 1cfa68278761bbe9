#include "smtp/transcript.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::string_view kMasked = "(masked)";

// The number in "BDAT 1234 LAST"; 0: none.
std::uint64_t chunk_size(std::string_view command) noexcept {
  std::uint64_t size = 0;
  const std::size_t space = command.find(' ');
  if (space == std::string_view::npos) return 0;
  std::from_chars(command.data() + space + 1, command.data() + command.size(), size);
  return size;
}

}  // namespace

bool Transcript::Line::add(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  const std::string_view part = bytes.substr(0, end == std::string_view::npos ? end : end + 1);
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
  if (auth_) {  // An answer to 334.
    say(now, TraceLine::Kind::kSent, kMasked);
  } else if (ascii::istarts_with(line, "AUTH ")) {
    auth_ = true;
    const std::size_t initial = line.find(' ', 5);
    const std::string_view shown = line.substr(0, initial);
    say(now, TraceLine::Kind::kSent,
        initial == std::string_view::npos ? std::string(shown) : fmt::format("{} {}", shown, kMasked));
  } else {
    show(now, TraceLine::Kind::kSent, sent_);
    if (ascii::istarts_with(line, "BDAT ")) {
      chunk_left_ = chunk_size(line);
      if (chunk_left_ > 0) begin_message(Sending::kChunk);
    }
  }
  sent_.clear();
}

void Transcript::begin_message(Sending how) {
  sending_ = how;
  bodies_ = to_->bodies();
  in_header_ = true;
  hidden_ = 0;
}

// A line of the message, or the end of data.
void Transcript::on_message_line(TimePoint now) {
  const std::string_view line = sent_.content();
  if (sending_ == Sending::kData && line == "." && sent_.octets <= 3) {
    end_message(now);
    say(now, TraceLine::Kind::kSent, line);
  } else {
    in_header_ = in_header_ && !line.empty();
    if (bodies_ == TraceBodies::kFull || (bodies_ == TraceBodies::kHeaders && in_header_)) {
      show(now, TraceLine::Kind::kSent, sent_);
    } else {
      hidden_ += sent_.octets;
    }
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
  if (last && !line.starts_with("334")) auth_ = false;
  received_.clear();
}

// ---------------------------------------------------------------------------------------------------------------------
// Shown

void Transcript::show(TimePoint now, TraceLine::Kind kind, const Line& line) {
  const std::string_view content = line.content();
  if (line.octets <= line.text.size()) return say(now, kind, content);
  say(now, kind, fmt::format("{}... ({} octets)", content, line.octets));
}

void Transcript::say(TimePoint now, TraceLine::Kind kind, std::string_view text) {
  words_.clear();
  for (const char c : text) {
    if (c == ' ' || ascii::is_visible(c)) {
      words_.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(words_), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  to_->on_line({.time = now, .kind = kind, .text = words_});
}

}  // namespace mailsbuddy::smtp
