// What a hostile or broken proxy says. However it is cut, it ends alike and takes no octet of the connection behind it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "smtp/socks5.h"

using mailsbuddy::net::Endpoint;
using mailsbuddy::smtp::Socks5Client;

namespace {

void require(bool held) {
  if (!held) std::abort();
}

struct End {
  Socks5Client::State state;
  std::string error;
  std::size_t taken = 0;
  std::string said;
  bool operator==(const End&) const = default;
};

End talk(std::string_view bytes, bool login, std::size_t piece) {
  Socks5Client socks(Endpoint::parse("192.0.2.1:25", 25).value(), login ? "user" : "", login ? "password" : "");
  End end{.state = socks.state(), .error = {}, .taken = 0, .said = socks.output()};
  while (end.taken < bytes.size() && socks.state() == Socks5Client::State::kTalking) {
    const std::string_view next = bytes.substr(end.taken, piece);
    const std::size_t taken = socks.feed(next);
    require(taken <= next.size());
    require(taken == next.size() || socks.state() != Socks5Client::State::kTalking);
    end.taken += taken;
    end.said += socks.output();
  }
  end.state = socks.state();
  end.error = socks.error();
  require(end.error.empty() == (end.state != Socks5Client::State::kFailed));
  require(end.taken <= 2 + 2 + 4 + 1 + 255 + 2);  // The longest there is.
  return end;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const bool login = (data[0] & 1) != 0;
  const End whole = talk(bytes, login, SIZE_MAX);
  require(talk(bytes, login, 1) == whole);
  require(talk(bytes, login, 1 + (data[0] >> 1)) == whole);
  return 0;
}
