#include "smtp/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <utility>

namespace mailsbuddy::smtp {
namespace {
constexpr std::size_t kPiecesMax = 16;  // Of one write: eight messages with their envelopes.
// What the server said is there already.
std::string words_of_end(const Outcome& outcome) {
  return outcome.cause == Cause::kReply ? "closed" : "closed: " + outcome.str();
}

}  // namespace

Connection::Connection(net::Loop& loop, net::Transport& transport, Options options, Owner& owner)
    : loop_(loop),
      owner_(owner),
      tls_options_(std::move(options.tls)),
      connect_timeout_(options.session.timeouts.connect),
      handshake_timeout_(options.session.timeouts.start_tls),
      deadline_(loop.now() + connect_timeout_),
      implicit_tls_(options.session.implicit_tls),
      named_(options.named),
      transcript_(std::move(options.transcript)),
      session_(std::move(options.session)),
      timer_([this] { on_timer(); }),
      stream_(transport.connect(options.local, options.remote, *this)) {
  if (transcript_ != nullptr) step(fmt::format("connecting to {}", options.remote.str()));
  set_timer(deadline_);
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
  step("connected");
  if (implicit_tls_) {
    deadline_ = loop_.now() + handshake_timeout_;
    start_tls();
    return set_timer(due());
  }
  link_ = Link::kUp;
  session_.connected(loop_.now());
  run();
}

void Connection::start_tls() {
  step("TLS handshake");
  link_ = Link::kHandshake;
  stream_->start_tls(tls_options_);
}

void Connection::on_data(std::string_view bytes) {
  if (transcript_ != nullptr) transcript_->received(loop_.now(), bytes);
  session_.feed(bytes, loop_.now());
  run();
}

void Connection::on_writable() { run(); }

void Connection::on_tls(const net::TlsInfo& info) {
  if (transcript_ != nullptr) {
    step(fmt::format("{} {}{}{}", info.version, info.cipher, info.resumed ? ", resumed" : "",
                     info.verified ? ", verified" : ", not verified"));
  }
  tls_info_ = info;
  link_ = Link::kUp;
  if (implicit_tls_) {
    session_.connected(loop_.now(), info.verified && named_);
  } else {
    session_.tls_started(loop_.now(), info.verified && named_);
  }
  run();
}

void Connection::on_closed(const Error& reason) {
  const Cause cause = link_ == Link::kConnecting  ? Cause::kConnectFailed
                      : link_ == Link::kHandshake ? Cause::kTlsFailed
                                                  : Cause::kConnectionLost;
  session_.on_disconnect(cause, reason.detail, loop_.now());
  run();
}

void Connection::step(std::string_view text) {
  if (transcript_ != nullptr) transcript_->step(loop_.now(), text);
}

void Connection::on_timer() {
  const TimePoint now = loop_.now();
  if (now >= due()) {
    if (!session_begun()) {
      const bool connecting = link_ == Link::kConnecting;
      const auto limit =
          std::chrono::duration_cast<std::chrono::seconds>(connecting ? connect_timeout_ : handshake_timeout_);
      const std::string_view what = connecting ? "connection" : "TLS handshake";
      session_.on_disconnect(Cause::kTimeout, fmt::format("no {} in {} s", what, limit.count()), now);
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
      start_tls();
      continue;
    }
    if (event->kind == SessionEvent::Kind::kClosed) {
      if (transcript_ != nullptr) step(words_of_end(event->outcome));
      stream_.reset();
    }
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
    if (transcript_ != nullptr) sent(pieces, taken);
    if (taken > 0) session_.consume(taken, loop_.now());
    if (taken < size) return;  // on_writable() goes on.
  }
}

void Connection::sent(std::span<const std::string_view> pieces, std::size_t count) {
  for (const std::string_view piece : pieces) {
    transcript_->sent(loop_.now(), piece.substr(0, count));
    count -= std::min(count, piece.size());
  }
}

// A timer that is set earlier than needed is left alone: it finds nothing due and is set anew. So the wheel is touched
// once in minutes, not at every reply.
void Connection::set_timer(TimePoint due) {
  if (due == TimePoint::max() || (timer_.armed() && timer_.at() <= due)) return;
  loop_.timers().arm(timer_, due);
}

}  // namespace mailsbuddy::smtp
