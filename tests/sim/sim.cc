#include "tests/sim/sim.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"

namespace mailsbuddy::sim {

// ---------------------------------------------------------------------------------------------------------------------
// Loop

void SimLoop::post(Task task) {
  const std::lock_guard lock(tasks_mutex_);
  tasks_.push_back(std::move(task));
}

void SimLoop::run_tasks() {
  for (;;) {
    std::unique_lock lock(tasks_mutex_);
    if (tasks_.empty()) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
  }
}

bool SimLoop::run_until(TimePoint end, const std::function<bool()>& done) {
  for (;;) {
    run_tasks();
    if (done()) return true;
    const TimePoint next = std::max(wheel_.next(), now_);
    if (next > end) break;
    now_ = next;
    wheel_.advance(now_);
  }
  now_ = std::max(now_, end);
  wheel_.advance(now_);
  run_tasks();
  return done();
}

void SimLoop::run_until(TimePoint end) {
  run_until(end, [] { return false; });
}

void SimLoop::after(Duration delay, Task task) {
  // The timer outlives its own callback: it is destroyed by a task after it.
  auto slot = std::make_shared<const std::unique_ptr<Timer>*>();
  auto timer = std::make_unique<Timer>([this, slot, task = std::move(task)]() mutable {
    post([this, slot] { delayed_.erase(**slot); });
    task();
  });
  Timer& armed = *timer;
  *slot = &*delayed_.insert(std::move(timer)).first;
  wheel_.arm(armed, now_ + delay);
}

// ---------------------------------------------------------------------------------------------------------------------
// Receivers

Action Receiver::next(const std::string& stage, std::string_view fallback) {
  const auto found = script.find(stage);
  if (found == script.end() || found->second.empty()) return {Action::Kind::kReply, std::string(fallback)};
  const Action action = found->second.front();
  if (found->second.size() > 1) found->second.pop_front();
  return action;
}

namespace {

// One TCP connection; both ends hold it, the client's end may go first.
struct Link {
  World& world;
  Receiver& receiver;
  std::string client;
  std::string server;
  net::StreamHandler* handler = nullptr;   // Null: the client closed.
  bool server_open = true;

  // Server's state.
  std::string input;
  bool reading = false;     // Replies gather in `says`.
  std::string says;
  bool tls = false;
  bool mute = false;        // It fell silent.
  bool in_data = false;
  bool in_mail = false;     // MAIL was accepted.
  std::string mail_from;
  std::vector<std::string> rcpt_to;
  bool lmtp = false;  // It was greeted by LHLO.
  std::string envelope;
  std::string data;
  std::size_t chunk = 0;    // Octets of a BDAT that are still to come.
  bool overlapped = false;  // There was more behind the message when it was answered.
  int mails = 0;

  Link(World& w, Receiver& r) : world(w), receiver(r) {}
};
using LinkPtr = std::shared_ptr<Link>;

void server_ends(Link& link) {
  link.server_open = false;
  --link.receiver.connections;
  --link.receiver.open_from[link.client];
}

void note(const Link& link, std::string_view who, std::string_view bytes) {
  if (link.world.trace) link.world.trace(fmt::format("{} {} {}: {}", link.client, link.server, who, bytes));
}

void flush_replies(const LinkPtr& link) {
  if (link->says.empty()) return;
  link->world.loop.after(link->receiver.latency, [link, wire = std::exchange(link->says, {})] {
    if (link->handler != nullptr) link->handler->on_data(wire);
  });
}

void server_closed(const LinkPtr& link, ErrorCode code, const char* why) {
  if (!link->server_open) return;
  flush_replies(link);
  server_ends(*link);
  link->world.loop.after(link->receiver.latency, [link, code, why] {
    if (net::StreamHandler* handler = std::exchange(link->handler, nullptr)) handler->on_closed({code, why});
  });
}

void server_says(const LinkPtr& link, const std::string& reply) {
  for (std::size_t at = 0; at <= reply.size();) {
    const std::size_t bar = std::min(reply.find('|', at), reply.size());
    link->says += reply.substr(at, bar - at) + "\r\n";
    at = bar + 1;
  }
  note(*link, "S", reply);
  if (!link->reading || link->receiver.splits_replies) flush_replies(link);
}

// True: the action was a reply that lets the session go on (its first digit decides what the caller does).
std::optional<char> act(const LinkPtr& link, const Action& action) {
  switch (action.kind) {
    case Action::Kind::kReply:
      server_says(link, action.reply);
      if (action.reply.starts_with("421")) server_closed(link, ErrorCode::kClosed, "closed by peer");
      return action.reply.front();
    case Action::Kind::kClose: server_closed(link, ErrorCode::kClosed, "closed by peer"); return std::nullopt;
    case Action::Kind::kReset: server_closed(link, ErrorCode::kIo, "connection reset by peer"); return std::nullopt;
    case Action::Kind::kGarbage: server_says(link, "!!\x01\x02 no smtp here"); return std::nullopt;
    case Action::Kind::kSilence: link->mute = true; return std::nullopt;
    case Action::Kind::kRefuse:
    case Action::Kind::kFailTls: return std::nullopt;
  }
  return std::nullopt;
}

std::string bracketed(std::string_view line) {
  const std::size_t open = line.find('<');
  return std::string(line.substr(open + 1, line.find('>') - open - 1));
}

void on_ehlo(const LinkPtr& link) {
  std::string greeting = "250-receiver.test";
  if (link->receiver.pipelining) greeting += "|250-PIPELINING";
  if (link->receiver.chunking) greeting += "|250-CHUNKING";
  if (link->receiver.start_tls && !link->tls) greeting += "|250-STARTTLS";
  if (link->receiver.eight_bit_mime) greeting += "|250-8BITMIME";
  if (link->receiver.dsn) greeting += "|250-DSN";
  if (link->receiver.require_tls && link->tls) greeting += "|250-REQUIRETLS";
  greeting += "|250-ENHANCEDSTATUSCODES|250 SIZE 10000000";
  act(link, link->receiver.next("EHLO", greeting));
}

void on_mail(const LinkPtr& link, const std::string& line) {
  Receiver& receiver = link->receiver;
  if (receiver.messages_per_connection > 0 && link->mails >= receiver.messages_per_connection) {
    act(link, {Action::Kind::kReply, "421 4.7.0 Too many messages on this connection"});
    return;
  }
  if (receiver.hates_overlap && std::exchange(link->overlapped, false)) {
    return server_says(link, "503 5.5.0 Wait for my reply");
  }
  if (link->in_mail) return server_says(link, "503 5.5.1 Nested MAIL command");
  link->rcpt_to.clear();
  link->mail_from = bracketed(line);
  link->envelope = line + "\n";
  link->in_mail = act(link, receiver.next("MAIL", "250 2.1.0 Ok")) == '2';
}

void on_rcpt(const LinkPtr& link, const std::string& line) {
  if (!link->in_mail) return server_says(link, "503 5.5.1 MAIL first");
  const std::string to = bracketed(line);
  link->envelope += line + "\n";
  const auto special = link->receiver.by_recipient.find(to);
  if (link->receiver.recipients_max > 0 && link->rcpt_to.size() >= link->receiver.recipients_max) {
    return server_says(link, "452 4.5.3 Too many recipients");
  }
  const Action action =
      link->receiver.judge ? Action{Action::Kind::kReply, link->receiver.judge(link->client, to)}
      : special != link->receiver.by_recipient.end() ? special->second
                                                     : link->receiver.next("RCPT", "250 2.1.5 Ok");
  if (act(link, action) == '2') link->rcpt_to.push_back(to);
}

void on_data_command(const LinkPtr& link) {
  if (link->rcpt_to.empty()) {
    server_says(link, "503 5.5.1 No valid recipients");
    return;
  }
  if (act(link, link->receiver.next("DATA", "354 Go ahead")) == '3') link->in_data = true;
}

void on_dot(const LinkPtr& link) {
  link->in_data = link->in_mail = false;
  link->overlapped = !link->input.empty();
  // RFC 2033 4.2: LMTP has a reply for each recipient.
  std::vector<Action> replies(link->lmtp ? link->rcpt_to.size() : 1);
  for (Action& each : replies) each = link->receiver.next("DOT", "250 2.0.0 Queued");
  std::vector<std::string> took;
  for (std::size_t i = 0; i < link->rcpt_to.size(); ++i) {
    const Action& reply = replies[link->lmtp ? i : 0];
    if (reply.kind == Action::Kind::kReply && reply.reply.front() == '2') took.push_back(link->rcpt_to[i]);
  }
  if (!took.empty()) {
    Receiver::Mail mail{.client = link->client,
                        .from = link->mail_from,
                        .to = took.front(),
                        .data = link->data,
                        .tls = link->tls,
                        .at = link->world.loop.now(),
                        .envelope = link->envelope,
                        .recipients = took};
    if (link->receiver.take) {
      link->receiver.take(mail);
    } else {
      link->receiver.mails.push_back(std::move(mail));
    }
  }
  ++link->mails;
  link->data.clear();
  link->rcpt_to.clear();
  for (const Action& each : replies) act(link, each);
}

void on_bdat(const LinkPtr& link) {
  if (!link->rcpt_to.empty()) return on_dot(link);
  link->data.clear();
  server_says(link, "503 5.5.1 No valid recipients");
}

void on_line(const LinkPtr& link, const std::string& line) {
  if (link->in_data) {
    if (line == ".") return on_dot(link);
    link->data += line + "\r\n";
    return;
  }
  note(*link, "C", line);
  const std::string verb = line.substr(0, line.find(' '));
  link->receiver.commands_seen.insert(verb);
  if (verb == "LHLO") link->lmtp = true;
  if (verb == "EHLO" || verb == "HELO" || verb == "LHLO") return on_ehlo(link);
  if (verb == "MAIL") return on_mail(link, line);
  if (verb == "RCPT") return on_rcpt(link, line);
  if (verb == "DATA") return on_data_command(link);
  if (verb == "BDAT") {
    link->chunk = std::stoul(line.substr(5));
    return;
  }
  if (verb == "STARTTLS") return static_cast<void>(act(link, link->receiver.next("STARTTLS", "220 2.0.0 Ready")));
  if (verb == "RSET") {
    link->rcpt_to.clear();
    link->in_mail = false;
  }
  if (verb == "RSET" || verb == "NOOP") return server_says(link, "250 2.0.0 Ok");
  if (verb == "QUIT") {
    server_says(link, "221 2.0.0 Bye");
    return server_closed(link, ErrorCode::kClosed, "closed by peer");
  }
  server_says(link, "500 5.5.2 What?");
}

void read_lines(const LinkPtr& link) {
  for (;;) {
    if (link->chunk > 0) {
      if (link->input.size() < link->chunk || !link->server_open || link->mute) return;
      link->data = link->input.substr(0, link->chunk);
      link->input.erase(0, std::exchange(link->chunk, 0));
      on_bdat(link);
    }
    const std::size_t end = link->input.find("\r\n");
    if (end == std::string::npos || !link->server_open || link->mute) return;
    const std::string line = link->input.substr(0, end);
    link->input.erase(0, end + 2);
    on_line(link, line);
  }
}

void server_reads(const LinkPtr& link, const std::string& bytes) {
  if (!link->server_open) return;
  link->input += bytes;
  link->reading = true;
  read_lines(link);
  link->reading = false;
  flush_replies(link);
}

void server_accepts(const LinkPtr& link) {
  Receiver& receiver = link->receiver;
  ++receiver.connections;
  ++receiver.open_from[link->client];
  ++receiver.connections_seen;
  if (receiver.connections_max > 0 && receiver.connections > receiver.connections_max) {
    act(link, {Action::Kind::kReply, "421 4.7.0 Too many connections from your host"});
    return;
  }
  act(link, receiver.next("GREETING", "220 receiver.test ESMTP"));
}

// ---------------------------------------------------------------------------------------------------------------------
// The client's end

class SimStream final : public net::Stream {
 public:
  SimStream(LinkPtr link, net::Endpoint remote) : link_(std::move(link)), remote_(remote) {}
  ~SimStream() override {
    link_->handler = nullptr;
    link_->world.loop.after(link_->receiver.latency, [link = link_] {
      if (link->server_open) server_ends(*link);
    });
  }

  std::size_t write(std::string_view bytes) override {
    if (link_->handler == nullptr) return 0;
    link_->world.loop.after(link_->receiver.latency,
                            [link = link_, copy = std::string(bytes)] { server_reads(link, copy); });
    return bytes.size();
  }

  void start_tls(const net::TlsOptions& options) override {
    link_->world.loop.after(2 * link_->receiver.latency, [link = link_, options] {
      if (link->handler == nullptr) return;
      if (link->receiver.next("TLS", "ok").kind == Action::Kind::kFailTls) {
        server_closed(link, ErrorCode::kIo, "tls: handshake failure");
        return;
      }
      const net::TlsFailure failure = verdict(options, link->receiver);
      if (options.verify != net::TlsVerify::kNone && failure != net::TlsFailure::kNone) {
        link->handler->on_tls_failed(failure);
        server_closed(link, ErrorCode::kIo, "tls: certificate not verified");
        return;
      }
      link->tls = true;
      link->handler->on_tls({.version = "TLSv1.3",
                             .cipher = "TLS_AES_256_GCM_SHA384",
                             .verified = failure == net::TlsFailure::kNone,
                             .failure = failure});
    });
  }

  net::Endpoint remote() const override { return remote_; }

 private:
  static net::TlsFailure verdict(const net::TlsOptions& options, const Receiver& receiver) {
    if (options.verify != net::TlsVerify::kDane) return receiver.certificate;
    const bool right = std::ranges::any_of(options.tlsa, [](const auto& record) { return record.data == kRightKey; });
    return right ? net::TlsFailure::kNone : net::TlsFailure::kTlsaMismatch;
  }

  LinkPtr link_;
  net::Endpoint remote_;
};

Receiver& nobody() {
  static Receiver receiver;  // Stands for addresses where nothing listens; its state is never used.
  return receiver;
}

class SimTransport final : public net::Transport {
 public:
  explicit SimTransport(World& world) : world_(world) {}

  std::unique_ptr<net::Stream> connect(const net::IpAddress& local, const net::Endpoint& remote,
                                       net::StreamHandler& handler) override {
    const auto found = world_.receivers.find(remote.address.str());
    auto link = std::make_shared<Link>(world_, found == world_.receivers.end() ? nobody() : found->second);
    link->client = local.str();
    link->server = remote.address.str();
    link->handler = &handler;
    const Action action = found == world_.receivers.end() ? Action{Action::Kind::kRefuse, {}}
                                                          : found->second.next("CONNECT", "ok");
    if (action.kind == Action::Kind::kReply) {
      world_.loop.after(2 * link->receiver.latency, [link] {
        if (link->handler == nullptr) return;
        link->handler->on_connected();
        server_accepts(link);
      });
    } else {
      link->server_open = false;
      if (action.kind != Action::Kind::kSilence) {
        world_.loop.after(2 * link->receiver.latency, [link] {
          if (net::StreamHandler* to = std::exchange(link->handler, nullptr)) {
            to->on_closed({ErrorCode::kIo, "connection refused"});
          }
        });
      }
    }
    return std::make_unique<SimStream>(std::move(link), remote);
  }

 private:
  World& world_;
};

// ---------------------------------------------------------------------------------------------------------------------
// DNS and runtime

class SimResolver final : public net::Resolver {
 public:
  explicit SimResolver(World& world) : world_(world) {}
  void mx(std::string_view domain, Callback<net::MxRecord> done) override {
    answer(world_.mx, domain, std::move(done));
  }
  void addresses(std::string_view host, Callback<net::IpAddress> done) override {
    answer(world_.addresses, host, std::move(done));
  }
  void txt(std::string_view name, Callback<std::string> done) override {
    answer(world_.texts, name, std::move(done));
  }

 private:
  template <class Record>
  void answer(const std::map<std::string, std::vector<Record>>& zone, std::string_view asked, Callback<Record> done) {
    const std::string name(asked);
    net::DnsAnswer<Record> answer{.ttl = std::chrono::seconds(300)};
    if (const auto broken = world_.broken.find(name); broken != world_.broken.end()) {
      answer.status = broken->second;
      if (answer.status == net::DnsStatus::kFailed) answer.detail = "server failure";
    } else if (const auto found = zone.find(name); found != zone.end()) {
      answer.status = net::DnsStatus::kOk;
      answer.records = found->second;
    } else {
      const bool exists = world_.mx.contains(name) || world_.addresses.contains(name);
      answer.status = exists ? net::DnsStatus::kNoData : net::DnsStatus::kNxDomain;
    }
    world_.loop.after(kLatency, [alive = std::weak_ptr(alive_), done = std::move(done),
                                 answer = std::move(answer)]() mutable {
      if (!alive.expired()) done(answer);
    });
  }

  World& world_;
  std::shared_ptr<void> alive_ = std::make_shared<char>();
};

// What SimResolver says, and how secure that is.
class SimSecureResolver final : public net::SecureResolver {
 public:
  SimSecureResolver(World& world, net::Resolver& plain) : world_(world), plain_(plain) {}
  void mx(std::string_view domain, Callback<net::MxRecord> done) override {
    plain_.mx(domain, judge(std::string(domain), std::move(done)));
  }
  void addresses(std::string_view host, Callback<net::IpAddress> done) override {
    plain_.addresses(host, judge(std::string(host), std::move(done)));
  }
  void tlsa(std::string_view asked, Callback<net::TlsaRecord> done) override {
    const std::string name(asked);
    net::DnsAnswer<net::TlsaRecord> answer{.status = net::DnsStatus::kNoData};
    if (const auto found = world_.tlsa.find(name); found != world_.tlsa.end())
      answer = {.status = net::DnsStatus::kOk, .records = found->second};
    const bool bogus = world_.bogus.contains(name);
    if (bogus) answer = {.detail = "signature does not verify"};
    const auto security = bogus ? net::DnsSecurity::kBogus : net::DnsSecurity::kSecure;
    world_.loop.after(kLatency, [=, done = std::move(done)]() mutable {
      done({.answer = answer, .security = security, .owner = name});
    });
  }
  void cname(std::string_view asked, Callback<std::string> done) override {  // There are none in the simulation.
    world_.loop.after(kLatency, [name = std::string(asked), done = std::move(done)]() mutable {
      done({.answer = {.status = net::DnsStatus::kNoData}, .security = net::DnsSecurity::kSecure, .owner = name});
    });
  }
  void validates(UniqueFunction<void(bool)> done) override {
    world_.loop.after(kLatency, [done = std::move(done)]() mutable { done(true); });
  }

 private:
  template <class Record>
  net::Resolver::Callback<Record> judge(std::string name, Callback<Record> done) {
    return [this, name = std::move(name), done = std::move(done)](const net::DnsAnswer<Record>& answer) mutable {
      if (world_.bogus.contains(name))
        return done({.answer = {.detail = "signature does not verify"}, .security = net::DnsSecurity::kBogus, .owner = name});
      const auto security = world_.secure.contains(name) ? net::DnsSecurity::kSecure : net::DnsSecurity::kInsecure;
      done({.answer = answer, .security = security, .owner = name});
    };
  }

  World& world_;
  net::Resolver& plain_;
};

class SimHttps final : public net::HttpsClient {
 public:
  explicit SimHttps(World& world) : world_(world) {}
  void send(net::HttpsRequest request, Done done) override {
    if (!request.body.empty()) world_.posts.push_back(request);
    net::HttpsReply reply{.failure = net::HttpsFailure::kConnect, .detail = "connection refused"};
    if (const auto found = world_.pages.find(request.host); found != world_.pages.end()) reply = found->second;
    world_.loop.after(3 * kLatency, [reply, done = std::move(done)]() mutable { done(reply); });
  }

 private:
  World& world_;
};

class SimRuntime final : public net::Runtime {
 public:
  SimRuntime(World& world, std::uint64_t seed)
      : world_(world), transport_(world), resolver_(world), secure_(world, resolver_), https_(world), seed_(seed) {}
  int workers() const noexcept override { return 1; }
  net::Loop& loop(int) noexcept override { return world_.loop; }
  net::Transport& transport(int) noexcept override { return transport_; }
  net::Resolver& resolver(int) noexcept override { return resolver_; }
  net::SecureResolver* secure_resolver(int) noexcept override { return world_.policies ? &secure_ : nullptr; }
  net::HttpsClient* https(int) noexcept override { return world_.policies ? &https_ : nullptr; }
  Executor& cpu() noexcept override { return world_.loop; }
  Executor& events() noexcept override { return world_.loop; }
  const Clock& clock() const noexcept override { return world_.loop; }
  std::uint64_t seed() const noexcept override { return seed_; }
  void stop() override { world_.loop.run_tasks(); }

 private:
  World& world_;
  SimTransport transport_;
  SimResolver resolver_;
  SimSecureResolver secure_;
  SimHttps https_;
  std::uint64_t seed_;
};

}  // namespace

std::shared_ptr<net::Runtime> make_runtime(World& world, std::uint64_t seed) {
  return std::make_shared<SimRuntime>(world, seed);
}

}  // namespace mailsbuddy::sim
