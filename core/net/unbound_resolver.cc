// unbound_resolver.cc - the context has one asynchronous thread; its pipe is watched by the loop, where ub_process()
// calls back. Messages are read by dns_parse, as those of c-ares.
#include "core/net/unbound_resolver.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <unbound.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "core/base/ascii.h"
#include "core/net/dns_parse.h"

namespace mailsbuddy::net {
namespace {

constexpr int kTypeTlsa = 52;  // RFC 6698 7.1.

// The root's key-signing keys of 2017 and of 2024, as IANA publishes them.
constexpr std::string_view kRootAnchors =
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

std::string_view anchors_of(const SecureResolverOptions& options) {
  return options.trust_anchors.empty() ? kRootAnchors : std::string_view(options.trust_anchors);
}

// What the first line of the anchors is about: "." or a zone.
std::string first_anchor(std::string_view anchors) {
  anchors.remove_prefix(std::min(anchors.find_first_not_of(" \t\r\n"), anchors.size()));
  return std::string(anchors.substr(0, anchors.find_first_of(" \t")));
}

// libunbound's syntax: a port follows an '@'.
std::string forward_of(const Endpoint& server) { return fmt::format("{}@{}", server.address.str(), server.port); }

std::string without_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return ascii::to_lower(name);
}

// So many sockets; it has 16 by itself, which as many servers that are silent would hold up all.
const std::string kSockets = std::to_string(2 * kSecureQuestionsMax);

// Making and dropping a context changes globals of libunbound, its log's mutex among them, which two threads may
// otherwise initialise at once (NLnetLabs/unbound#1492): one at a time in the process.
std::mutex& making_contexts() {
  static std::mutex mutex;
  return mutex;
}

void drop(ub_ctx* context) noexcept {
  const std::lock_guard lock(making_contexts());
  ub_ctx_delete(context);
}

struct ContextDeleter {
  void operator()(ub_ctx* context) const noexcept { ub_ctx_delete(context); }
};

}  // namespace

std::string zone_of(std::string_view name) {
  const std::string whole = without_dot(name);
  const auto label_before = [&](std::size_t end) {  // Where it begins.
    const std::size_t dot = end == 0 ? std::string::npos : whole.rfind('.', end - 1);
    return dot == std::string::npos ? 0 : dot + 1;
  };
  static constexpr std::array<std::string_view, 12> kRegistries = {"ac", "co",  "com", "edu", "go",  "gob",
                                                                   "gov", "gv", "ne",  "net", "or", "org"};
  const std::size_t top = label_before(whole.size());
  if (top == 0) return whole;
  const std::size_t second = label_before(top - 1);
  const std::string_view label = std::string_view(whole).substr(second, top - 1 - second);
  const bool registry = whole.size() - top == 2 && std::ranges::find(kRegistries, label) != kRegistries.end();
  return whole.substr(registry && second > 0 ? label_before(second - 1) : second);
}

struct UnboundResolver::Question {
  Question(UnboundResolver& its_resolver, std::string_view its_name, int its_type, Answered its_done)
      : resolver(its_resolver),
        name(its_name),
        zone(zone_of(its_name)),
        type(its_type),
        done(std::move(its_done)),
        timer([this] { resolver.tick(*this); }) {}
  UnboundResolver& resolver;
  std::string name;
  std::string zone;
  int type;
  Answered done;
  int id = -1;  // libunbound's; -1: it has none.
  TimePoint asked{};
  Timer timer;
};

// libunbound's pipe in the loop.
struct UnboundResolver::Watcher final : HandleOwner {
  explicit Watcher(UnboundResolver& owner) : resolver(owner) {}
  void close() noexcept {
    auto* handle = reinterpret_cast<uv_handle_t*>(&poll);
    if (uv_is_closing(handle) != 0) return;
    uv_close(handle, [](uv_handle_t* closed) noexcept {
      delete static_cast<Watcher*>(static_cast<HandleOwner*>(closed->data));
    });
  }
  void loop_stopping() noexcept override {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&poll)) != 0) return;  // The resolver is gone already.
    resolver.watcher_ = nullptr;
    close();
  }
  UnboundResolver& resolver;
  uv_poll_t poll{};
};

// AAAA and A of one addresses().
struct UnboundResolver::Pair {
  Callback<IpAddress> done;
  SecureAnswer<IpAddress> v6{};
  SecureAnswer<IpAddress> v4{};
  int missing = 2;
};

// ---------------------------------------------------------------------------------------------------------------------
// Opening

UnboundResolver::UnboundResolver(UvLoop& loop, SecureResolverOptions options)
    : loop_(loop), options_(std::move(options)), slots_(kSecureQuestionsMax, kZoneQuestionsMax) {}

Result<std::unique_ptr<UnboundResolver>> UnboundResolver::make(UvLoop& loop, const SecureResolverOptions& options) {
  if (options.timeout < std::chrono::milliseconds(1) || options.timeout > std::chrono::hours(1))
    return Error{ErrorCode::kInvalidArgument, "secure resolver timeout: not from 1 ms to 1 h"};
  for (const Endpoint& server : options.servers)
    if (server.address.unspecified() || server.port == 0)
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("secure resolver: \"{}\" is not a server's address and port", server.str())};
  if (!options.trust_anchors.empty()) {  // Only to see whether they can be read; making a context costs little.
    const auto context = make_context(options);
    if (!context) return context.error();
    drop(*context);
  }
  return std::unique_ptr<UnboundResolver>(new UnboundResolver(loop, options));
}

Result<ub_ctx*> UnboundResolver::make_context(const SecureResolverOptions& options) {
  const std::lock_guard lock(making_contexts());
  std::unique_ptr<ub_ctx, ContextDeleter> context(ub_ctx_create());
  if (!context) return Error{ErrorCode::kResourceExhausted, "secure resolver: libunbound gives no context"};
  const auto refused = [](std::string_view what, int why) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("secure resolver: {}: {}", what, ub_strerror(why))};
  };
  ub_ctx_debugout(context.get(), nullptr);  // A library prints nothing; what went wrong is in the answers.
  // The forwarder may well be on this host.
  ub_ctx_set_option(context.get(), "do-not-query-localhost:", "no");
  ub_ctx_set_option(context.get(), "module-config:", "validator iterator");
  ub_ctx_set_option(context.get(), "qname-minimisation:", "no");  // Forwarders are asked for all of it anyway.
  ub_ctx_set_option(context.get(), "outgoing-range:", kSockets.c_str());
  // What it learns of a server's times, it does not keep: a forwarder that is silent about some zones would be given up
  // for all.
  ub_ctx_set_option(context.get(), "infra-host-ttl:", "0");
  for (const Endpoint& server : options.servers)
    if (const int why = ub_ctx_set_fwd(context.get(), forward_of(server).c_str()); why != UB_NOERROR)
      return refused(server.str(), why);
  if (options.servers.empty())
    if (const int why = ub_ctx_resolvconf(context.get(), nullptr); why != UB_NOERROR)
      return refused("the system's servers", why);
  for (std::string_view rest = anchors_of(options); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.starts_with(';')) continue;
    if (const int why = ub_ctx_add_ta(context.get(), line.c_str()); why != UB_NOERROR)
      return refused(fmt::format("trust anchor \"{}\"", line), why);
  }
  // The anchors are only read when the first question is asked: ask one that needs no server.
  ub_ctx_async(context.get(), 1);
  ub_result* nothing = nullptr;
  const int why = ub_resolve(context.get(), "localhost.", ns_t_a, ns_c_in, &nothing);
  ub_resolve_free(nothing);
  if (why != UB_NOERROR) return refused("trust anchors", why);
  return context.release();
}

bool UnboundResolver::open() {
  if (context_ != nullptr) return true;
  if (!cannot_open_.empty() || loop_.closed()) return false;
  auto context = make_context(options_);
  if (!context) {
    cannot_open_ = context.error().detail;
    return false;
  }
  auto watcher = std::make_unique<Watcher>(*this);
  if (uv_poll_init(loop_.uv(), &watcher->poll, ub_fd(*context)) < 0) {
    drop(*context);
    cannot_open_ = "secure resolver: its pipe cannot be watched";
    return false;
  }
  context_ = *context;
  watcher->poll.data = static_cast<HandleOwner*>(watcher.get());
  watcher_ = watcher.release();
  uv_poll_start(&watcher_->poll, UV_READABLE, [](uv_poll_t* poll, int, int) noexcept {
    UnboundResolver& self = static_cast<Watcher*>(static_cast<HandleOwner*>(poll->data))->resolver;
    ub_process(self.context_);
    self.pump();
  });
  return true;
}

UnboundResolver::~UnboundResolver() {
  if (watcher_ != nullptr) watcher_->close();
  asked_.clear();
  if (context_ != nullptr) drop(context_);  // Ends its thread; calls nobody back.
}

// ---------------------------------------------------------------------------------------------------------------------
// Questions

void UnboundResolver::ask(std::string_view name, int type, Answered done) {
  auto question = std::make_unique<Question>(*this, name, type, std::move(done));
  const std::string zone = question->zone;
  slots_.wait(zone, std::move(question));
  pump();
}

void UnboundResolver::pump() {
  while (auto question = slots_.next()) start(*std::move(question));
}

// As many of those that have had their place for long as there are who wait for one: at once, for each that ends alone
// would let the next one stay.
void UnboundResolver::hurry(TimePoint now) {
  std::vector<Question*> late;
  for (const auto& [question, owned] : asked_) {
    if (question->asked != TimePoint{} && now >= question->asked + kSecureHurried) late.push_back(question);
  }
  const std::size_t wanted = slots_.starved();
  for (std::size_t i = 0; i < late.size(); ++i) {
    if (i < wanted)
      finish(*late[i], UB_NOERROR, nullptr);
    else
      loop_.timers().arm(late[i]->timer, std::min<TimePoint>(late[i]->asked + options_.timeout, now + kSecureHurried));
  }
}

// Looks at a question from time to time, so that it ends early if others come to wait for its place.
void UnboundResolver::tick(Question& question) {
  const TimePoint now = loop_.now();
  const TimePoint end = question.asked + options_.timeout;
  if (now >= end) return finish(question, UB_NOERROR, nullptr);
  if (now >= question.asked + kSecureHurried && slots_.starved() > 0) return hurry(now);
  loop_.timers().arm(question.timer, std::min<TimePoint>(end, now + kSecureHurried));
}

void UnboundResolver::start(std::unique_ptr<Question> owned) {
  Question& question = *owned;
  asked_.emplace(&question, std::move(owned));
  if (!open()) return post_finish(question, UB_INITFAIL);
  const int error = ub_resolve_async(
      context_, question.name.c_str(), question.type, ns_c_in, &question,
      [](void* argument, int why, ub_result* result) noexcept {
        auto& asked = *static_cast<Question*>(argument);
        asked.id = -1;
        asked.resolver.finish(asked, why, result);
      },
      &question.id);
  if (error != UB_NOERROR) return post_finish(question, error);
  question.asked = loop_.now();
  tick(question);
}

void UnboundResolver::post_finish(Question& question, int error) {
  question.id = -1;
  loop_.post([this, alive = std::weak_ptr(alive_), asked = &question, error] {
    if (!alive.expired()) finish(*asked, error, nullptr);
  });
}

// Called from ub_process(), from the timer, or from a task. The answer goes out by a task: whoever gets it may destroy
// the resolver, which must not happen inside ub_process().
void UnboundResolver::finish(Question& question, int error, ub_result* result) {
  auto owned = std::move(asked_.extract(&question).mapped());
  loop_.timers().cancel(owned->timer);
  if (owned->id >= 0) ub_cancel(context_, owned->id);
  slots_.leave(owned->zone);
  std::shared_ptr<ub_result> kept(result, ub_resolve_free);
  loop_.post([this, alive = std::weak_ptr(alive_), asked = std::move(owned), error, kept] {
    if (alive.expired()) return;
    pump();
    asked->done(error, kept.get());
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Answers

template <class Record>
SecureAnswer<Record> UnboundResolver::read(std::string_view name, int error, const ub_result* result,
                                           DnsAnswer<Record> (*parse)(std::span<const std::uint8_t>)) const {
  SecureAnswer<Record> out{.answer = {}, .security = DnsSecurity::kInsecure, .owner = without_dot(name)};
  if (error != UB_NOERROR || result == nullptr) {
    out.answer.detail = !cannot_open_.empty() ? cannot_open_
                        : error != UB_NOERROR ? fmt::format("validation: {}", ub_strerror(error))
                                              : std::string("validation took too long");
    return out;
  }
  if (result->bogus != 0) {
    out.security = DnsSecurity::kBogus;
    out.answer.detail =
        fmt::format("DNSSEC: {}", result->why_bogus != nullptr ? result->why_bogus : "validation failed");
    return out;
  }
  out.security = result->secure != 0 ? DnsSecurity::kSecure : DnsSecurity::kInsecure;
  if (result->canonname != nullptr) out.owner = without_dot(result->canonname);
  if (result->answer_packet == nullptr || result->answer_len <= 0) {
    out.answer.detail = result->rcode == ns_r_servfail ? "answered SERVFAIL" : "no answer that can be read";
    return out;
  }
  out.answer =
      parse({static_cast<const std::uint8_t*>(result->answer_packet), static_cast<std::size_t>(result->answer_len)});
  return out;
}

void UnboundResolver::mx(std::string_view domain, Callback<MxRecord> done) {
  ask(domain, ns_t_mx,
      [this, name = std::string(domain), done = std::move(done)](int error, const ub_result* result) mutable {
        done(read(name, error, result, parse_mx));
      });
}

void UnboundResolver::tlsa(std::string_view asked, Callback<TlsaRecord> done) {
  ask(asked, kTypeTlsa,
      [this, name = std::string(asked), done = std::move(done)](int error, const ub_result* result) mutable {
        done(read(name, error, result, parse_tlsa));
      });
}

void UnboundResolver::cname(std::string_view asked, Callback<std::string> done) {
  ask(asked, ns_t_cname,
      [this, name = std::string(asked), done = std::move(done)](int error, const ub_result* result) mutable {
        done(read(name, error, result, parse_cname));
      });
}

void UnboundResolver::addresses(std::string_view host, Callback<IpAddress> done) {
  auto pair = std::make_shared<Pair>(Pair{.done = std::move(done)});
  const auto finish = [](Pair& both) {
    if (--both.missing != 0) return;
    // RFC 7672 2.1.2: one that is bogus or cannot be had spoils both, and both must be secure.
    SecureAnswer<IpAddress> out{.answer = {}, .security = both.v6.security, .owner = both.v6.owner};
    if (both.v4.security != DnsSecurity::kSecure) out.security = both.v4.security;
    for (const auto* half : {&both.v6, &both.v4})
      if (half->security == DnsSecurity::kBogus) out.security = DnsSecurity::kBogus;
    const bool v6_failed = both.v6.answer.status == DnsStatus::kFailed;
    if (v6_failed || both.v4.answer.status == DnsStatus::kFailed)
      out.answer = v6_failed ? both.v6.answer : both.v4.answer;
    else
      out.answer = merge(both.v6.answer, both.v4.answer, std::chrono::seconds(0));
    both.done(out);
  };
  const auto half = [&](int type, SecureAnswer<IpAddress> Pair::*which, auto parse) {
    ask(host, type, [this, pair, finish, which, parse, name = std::string(host)](int error, const ub_result* result) {
      (*pair).*which = read(name, error, result, parse);
      finish(*pair);
    });
  };
  half(ns_t_aaaa, &Pair::v6, parse_aaaa);
  half(ns_t_a, &Pair::v4, parse_a);
}

void UnboundResolver::validates(UniqueFunction<void(bool)> done) {
  const std::string zone = first_anchor(anchors_of(options_));
  ask(zone, ns_t_dnskey, [done = std::move(done)](int error, const ub_result* result) mutable {
    done(error == UB_NOERROR && result != nullptr && result->secure != 0 && result->havedata != 0);
  });
}

}  // namespace mailsbuddy::net
