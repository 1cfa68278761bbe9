// Writes 200 messages to a folder, NNN.eml, each with NNN.json saying what a reader must find in it.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "core/base/encoding.h"
#include "tests/mail/mime_samples.h"

namespace mailsbuddy {
namespace {

// Base64 of every string: nothing to escape.
std::string packed(std::string_view bytes) {
  std::string text = "\"";
  append_base64(text, bytes);
  return text + '"';
}

std::string expectations(const Content& content, const NamedAddress& from) {
  std::string json = "{\"from\":" + packed(from.name) + ",\"headers\":[";
  for (const HeaderField& field : content.headers) {
    json += (json.ends_with('[') ? "[" : ",[") + packed(field.name) + "," + packed(field.value) + "]";
  }
  json += "],\"text\":" + packed(content.text) + ",\"html\":" + packed(content.html) + ",\"attachments\":[";
  for (const Attachment& a : content.attachments) {
    json += (json.ends_with('[') ? "[" : ",[") + packed(a.filename) + "," + packed(a.content_type) + "," +
            packed(a.data) + "," + packed(a.content_id) + "]";
  }
  return json + "]}";
}

int write_samples(const std::filesystem::path& folder) {
  Random random(2026);
  for (int i = 0; i < 200; ++i) {
    const Content content = random_content(random);
    NamedAddress from{.name = random_words(random, 6, false), .address = *Address::parse("news@brand.example")};
    for (char& c : from.name) c = c == '\t' ? ' ' : c;
    const std::string leading = format_header("From", from.header_value()) + "To: ann@example.net\r\nDate: " +
                                format_date(TimePoint(std::chrono::seconds(1'795'463'868))) +
                                "\r\nMessage-ID: <1@brand.example>\r\n";
    const auto message = build_message(content, leading, random);
    if (!message) {
      std::cerr << message.error().detail << '\n';
      return 1;
    }
    const std::string name = std::to_string(i);
    std::ofstream(folder / (name + ".eml"), std::ios::binary) << *message;
    std::ofstream(folder / (name + ".json")) << expectations(content, from);
  }
  return 0;
}

}  // namespace
}  // namespace mailsbuddy

int main(int argc, char** argv) { return argc == 2 ? mailsbuddy::write_samples(argv[1]) : 2; }
