#include "services/cli/users_file.h"

#include <crypt.h>
#include <fmt/format.h>

#include <memory>

namespace mailsbuddy::cli {
namespace {

// Takes what is before `separator` off the front of `text`, and the separator.
std::string_view take_part(std::string_view& text, char separator) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

std::string hash_of(const std::string& password, const std::string& setting) {
  const auto scratch = std::make_unique<crypt_data>();  // 32 KB, and secret.
  const char* const made = crypt_rn(password.c_str(), setting.c_str(), scratch.get(), sizeof(crypt_data));
  std::string hash = made != nullptr ? made : "";
  volatile char* const bytes = reinterpret_cast<char*>(scratch.get());
  for (std::size_t i = 0; i < sizeof(crypt_data); ++i) bytes[i] = '\0';
  return hash;
}

Error bad_line(std::size_t number, std::string_view what) {
  return {ErrorCode::kInvalidArgument, fmt::format("line {}: {}", number, what)};
}

bool take_rights(std::string_view rights, smtp::Identity& identity) {
  while (!rights.empty()) {
    const std::string_view right = take_part(rights, ',');
    if (right == "route")
      identity.may_route = true;
    else if (right.starts_with("from=") && right.size() > 5)
      identity.senders.emplace_back(right.substr(5));
    else
      return false;
  }
  return true;
}

}  // namespace

Result<UsersFile> UsersFile::parse(std::string_view text) {
  UsersFile file;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = take_part(text, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const std::string name(take_part(line, ':'));
    User user{.hash = std::string(take_part(line, ':')), .identity = {.user = name}};
    user.identity.account = take_part(line, ':');
    if (name.empty() || user.hash.empty()) return bad_line(number, "USER:HASH[:ACCOUNT[:RIGHTS]] is expected");
    // A hash that crypt(3) does not know would refuse everybody, and a password in clear would stand there unnoticed.
    if (hash_of("", user.hash).empty() || hash_of("", user.hash).front() == '*')
      return bad_line(number, "the hash is none that crypt(3) knows; openssl passwd -6 makes one");
    if (!take_rights(line, user.identity)) return bad_line(number, "a right is neither route nor from=DOMAIN");
    file.any_hash_ = user.hash;
    if (!file.users_.emplace(name, std::move(user)).second) return bad_line(number, "this user was there before");
  }
  if (file.users_.empty()) return Error{ErrorCode::kInvalidArgument, "no users are in it"};
  return file;
}

std::optional<smtp::Identity> UsersFile::judge(std::string_view user, std::string_view password) const {
  const auto found = users_.find(user);
  const std::string& expected = found != users_.end() ? found->second.hash : any_hash_;
  const bool equal = smtp::secrets_equal(hash_of(std::string(password), expected), expected);
  if (!equal || found == users_.end()) return std::nullopt;
  return found->second.identity;
}

}  // namespace mailsbuddy::cli
