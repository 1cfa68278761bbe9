#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kCharsetNameMax = 40;                // RFC 2978 2.3.
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// RFC 2978's mime-charset less what iconv gives a meaning of its own: "//TRANSLIT" and the like.
bool is_charset_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kCharsetNameMax && std::all_of(name.begin(), name.end(), [](char c) {
    return ascii::is_alnum(c) || std::string_view("-_.:+()").find(c) != std::string_view::npos;
  });
}

// What programs call by a smaller charset's name and is a larger one in truth (WHATWG Encoding Standard 4.2), and names
// that iconv does not know.
struct Alias {
  std::string_view name;
  const char* truth;
};
constexpr Alias kAliases[] = {
    {"iso-8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"gb2312", "GBK"},
    {"x-gbk", "GBK"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"x-sjis", "CP932"},
    {"sjis", "CP932"},
    {"x-euc-jp", "EUC-JP"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"iso-8859-8-i", "ISO-8859-8"},
    {"x-mac-roman", "MACINTOSH"},
    {"unicode-1-1-utf-7", "UTF-7"},
};

std::string in_truth(std::string_view charset) {
  for (const Alias& row : kAliases) {
    if (ascii::iequals(charset, row.name)) return row.truth;
  }
  return std::string(charset);
}

std::string repair_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    // The longest valid character at the front; a character has at most four bytes.
    std::size_t length = 1;
    while (length <= 4 && length <= bytes.size() && !is_valid_utf8(bytes.substr(0, length))) ++length;
    const bool valid = length <= 4 && length <= bytes.size();
    text.append(valid ? bytes.substr(0, length) : kReplacement);
    bytes.remove_prefix(valid ? length : 1);
  }
  return text;
}

class Converter {
 public:
  explicit Converter(const std::string& charset) noexcept : handle_(iconv_open("UTF-8", charset.c_str())) {}
  ~Converter() {
    if (*this) iconv_close(handle_);
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  // iconv_open() tells failure by (iconv_t)-1.
  explicit operator bool() const noexcept { return reinterpret_cast<std::intptr_t>(handle_) != -1; }

  // U+FFFD stands for each byte that does not belong there.
  std::string convert(std::string bytes) {
    std::string text;
    char* from = bytes.data();
    std::size_t left = bytes.size();
    while (left > 0) {
      char buffer[4096];
      char* to = buffer;
      std::size_t room = sizeof buffer;
      const std::size_t rc = iconv(handle_, &from, &left, &to, &room);
      const bool full = rc == static_cast<std::size_t>(-1) && errno == E2BIG;
      text.append(buffer, sizeof buffer - room);
      if (rc != static_cast<std::size_t>(-1) || full) continue;
      text.append(kReplacement);
      ++from;
      --left;
    }
    return text;
  }

 private:
  iconv_t handle_;
};

}  // namespace

std::optional<std::string> to_utf8(std::string_view charset, std::string_view bytes) {
  if (ascii::iequals(charset, "utf-8") || ascii::iequals(charset, "utf8") || ascii::iequals(charset, "us-ascii")) {
    return is_valid_utf8(bytes) ? std::string(bytes) : repair_utf8(bytes);
  }
  if (!is_charset_name(charset)) return std::nullopt;
  Converter converter(in_truth(charset));
  if (!converter) return std::nullopt;
  std::string text = converter.convert(std::string(bytes));
  return is_valid_utf8(text) ? std::move(text) : repair_utf8(text);
}

}  // namespace mailsbuddy
