// Both ends of a connection say what they like. However it is cut the lines are the same, printable and not too long,
// and what answers a 334 is not among them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/transcript.h"

using mailsbuddy::TimePoint;
using mailsbuddy::smtp::Trace;
using mailsbuddy::smtp::TraceBodies;
using mailsbuddy::smtp::TraceLine;
using mailsbuddy::smtp::Transcript;

namespace {

void require(bool held) {
  if (!held) std::abort();
}

struct Lines final : Trace {
  Lines(std::vector<std::string>& to, TraceBodies how) : lines(to), shown(how) {}
  void on_line(const TraceLine& line) override {
    require(line.text.size() <= mailsbuddy::smtp::kTraceLineMax + 40);  // And "... (N octets)".
    for (const char each : line.text) require(each >= ' ' && each < 0x7f);
    lines.push_back(std::to_string(static_cast<int>(line.kind)) + std::string(line.text));
  }
  TraceBodies bodies() const override { return shown; }
  std::vector<std::string>& lines;
  TraceBodies shown;
};

// Turns of the two sides are separated by a zero.
std::vector<std::string> transcribe(std::string_view talk, TraceBodies bodies, std::size_t piece) {
  std::vector<std::string> lines;
  Transcript transcript(std::make_unique<Lines>(lines, bodies));
  for (bool server = true; !talk.empty(); server = !server) {
    std::string_view turn = talk.substr(0, talk.find('\0'));
    talk.remove_prefix(std::min(turn.size() + 1, talk.size()));
    for (; !turn.empty(); turn.remove_prefix(std::min(piece, turn.size()))) {
      server ? transcript.received(TimePoint{}, turn.substr(0, piece))
             : transcript.sent(TimePoint{}, turn.substr(0, piece));
    }
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view talk(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto bodies = static_cast<TraceBodies>(data[0] % 3);
  const std::vector<std::string> whole = transcribe(talk, bodies, SIZE_MAX);
  require(transcribe(talk, bodies, 1) == whole);
  require(transcribe(talk, bodies, 1 + data[0] / 3) == whole);
  return 0;
}
