// The first octet cuts the rest into pieces. Whatever comes, the caps hold and cutting changes nothing.
#include <cstdlib>
#include <string>

#include "smtp/proto/capabilities.h"
#include "smtp/proto/reply_parser.h"

namespace {

std::string parse(std::string_view bytes, std::size_t step) {
  using mailsbuddy::smtp::ReplyParser;
  ReplyParser parser;
  std::string found;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto status = parser.parse(piece, true);
      if (status == ReplyParser::Status::kMore) break;
      if (status == ReplyParser::Status::kError) return found + "error " + std::string(parser.error());
      const auto& reply = parser.reply();
      if (reply.code < 200 || reply.code > 599 || reply.text.size() > mailsbuddy::smtp::kReplyBytesMax) std::abort();
      mailsbuddy::smtp::parse_capabilities(reply.text);
      found += std::to_string(reply.code) + reply.text + '\n';
    }
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (parse(bytes, data[0] + 1U) != parse(bytes, bytes.size())) std::abort();
  return 0;
}
