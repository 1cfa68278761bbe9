#include "smtp/login_url.h"

#include <optional>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

// "%41" as "A". Empty: a "%" without two digits.
std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = ascii::hex_value(text[i + 1]);
    const int low = ascii::hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    plain.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return plain;
}

}  // namespace

Result<LoginUrl> LoginUrl::parse(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return Error{ErrorCode::kInvalidArgument, "no \"scheme://\""};
  LoginUrl url{.scheme = ascii::to_lower(text.substr(0, colon)), .user = {}, .password = {}, .place = {}};
  text.remove_prefix(colon + 3);
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = text.substr(0, at);
    const std::size_t middle = login.find(':');
    const auto user = unescape(login.substr(0, middle));
    const auto password = unescape(middle == std::string_view::npos ? "" : login.substr(middle + 1));
    if (!user || !password || user->empty())
      return Error{ErrorCode::kInvalidArgument, "user and password cannot be read"};
    url.user = *user;
    url.password = *password;
    text.remove_prefix(at + 1);
  }
  url.place = text;
  return url;
}

}  // namespace mailsbuddy::smtp
