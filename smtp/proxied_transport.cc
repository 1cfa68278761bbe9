// A Transport through a proxy: the connection is the proxy's until it has been told, and has said, what is needed.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "mailsbuddy/smtp.h"
#include "smtp/login_url.h"
#include "smtp/proxy_header.h"
#include "smtp/socks5.h"

namespace mailsbuddy::smtp {
namespace {

// Threads, ownership: as any Stream. Invariants: the handler hears of the connection when it is its own, not before;
// after `handler_->...` may `*this` be gone.
class ProxiedStream final : public net::Stream, private net::StreamHandler {
 public:
  ProxiedStream(net::Transport& direct, const EgressProxy& proxy, const net::IpAddress& local,
                const net::Endpoint& remote, net::StreamHandler& handler)
      : remote_(remote), handler_(handler), proxy_(proxy.str()) {
    if (proxy.protocol == EgressProxy::Protocol::kSocks5) {
      socks_.emplace(remote, proxy.user, proxy.password);
    } else {
      unsent_ = make_proxy_header({.address = local, .port = 0}, remote);
    }
    inner_ = direct.connect({}, proxy.endpoint, *this);
  }
  ~ProxiedStream() override {
    if (destroyed_ != nullptr) *destroyed_ = true;
  }

  std::size_t write(std::string_view bytes) override { return open_ && inner_ ? inner_->write(bytes) : 0; }
  std::size_t write_pieces(std::span<const std::string_view> pieces) override {
    return open_ && inner_ ? inner_->write_pieces(pieces) : 0;
  }
  void start_tls(const net::TlsOptions& options) override {
    if (inner_) inner_->start_tls(options);
  }
  net::Endpoint remote() const override { return remote_; }

 private:
  void on_connected() override {
    if (socks_) unsent_ = socks_->output();
    talk();
  }

  void on_data(std::string_view bytes) override {
    if (open_) return handler_.on_data(bytes);
    if (!socks_) return fail("it speaks before it was told what to do");
    const std::size_t taken = socks_->feed(bytes);
    if (socks_->state() == Socks5Client::State::kFailed) return fail(socks_->error());
    unsent_ += socks_->output();
    if (talk() && taken < bytes.size()) handler_.on_data(bytes.substr(taken));
  }

  void on_writable() override { open_ ? handler_.on_writable() : static_cast<void>(talk()); }
  void on_tls(const net::TlsInfo& info) override { handler_.on_tls(info); }
  void on_tls_failed(net::TlsFailure failure) override { handler_.on_tls_failed(failure); }

  void on_closed(const Error& reason) override {
    if (std::exchange(open_, false)) return handler_.on_closed(reason);
    handler_.on_closed({ErrorCode::kIo, fmt::format("proxy {}: {}", proxy_, reason.detail)});
  }

  // Sends what is to be sent; then, when no more is to be said, the connection is the handler's. True: it is, and
  // `*this` is there.
  bool talk() {
    unsent_.erase(0, inner_->write(unsent_));
    if (!unsent_.empty()) return false;  // on_writable() goes on.
    if (socks_ && socks_->state() != Socks5Client::State::kConnected) return false;
    open_ = true;
    bool destroyed = false;
    destroyed_ = &destroyed;
    handler_.on_connected();
    if (destroyed) return false;
    destroyed_ = nullptr;
    return true;
  }

  void fail(std::string_view why) {
    inner_.reset();
    handler_.on_closed(
        {ErrorCode::kIo, fmt::format("connecting to {} through proxy {}: {}", remote_.str(), proxy_, why)});
  }

  net::Endpoint remote_;
  net::StreamHandler& handler_;
  std::string proxy_;
  std::optional<Socks5Client> socks_;
  std::string unsent_;  // Of what the proxy is to be told.
  bool open_ = false;
  bool* destroyed_ = nullptr;  // While in handler_.on_connected().
  std::unique_ptr<net::Stream> inner_;
};

class ProxiedTransport final : public net::Transport {
 public:
  ProxiedTransport(net::Transport& direct, EgressProxy proxy) : direct_(direct), proxy_(std::move(proxy)) {}
  std::unique_ptr<net::Stream> connect(const net::IpAddress& local, const net::Endpoint& remote,
                                       net::StreamHandler& handler) override {
    return std::make_unique<ProxiedStream>(direct_, proxy_, local, remote, handler);
  }

 private:
  net::Transport& direct_;
  EgressProxy proxy_;
};

}  // namespace

Result<EgressProxy> EgressProxy::parse(std::string_view text) {
  const auto bad = [](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("proxy: {}; as in socks5://user:password@192.0.2.7:1080 or proxy://192.0.2.7:2525", why)};
  };
  auto url = LoginUrl::parse(text);
  if (!url) return bad(url.error().detail);
  const bool socks = url->scheme == "socks5";
  if (!socks && url->scheme != "proxy") return bad("neither socks5:// nor proxy://");
  if (url->user.size() > kSocks5WordMax || url->password.size() > kSocks5WordMax)
    return bad("user or password of more than 255 octets");
  if (!socks && !url->user.empty()) return bad("the PROXY protocol knows no users");
  const auto endpoint = net::Endpoint::parse(url->place, 0);
  if (!endpoint || endpoint->port == 0) return bad("what follows \"://\" and the login is no address with a port");  // Not told: without its "@" it is a password.
  return EgressProxy{.protocol = socks ? Protocol::kSocks5 : Protocol::kProxyV2,
                     .endpoint = *endpoint,
                     .user = std::move(url->user),
                     .password = std::move(url->password)};
}

std::string EgressProxy::str() const {
  return (protocol == Protocol::kSocks5 ? "socks5://" : "proxy://") + endpoint.str();
}

std::unique_ptr<net::Transport> make_proxied_transport(net::Transport& direct, EgressProxy proxy) {
  return std::make_unique<ProxiedTransport>(direct, std::move(proxy));
}

}  // namespace mailsbuddy::smtp
