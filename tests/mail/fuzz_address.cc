// What is accepted fits RFC 5321's limits and reads back as itself; so does a mailbox with a name.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/encoding.h"
#include "mailsbuddy/mail.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto address = Address::parse(text)) {
    if (address->str().size() > kAddressMax || address->local().size() > kLocalPartMax) std::abort();
    if (!is_ascii(address->domain()) || address->needs_smtputf8() == is_ascii(address->local())) std::abort();
    const auto again = Address::parse(address->str());
    if (!again || *again != *address) std::abort();
  }
  if (const auto named = NamedAddress::parse(text)) {
    const std::string value = named->header_value();
    if (value.find_first_of("\r\n") != std::string::npos) std::abort();
    const auto again = NamedAddress::parse(value);
    if (!again || again->address != named->address || again->name != named->name) std::abort();
  }
  return 0;
}
