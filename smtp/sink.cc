#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mailsbuddy/smtp.h"
#include "smtp/acceptor.h"
#include "smtp/sink_worker.h"

namespace mailsbuddy::smtp {

// Destroyed from the last to the first: loops stop in the destructor, before anything that lives on them goes.
struct Sink::State {
  ~State();
  Result<void> prepare();
  Result<void> listen();
  Result<void> run();
  std::optional<std::size_t> find_profile(std::string_view name) const noexcept;

  SinkShared shared;
  std::vector<std::unique_ptr<Acceptor>> acceptors;  // In the order of SinkOptions::listeners.
  std::vector<std::unique_ptr<SinkWorker>> workers;  // The first one accepts for all.
  std::size_t next_worker = 0;                       // The first worker's thread.
};

Sink::State::~State() {
  for (const auto& worker : workers) worker->stop();  // The first one first: it posts to the others.
}

std::optional<std::size_t> Sink::State::find_profile(std::string_view name) const noexcept {
  const auto& profiles = shared.options.profiles;
  const auto found =
      std::find_if(profiles.begin(), profiles.end(), [&](const auto& each) { return each.name == name; });
  if (found == profiles.end()) return std::nullopt;
  return static_cast<std::size_t>(found - profiles.begin());
}

Result<void> Sink::State::prepare() {
  const SinkOptions& options = shared.options;
  if (options.threads < 1) return Error{ErrorCode::kInvalidArgument, "sink: threads must be at least 1"};
  if (!(options.maildir_sample >= 0 && options.maildir_sample <= 1))
    return Error{ErrorCode::kInvalidArgument, "sink: maildir_sample is not between 0 and 1"};
  for (const SinkProfile& profile : options.profiles) {
    if (const auto checked = SinkPolicy::check(profile); !checked) return checked.error();
    if (&profile != &options.profiles[*find_profile(profile.name)])
      return Error{ErrorCode::kInvalidArgument, fmt::format("sink: two profiles named \"{}\"", profile.name)};
    shared.policies.push_back(std::make_unique<SinkPolicy>(profile, options.seed));
    if (!profile.start_tls || shared.tls) continue;
    auto tls = make_tls_server_context(options.tls_certificate_pem, options.tls_key_pem, profile.banner_host);
    if (!tls) return tls.error();
    shared.tls = std::move(*tls);
  }
  if (options.maildir.empty()) return {};
  shared.maildir = std::make_unique<SinkMaildir>(options.maildir);
  return shared.maildir->create();
}

Result<void> Sink::State::listen() {
  for (const SinkListener& listener : shared.options.listeners) {
    if (!find_profile(listener.profile))
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("sink: {} has no profile \"{}\"", listener.endpoint.str(), listener.profile)};
    auto acceptor = Acceptor::bind(listener.endpoint);
    if (!acceptor) return acceptor.error();
    acceptors.push_back(std::move(*acceptor));
  }
  return {};
}

Result<void> Sink::State::run() {
  for (int i = 0; i < shared.options.threads; ++i) {
    auto worker = SinkWorker::make(shared, shared.options.seed + static_cast<std::uint64_t>(i));
    if (!worker) return worker.error();
    workers.push_back(std::move(*worker));
  }
  for (std::size_t i = 0; i < acceptors.size(); ++i) {
    const std::size_t profile = *find_profile(shared.options.listeners[i].profile);
    const auto hand_on = [this, profile](int socket) {  // In turn: an even load however few connections there are.
      workers[next_worker++ % workers.size()]->adopt(socket, profile);
    };
    if (const auto started = acceptors[i]->start(workers.front()->loop(), hand_on); !started) return started.error();
  }
  for (const auto& worker : workers)
    if (const auto started = worker->start(); !started) return started.error();
  return {};
}

Result<std::unique_ptr<Sink>> Sink::start(SinkOptions options) {
  auto state = std::make_unique<State>();
  state->shared.options = std::move(options);
  for (const auto step : {&State::prepare, &State::listen, &State::run})
    if (const auto done = (state.get()->*step)(); !done) return done.error();
  return std::unique_ptr<Sink>(new Sink(std::move(state)));
}

Sink::Sink(std::unique_ptr<State> state) : state_(std::move(state)) {}

Sink::~Sink() = default;

std::vector<net::Endpoint> Sink::endpoints() const {
  std::vector<net::Endpoint> endpoints;
  for (const auto& acceptor : state_->acceptors) endpoints.push_back(acceptor->endpoint());
  return endpoints;
}

std::vector<SinkCounts> Sink::counts() const {
  std::vector<SinkCounts> all;
  for (std::size_t i = 0; i < state_->shared.policies.size(); ++i) {
    SinkCounts& counts = all.emplace_back();
    counts.profile = state_->shared.options.profiles[i].name;
    for (const auto& worker : state_->workers) worker->counters(i).merge_into(counts);
  }
  return all;
}

}  // namespace mailsbuddy::smtp
