#include "smtp/sink_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace mailsbuddy::smtp {
namespace {

// After our last word the peer may still be sending; closing on it would be a reset, which can take our reply with it.
constexpr Duration kLingerMax = std::chrono::seconds(2);

uv_buf_t buffer_of(std::string& bytes) noexcept {
  return uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Life

SinkConnection::SinkConnection(SinkWorker& worker, std::size_t profile)
    : worker_(worker),
      policy_(*worker.shared().policies[profile]),
      counters_(worker.counters(profile)),
      session_(policy_.server_options()) {}

SinkConnection::~SinkConnection() = default;

void SinkConnection::open(SinkWorker& worker, int socket, std::size_t profile) {
  if (worker.loop().closed()) {
    ::close(socket);
    return;
  }
  auto* const connection = new SinkConnection(worker, profile);
  uv_tcp_init(worker.loop().uv(), &connection->tcp_);
  connection->tcp_.data = connection->write_request_.data = static_cast<HandleOwner*>(connection);
  if (uv_tcp_open(&connection->tcp_, socket) != 0) {
    ::close(socket);
    return connection->close();
  }
  connection->greet();
}

void SinkConnection::greet() {
  slot_ = policy_.take_connection();
  if (slot_) {
    SinkCounters::add(counters_.connections, 1);
    session_.greet();
  } else {
    SinkCounters::add(counters_.connections_refused, 1);
    session_.refuse("421 4.3.2 Too many connections, try again later");
  }
  read();
  run_session({});
  reply();
}

void SinkConnection::give_back_slot() noexcept {
  if (std::exchange(slot_, false)) policy_.release_connection();
}

void SinkConnection::close() noexcept {
  if (std::exchange(closing_, true)) return;
  give_back_slot();
  timer_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), [](uv_handle_t* handle) noexcept { delete &of(handle->data); });
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

void SinkConnection::read() {
  if (closing_ || std::exchange(reading_, true)) return;
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&tcp_),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
        const std::span<char> incoming = of(handle->data).worker_.incoming();
        *buffer = uv_buf_init(incoming.data(), static_cast<unsigned>(incoming.size()));
      },
      [](uv_stream_t* handle, ssize_t count, const uv_buf_t*) noexcept { of(handle->data).on_read(count); });
}

void SinkConnection::pause() {
  if (std::exchange(reading_, false)) uv_read_stop(reinterpret_cast<uv_stream_t*>(&tcp_));
}

void SinkConnection::on_read(ssize_t count) {
  if (count == 0) return;  // libuv's EAGAIN.
  if (count < 0) return close();
  if (over_) return;
  const std::string_view bytes(worker_.incoming().data(), static_cast<std::size_t>(count));
  if (tls_)
    on_ciphertext(bytes);
  else
    run_session(bytes);
  if (!closing_) reply();
}

void SinkConnection::on_ciphertext(std::string_view bytes) {
  const bool handshaking = tls_->state() == TlsServer::State::kHandshake;
  tls_->feed(bytes);
  if (handshaking && tls_->state() == TlsServer::State::kOpen) {
    SinkCounters::add(counters_.tls_handshakes, 1);
    session_.tls_started();
  }
  while (!over_) {
    const std::size_t count = tls_->read(worker_.plaintext());
    if (count == 0) break;
    run_session({worker_.plaintext().data(), count});
  }
  if (tls_->state() == TlsServer::State::kFailed) SinkCounters::add(counters_.protocol_errors, 1);
  if (tls_->state() == TlsServer::State::kFailed || tls_->state() == TlsServer::State::kClosed) over_ = true;
}

void SinkConnection::run_session(std::string_view bytes) {
  session_.feed(bytes);
  while (const auto event = session_.poll()) on_event(*event);
  const std::uint64_t errors = session_.protocol_errors();
  SinkCounters::add(counters_.protocol_errors, errors - std::exchange(errors_counted_, errors));
}

// ---------------------------------------------------------------------------------------------------------------------
// What the session asks

void SinkConnection::on_event(const ServerEvent& event) {
  switch (event.kind) {
    case ServerEvent::Kind::kMail:
      return on_mail(event.text);
    case ServerEvent::Kind::kRcpt:
      return on_rcpt(event.text);
    case ServerEvent::Kind::kContent:
      return on_content(event.text);
    case ServerEvent::Kind::kMessage:
      return on_message();
    case ServerEvent::Kind::kStartTls:
      return on_start_tls();
    case ServerEvent::Kind::kClose:
      return on_close();
    case ServerEvent::Kind::kReset:
      return;  // The next kMail clears.
  }
}

void SinkConnection::on_mail(std::string_view mail_from) {
  const int limit = policy_.profile().messages_per_connection;
  if (limit != 0 && messages_ >= limit) return session_.answer("421 4.7.0 Enough messages on this connection");
  mail_from_.assign(mail_from);
  recipients_.clear();
  content_.clear();
  keeps_ = too_big_to_keep_ = false;
  session_.answer("250 2.1.0 Ok");
}

void SinkConnection::on_rcpt(std::string_view recipient) {
  const std::uint64_t key = policy_.key(recipient);
  switch (policy_.on_recipient(key, worker_.random())) {
    case SinkPolicy::Verdict::kDefer:
      SinkCounters::add(counters_.deferred, 1);
      return session_.answer(policy_.profile().defer_reply);
    case SinkPolicy::Verdict::kReject:
      SinkCounters::add(counters_.rejected, 1);
      return session_.answer(policy_.profile().reject_reply);
    case SinkPolicy::Verdict::kAccept:
      break;
  }
  if (session_.recipients() == 0) {
    recipient_key_ = key;
    keeps_ = wants_content();
  }
  if (keeps_) recipients_.append(recipient).push_back('\n');
  session_.answer("250 2.1.5 Ok");
}

bool SinkConnection::wants_content() {
  const SinkOptions& options = worker_.shared().options;
  sampled_ = worker_.shared().maildir && policy_.sampled(recipient_key_, options.maildir_sample, worker_.random());
  return sampled_ || options.on_message;
}

void SinkConnection::on_content(std::string_view piece) {
  if (!keeps_) return;
  if (content_.size() + piece.size() > kSinkKeptMax)
    too_big_to_keep_ = true;
  else
    content_.append(piece);
}

void SinkConnection::on_message() {
  ++messages_;
  const std::size_t recipients = session_.recipients();
  if (policy_.refuses_data(recipient_key_, worker_.random())) {
    SinkCounters::add(counters_.data_rejected, recipients);
    return session_.answer(policy_.profile().data_reject_reply);
  }
  if (keeps_ && !store()) return session_.answer("452 4.3.1 Cannot keep the message");
  SinkCounters::add(counters_.accepted, recipients);
  SinkCounters::add(counters_.bytes, session_.message_bytes());
  session_.answer("250 2.0.0 Ok");
}

bool SinkConnection::store() {
  SinkShared& shared = worker_.shared();
  if (too_big_to_keep_) return false;
  if (sampled_ && !shared.maildir->write(mail_from_, recipients_, content_, worker_.loop().now())) return false;
  if (!shared.options.on_message) return true;
  for (std::string_view rest = recipients_; !rest.empty();) {
    const std::string_view recipient = rest.substr(0, rest.find('\n'));
    shared.options.on_message(policy_.profile().name, mail_from_, recipient, content_);
    rest.remove_prefix(recipient.size() + 1);
  }
  return true;
}

void SinkConnection::on_start_tls() {
  seal();  // The 220 is the last word in clear.
  tls_ = std::make_unique<TlsServer>(worker_.shared().tls.get());
}

void SinkConnection::on_close() {
  over_ = true;
  give_back_slot();  // Before the peer can know: its next connection finds the place free.
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

void SinkConnection::reply() {
  const Duration latency = policy_.profile().latency;
  const bool says = !session_.output().empty() || !wire_.empty();
  seal();
  if (!says || latency == Duration{0}) return send();
  pause();
  if (!timer_) timer_ = std::make_unique<Timer>([this] { send(); });
  worker_.loop().timers().arm(*timer_, worker_.loop().now() + latency);
}

void SinkConnection::seal() {
  const std::string_view output = session_.output();
  if (!tls_) {
    wire_.append(output);
  } else if (!output.empty() && tls_->state() == TlsServer::State::kOpen) {
    tls_->write(output);
  }
  session_.consume(output.size());
  if (!tls_) return;
  if (over_) tls_->shut_down();
  tls_->take_output(wire_);
}

// Straight into the socket; only what it does not take waits.
void SinkConnection::send() {
  auto* const stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  if (!wire_.empty()) {
    const uv_buf_t all = buffer_of(wire_);
    const int written = uv_try_write(stream, &all, 1);
    if (written < 0 && written != UV_EAGAIN) return close();
    wire_.erase(0, static_cast<std::size_t>(std::max(written, 0)));
  }
  if (wire_.empty()) return sent();
  pause();
  const uv_buf_t rest = buffer_of(wire_);
  const int status = uv_write(&write_request_, stream, &rest, 1, [](uv_write_t* request, int result) noexcept {
    SinkConnection& self = of(request->data);
    if (self.closing_) return;
    if (result < 0) return self.close();
    self.wire_.clear();
    self.sent();
  });
  if (status < 0) close();
}

void SinkConnection::sent() {
  if (over_) linger();
  read();
}

void SinkConnection::linger() {
  if (std::exchange(lingering_, true)) return;
  uv_os_fd_t socket = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &socket) == 0) ::shutdown(socket, SHUT_WR);
  timer_ = std::make_unique<Timer>([this] { close(); });
  worker_.loop().timers().arm(*timer_, worker_.loop().now() + kLingerMax);
}

}  // namespace mailsbuddy::smtp
