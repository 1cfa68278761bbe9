#include "bench/support/mail.h"

#include <openssl/sha.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace mailsbuddy::bench {
namespace {

// The body with `name`, `city` and `points` in place: of a template when they are merge fields, of a message when they
// are escaped values. Nothing else in it is special to HTML escaping, to Liquid or to SMTP.
std::string body(std::string_view name, std::string_view city, std::string_view points) {
  std::string html = "<!DOCTYPE html>\r\n<html><head><title>This week</title></head><body>\r\n";
  std::size_t fields = 0;  // Octets of fields: what fills up between them is the same in template and message.
  const auto field = [&](std::string_view value) {
    html += value;
    fields += value.size();
  };
  constexpr std::size_t kSections = 4;
  for (std::size_t section = 1; section <= kSections; ++section) {
    html += "<h2>Dear ";
    field(name);
    html += ",</h2>\r\n<p>There is news from ";
    field(city);
    html += " and around.\r\nYou have ";
    field(points);
    html += " points.</p>\r\n";
    while (html.size() - fields < kBodyBytes * section / kSections - 32) {
      html += "<p>Fresh things came in this week: come by, look and see.</p>\r\n";
    }
  }
  return html + "</body></html>\r\n";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) c == '&' ? out += "&amp;" : c == '<' ? out += "&lt;" : out += c;
  return out;
}

}  // namespace

std::uint64_t digest(std::string_view recipient, std::string_view body) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  std::string input;
  input.reserve(recipient.size() + 1 + body.size());
  input.append(recipient).push_back('\0');
  input += body;
  SHA256(reinterpret_cast<const unsigned char*>(input.data()), input.size(), hash.data());
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | hash[i];
  return value;
}

Recipient::Recipient(std::uint64_t number)
    : address("r" + std::to_string(number) + "@receiver.example"),
      name("Ann & Bo <" + std::to_string(number % 9973)),
      city("Town " + std::to_string(number % 997)),
      points(std::to_string(number * 7 % 10'007)) {}

Result<std::optional<RowView>> Rows::next() {
  if (number_ == count_) return std::optional<RowView>();
  recipient_ = Recipient(number_++);
  values_ = {recipient_.name, recipient_.city, recipient_.points};
  return std::optional(RowView{.number = number_, .address = recipient_.address, .values = values_});
}

void Rows::refused(const BadRow& row) {
  need(Result<void>(Error{ErrorCode::kInternal, row.address + " was refused: " + row.reason}));
}

Campaign make_campaign() {
  Content content{.headers = {{"Subject", "What is new this week, {{ name }}"}},
                  .text = {},
                  .html = body("{{ name }}", "{{ city }}", "{{ points }}"),
                  .attachments = {}};
  return Campaign{.id = "bench",
                  .account = "bench",
                  .content = need(make_campaign_content(std::move(content),
                                                        {.unsubscribe_url = "https://sender.example/u/{{ mb_token }}",
                                                         .list_id = "news.sender.example"})),
                  .from = need(NamedAddress::parse("News <news@sender.example>")),
                  .return_path_domain = "bounce.sender.example"};
}

std::uint64_t expected_digest(std::uint64_t count) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Recipient recipient(i);
    sum += digest(recipient.address, body(escaped(recipient.name), recipient.city, recipient.points));
  }
  return sum;
}

void need(const Result<void>& result) {
  if (result) return;
  std::fprintf(stderr, "bench: %s\n", result.error().detail.c_str());
  std::exit(1);
}

std::uint64_t to_number(std::string_view argument) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), value);
  if (error != std::errc{} || end != argument.data() + argument.size()) {
    need(Result<void>(Error{ErrorCode::kInvalidArgument, "not a number: " + std::string(argument)}));
  }
  return value;
}

}  // namespace mailsbuddy::bench
