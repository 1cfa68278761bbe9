// cares_resolver.cc - c-ares 1.18 gives no TTL for MX, so whole messages are asked for and read by dns_parse.
#include "core/net/cares_resolver.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/net/dns_parse.h"

namespace mailsbuddy::net {
namespace {

using std::chrono::milliseconds;

// How long a half answer (A failed, AAAA did not) stands.
constexpr std::chrono::seconds kHalfAnswerTtl{5};
constexpr int kSocketBufferBytes = 1 << 20;  // The kernel gives what net.core.rmem_max allows.

std::string join_servers(ares_channel channel) {
  ares_addr_port_node* first = nullptr;
  if (ares_get_servers_ports(channel, &first) != ARES_SUCCESS) return "DNS";
  std::string text;
  for (const ares_addr_port_node* node = first; node != nullptr; node = node->next) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &node->addr, node->family == AF_INET ? 4U : 16U);
    const IpAddress address =
        node->family == AF_INET ? IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}) : IpAddress::v6(bytes);
    const int port = node->udp_port == 0 ? NS_DEFAULTPORT : node->udp_port;
    text += (text.empty() ? "" : ", ") + Endpoint{address, static_cast<std::uint16_t>(port)}.str();
  }
  const bool several = first != nullptr && first->next != nullptr;
  ares_free_data(first);
  return (several ? "servers " : "server ") + text;
}

}  // namespace

// A socket of c-ares' in the loop.
struct CaresResolver::Watcher final : HandleOwner {
  Watcher(CaresResolver& owner, ares_socket_t socket) : resolver(owner), fd(socket) {}
  void close() noexcept {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&poll)) != 0) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll), [](uv_handle_t* handle) noexcept {
      delete static_cast<Watcher*>(static_cast<HandleOwner*>(handle->data));
    });
  }
  void loop_stopping() noexcept override {
    resolver.watchers_.erase(fd);
    close();
  }
  CaresResolver& resolver;
  ares_socket_t fd;
  uv_poll_t poll{};
};

// AAAA and A of one addresses().
struct CaresResolver::Pair {
  Callback<IpAddress> done;
  DnsAnswer<IpAddress> v6;
  DnsAnswer<IpAddress> v4;
  int missing = 2;
};

CaresResolver::CaresResolver(UvLoop& loop, Duration timeout)
    : loop_(loop),
      tick_(std::clamp<Duration>(timeout / 4, milliseconds(10), milliseconds(250))),
      timer_([this] { tick(); }) {}

Result<std::unique_ptr<CaresResolver>> CaresResolver::make(UvLoop& loop, const ResolverOptions& options) {
  if (options.timeout < milliseconds(1) || options.timeout > std::chrono::hours(1))
    return Error{ErrorCode::kInvalidArgument, "resolver timeout: not from 1 ms to 1 h"};
  if (options.tries < 1 || options.tries > 100)
    return Error{ErrorCode::kInvalidArgument, "resolver tries: not from 1 to 100"};
  for (const Endpoint& server : options.servers)
    if (server.address.unspecified() || server.port == 0)
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("resolver: \"{}\" is not a server's address and port", server.str())};
  std::unique_ptr<CaresResolver> resolver(new CaresResolver(loop, options.timeout));
  if (const auto opened = resolver->open(options); !opened) return opened.error();
  return resolver;
}

Result<void> CaresResolver::open(const ResolverOptions& options) {
  // With every one of these set c-ares reads neither the environment nor files; the servers alone come from the system.
  std::array<char, 2> lookups{"b"};
  ares_options set{};
  set.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  set.ednspsz = kDnsUdpBytes;
  set.timeout = static_cast<int>(std::chrono::ceil<milliseconds>(options.timeout).count());
  set.tries = options.tries;
  set.ndots = 1;
  set.lookups = lookups.data();
  set.socket_receive_buffer_size = kSocketBufferBytes;
  set.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) noexcept {
    static_cast<CaresResolver*>(self)->watch(fd, readable != 0, writable != 0);
  };
  set.sock_state_cb_data = this;
  int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
             ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE | ARES_OPT_SOCK_RCVBUF |
             ARES_OPT_SOCK_STATE_CB;
  if (!options.servers.empty()) mask |= ARES_OPT_SERVERS;
  if (const int status = ares_init_options(&channel_, &set, mask); status != ARES_SUCCESS)
    return Error{ErrorCode::kIo, fmt::format("setting up the resolver: {}", ares_strerror(status))};
  std::string list;
  for (const Endpoint& server : options.servers) list += (list.empty() ? "" : ",") + server.str();
  if (!list.empty())
    if (const int status = ares_set_servers_ports_csv(channel_, list.c_str()); status != ARES_SUCCESS)
      return Error{ErrorCode::kInvalidArgument, fmt::format("resolver servers {}: {}", list, ares_strerror(status))};
  servers_ = join_servers(channel_);
  return {};
}

CaresResolver::~CaresResolver() {
  if (channel_ != nullptr) ares_destroy(channel_);  // Calls back every question, with ARES_EDESTRUCTION.
}

// ---------------------------------------------------------------------------------------------------------------------
// Questions

void CaresResolver::ask(std::string_view name, int type, UniqueFunction<void(const Raw&)> done) {
  waiting_.push_back(std::make_unique<Question>(Question{this, std::string(name), type, std::move(done)}));
  pump();
}

void CaresResolver::pump() {
  if (std::exchange(pumping_, true)) return;  // c-ares may call back from inside ares_query().
  while (asked_ < kDnsQuestionsMax && !waiting_.empty()) {
    Question* question = waiting_.front().release();
    waiting_.pop_front();
    ++asked_;
    ares_query(
        channel_, question->name.c_str(), ns_c_in, question->type,
        [](void* argument, int status, int, unsigned char* bytes, int length) noexcept {
          std::unique_ptr<Question> asked(static_cast<Question*>(argument));
          if (status == ARES_EDESTRUCTION) return;
          CaresResolver& resolver = *asked->resolver;
          const std::size_t size = bytes == nullptr || length < 0 ? 0 : static_cast<std::size_t>(length);
          resolver.answered(std::move(asked), {status, {bytes, size}});
        },
        question);
  }
  pumping_ = false;
  if (asked_ > 0 && !timer_.armed()) loop_.timers().arm(timer_, loop_.now() + tick_);
}

void CaresResolver::answered(std::unique_ptr<Question> question, const Raw& raw) {
  --asked_;
  question->done(raw);
  pump();
}

// A regular look at time-outs. ares_timeout(), which tells the next one, walks every open question.
void CaresResolver::tick() {
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  if (asked_ > 0 && !timer_.armed()) loop_.timers().arm(timer_, loop_.now() + tick_);
}

void CaresResolver::watch(ares_socket_t fd, bool readable, bool writable) noexcept {
  auto found = watchers_.find(fd);
  if (!readable && !writable) {
    if (found == watchers_.end()) return;
    found->second->close();
    watchers_.erase(found);
    return;
  }
  if (loop_.closed()) return;
  if (found == watchers_.end()) {
    auto watcher = std::make_unique<Watcher>(*this, fd);
    if (uv_poll_init_socket(loop_.uv(), &watcher->poll, fd) < 0) return;  // The question will time out.
    watcher->poll.data = static_cast<HandleOwner*>(watcher.get());
    found = watchers_.emplace(fd, watcher.release()).first;
  }
  const int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  uv_poll_start(&found->second->poll, events, [](uv_poll_t* poll, int status, int ready) noexcept {
    const auto& watcher = *static_cast<Watcher*>(static_cast<HandleOwner*>(poll->data));
    const bool error = status < 0;  // c-ares finds out which by trying.
    ares_process_fd(watcher.resolver.channel_, error || (ready & UV_READABLE) != 0 ? watcher.fd : ARES_SOCKET_BAD,
                    error || (ready & UV_WRITABLE) != 0 ? watcher.fd : ARES_SOCKET_BAD);
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Answers

template <class Record>
DnsAnswer<Record> CaresResolver::read(const Raw& raw, DnsAnswer<Record> (*parse)(std::span<const std::uint8_t>)) const {
  DnsAnswer<Record> answer;
  switch (raw.status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
      answer = parse(raw.message);
      if (answer.status == DnsStatus::kFailed) answer.detail = fmt::format("{}: {}", servers_, answer.detail);
      return answer;
    case ARES_EBADNAME:  // A label over 63 octets, a name over 255: it will never exist.
      answer.status = DnsStatus::kNxDomain;
      return answer;
    case ARES_ETIMEOUT:
      answer.detail = fmt::format("{} did not answer", servers_);
      return answer;
    case ARES_ECONNREFUSED:  // c-ares reports these alike once it has been through all servers.
      answer.detail = fmt::format("{} cannot be reached, or answered SERVFAIL or REFUSED", servers_);
      return answer;
    default:
      answer.detail = fmt::format("{}: {}", servers_, ares_strerror(raw.status));
      return answer;
  }
}

// Always by a posted task: c-ares may call back from inside ares_query(), and must not be destroyed from a callback.
template <class Record>
void CaresResolver::deliver(Callback<Record> done, DnsAnswer<Record> answer) {
  loop_.post([alive = std::weak_ptr(alive_), done = std::move(done), answer = std::move(answer)]() mutable {
    if (!alive.expired()) done(answer);
  });
}

void CaresResolver::mx(std::string_view domain, Callback<MxRecord> done) {
  ask(domain, ns_t_mx,
      [this, done = std::move(done)](const Raw& raw) mutable { deliver(std::move(done), read(raw, parse_mx)); });
}

void CaresResolver::txt(std::string_view name, Callback<std::string> done) {
  ask(name, ns_t_txt,
      [this, done = std::move(done)](const Raw& raw) mutable { deliver(std::move(done), read(raw, parse_txt)); });
}

void CaresResolver::addresses(std::string_view host, Callback<IpAddress> done) {
  auto pair = std::make_shared<Pair>(Pair{std::move(done), {}, {}, 2});
  const auto finish = [this](Pair& both) {
    if (--both.missing == 0) deliver(std::move(both.done), merge(std::move(both.v6), both.v4, kHalfAnswerTtl));
  };
  ask(host, ns_t_aaaa, [this, pair, finish](const Raw& raw) {
    pair->v6 = read(raw, parse_aaaa);
    finish(*pair);
  });
  ask(host, ns_t_a, [this, pair, finish](const Raw& raw) {
    pair->v4 = read(raw, parse_a);
    finish(*pair);
  });
}

}  // namespace mailsbuddy::net
