#include "smtp/connection.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <span>
#include <utility>

namespace mailsbuddy::smtp {
namespace {
constexpr std::size_t kPiecesMax = 16;  // Of one write: eight messages with their envelopes.
}  // namespace

Connection::Connection(net::Loop& loop, net::Transport& transport, Options options, Owner& owner)
    : loop_(loop),
      owner_(owner),
      server_name_(options.host.starts_with('[') ? std::string_view() : options.host),
      connect_timeout_(options.session.timeouts.connect),
      connect_deadline_(loop.now() + connect_timeout_),
      session_(std::move(options.session)),
      timer_([this] { on_timer(); }),
      stream_(transport.connect(options.local, options.remote, *this)) {
  set_timer(connect_deadline_);
}

Connection::~Connection() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void Connection::begin(const Transaction& transaction) {
  session_.begin(transaction, loop_.now());
  if (destroyed_ != nullptr) return;  // From inside on_event(): run() goes on.
  // With nothing to send, all the recipients' outcomes are there already; they are handed out from the loop.
  const bool settled = session_.output().empty();
  flush();
  set_timer(settled ? loop_.now() : due());
}

void Connection::quit() {
  session_.quit(loop_.now());
  if (destroyed_ != nullptr) return;
  flush();
  set_timer(due());
}

void Connection::on_connected() {
  link_ = Link::kUp;
  session_.connected(loop_.now());
  run();
}

void Connection::on_data(std::string_view bytes) {
  session_.feed(bytes, loop_.now());
  run();
}

void Connection::on_writable() { run(); }

void Connection::on_tls(const net::TlsInfo& info) {
  link_ = Link::kUp;
  session_.tls_started(loop_.now(), info.verified);
  run();
}

void Connection::on_closed(const Error& reason) {
  const Cause cause = link_ == Link::kConnecting  ? Cause::kConnectFailed
                      : link_ == Link::kHandshake ? Cause::kTlsFailed
                                                  : Cause::kConnectionLost;
  session_.on_disconnect(cause, reason.detail, loop_.now());
  run();
}

void Connection::on_timer() {
  const TimePoint now = loop_.now();
  if (now >= due()) {
    if (link_ == Link::kConnecting) {
      const auto limit = std::chrono::duration_cast<std::chrono::seconds>(connect_timeout_);
      session_.on_disconnect(Cause::kTimeout, fmt::format("no connection in {} s", limit.count()), now);
    } else {
      session_.on_timeout(now);
    }
  }
  run();
}

void Connection::run() {
  bool destroyed = false;
  destroyed_ = &destroyed;
  while (const auto event = session_.poll()) {
    if (event->kind == SessionEvent::Kind::kStartTls) {
      link_ = Link::kHandshake;
      stream_->start_tls({.server_name = server_name_, .verify_peer = false});
      continue;
    }
    if (event->kind == SessionEvent::Kind::kClosed) stream_.reset();
    owner_.on_event(*event);
    if (destroyed) return;
  }
  destroyed_ = nullptr;
  flush();
  set_timer(due());
}

void Connection::flush() {
  while (stream_ != nullptr) {
    std::array<std::string_view, kPiecesMax> buffer;
    const auto pieces = std::span(buffer).first(session_.outputs(buffer));
    if (pieces.empty()) return;
    std::size_t size = 0;
    for (const std::string_view piece : pieces) size += piece.size();
    const std::size_t taken = stream_->write_pieces(pieces);
    if (taken > 0) session_.consume(taken, loop_.now());
    if (taken < size) return;  // on_writable() goes on.
  }
}

// A timer that is set earlier than needed is left alone: it finds nothing due and is set anew. So the wheel is touched
// once in minutes, not at every reply.
void Connection::set_timer(TimePoint due) {
  if (due == TimePoint::max() || (timer_.armed() && timer_.at() <= due)) return;
  loop_.timers().arm(timer_, due);
}

}  // namespace mailsbuddy::smtp
