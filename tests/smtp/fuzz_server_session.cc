// A whole connection from a hostile peer. The first byte chooses the options, the second how the rest is cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "smtp/proto/server_session.h"

using mailsbuddy::smtp::AuthOffer;
using mailsbuddy::smtp::ServerEvent;
using mailsbuddy::smtp::ServerOptions;
using mailsbuddy::smtp::ServerSession;

namespace {

void require(bool held) {
  if (!held) std::abort();
}

struct Peer {
  explicit Peer(const ServerOptions& options)
      : limit(options.size_max), auth_required(options.auth_required), session(options) {}

  void on_event(const ServerEvent& event) {
    require(!closed);  // Nothing follows kClose.
    switch (event.kind) {
      case ServerEvent::Kind::kMail:
        require(session.authenticated() || !auth_required);
        require(session.mail_parameters().envid.find_first_of("\r\n") == std::string::npos);
        content = 0;
        return session.answer(event.text.size() % 7 == 3 ? "550 no" : "250 ok");
      case ServerEvent::Kind::kRcpt:
        require(session.rcpt_parameters().orcpt.find_first_of("\r\n") == std::string::npos);
        require(!event.text.empty() && event.text.find_first_of("\r\n") == event.text.npos);
        return session.answer(event.text.size() % 5 == 3 ? "450 later" : "250 ok");
      case ServerEvent::Kind::kContent:
        require(session.recipients() != 0 && !event.text.empty());
        content += event.text.size();
        require(limit == 0 || content <= limit);
        return;
      case ServerEvent::Kind::kMessage:
        require(session.recipients() != 0 && session.message_bytes() == content);
        return session.answer("250 ok");
      case ServerEvent::Kind::kReset:
        content = 0;
        return;
      case ServerEvent::Kind::kAuth: {
        const auto& credentials = session.credentials();
        require(!credentials.user().empty() && credentials.user().find_first_of("\r\n") == std::string::npos);
        require(!credentials.password().empty() && !session.authenticated());
        return session.answer(credentials.password().size() % 2 == 0 ? "235 ok" : "535 no");
      }
      case ServerEvent::Kind::kXclient:
        require(session.xclient().addr.find_first_of("\r\n ") == std::string::npos || !session.xclient().addr.empty());
        return session.answer(session.xclient().port.empty() ? "220 mx.example" : "550 no");
      case ServerEvent::Kind::kStartTls:
        return session.tls_started();
      case ServerEvent::Kind::kClose:
        closed = true;
        return;
    }
  }

  std::uint64_t limit;
  bool auth_required;
  ServerSession session;
  std::uint64_t content = 0;
  bool closed = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ServerOptions options{.host = "mx.example",
                              .start_tls = (data[0] & 1) != 0,
                              .pipelining = (data[0] & 2) == 0,
                              .chunking = (data[0] & 4) != 0,
                              .smtputf8 = (data[0] & 8) == 0,
                              .dsn = (data[0] & 32) != 0,
                              .auth = (data[0] & 64) != 0 ? AuthOffer::kAlways : AuthOffer::kNever,
                              .auth_required = (data[0] & 192) == 192,
                              .bare_line_ends = (data[0] & 32) == 0,
                              .size_max = (data[0] & 16) != 0 ? 50U : 0U,
                              .recipients_max = 3};
  const std::size_t piece = data[1] == 0 ? size : data[1];
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  Peer peer(options);
  if ((data[0] & 128) != 0) peer.session.trust_xclient();
  peer.session.greet();
  while (!rest.empty()) {
    const std::string bytes(rest.substr(0, piece));  // A copy: the session must not look at it after the last poll().
    rest.remove_prefix(bytes.size());
    peer.session.feed(bytes);
    while (const auto event = peer.session.poll()) peer.on_event(*event);
    require(peer.session.output().empty() || peer.session.output().ends_with("\r\n"));
    peer.session.consume(peer.session.output().size());
  }
  return 0;
}
