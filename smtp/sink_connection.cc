#include "smtp/sink_connection.h"

#include <unistd.h>

#include <utility>

namespace mailsbuddy::smtp {

// ---------------------------------------------------------------------------------------------------------------------
// Life

SinkConnection::SinkConnection(SinkWorker& worker, std::size_t profile)
    : worker_(worker),
      policy_(*worker.shared().policies[profile]),
      counters_(worker.counters(profile)),
      session_(policy_.server_options()),
      socket_(worker.loop(), *this, worker.buffers()) {}

SinkConnection::~SinkConnection() { give_back_slot(); }

void SinkConnection::open(SinkWorker& worker, int socket, std::size_t profile) {
  if (worker.loop().closed()) {
    ::close(socket);
    return;
  }
  auto* const connection = new SinkConnection(worker, profile);
  if (connection->socket_.open(socket)) connection->greet();
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
  socket_.read();
  on_input({});
  reply();
}

void SinkConnection::give_back_slot() noexcept {
  if (std::exchange(slot_, false)) policy_.release_connection();
}

void SinkConnection::on_input(std::string_view bytes) {
  session_.feed(bytes);
  while (const auto event = session_.poll()) on_event(*event);
  const std::uint64_t errors = session_.protocol_errors();
  SinkCounters::add(counters_.protocol_errors, errors - std::exchange(errors_counted_, errors));
  hand_over();
}

void SinkConnection::on_tls_started() {
  SinkCounters::add(counters_.tls_handshakes, 1);
  session_.tls_started();
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
    case ServerEvent::Kind::kReset:  // The next kMail clears.
    case ServerEvent::Kind::kAuth:   // Not offered, nor is the next.
    case ServerEvent::Kind::kXclient:
      return;
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
  hand_over();  // The 220 is the last word in clear.
  socket_.start_tls(worker_.shared().tls.get());
}

void SinkConnection::on_close() {
  give_back_slot();  // Before the peer can know: its next connection finds the place free.
  hand_over();
  socket_.finish();
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

void SinkConnection::hand_over() {
  socket_.say(session_.output());
  session_.consume(session_.output().size());
}

void SinkConnection::reply() {
  const Duration latency = policy_.profile().latency;
  if (!socket_.unsent() || latency == Duration{0}) {
    socket_.flush();
    if (socket_.unsent()) socket_.pause();
    return;
  }
  socket_.pause();
  if (!latency_) latency_ = std::make_unique<Timer>([this] { socket_.flush(); });
  worker_.loop().timers().arm(*latency_, worker_.loop().now() + latency);
}

}  // namespace mailsbuddy::smtp
