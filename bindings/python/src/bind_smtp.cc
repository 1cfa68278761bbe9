// One SMTP connection, used from one thread at a time (mailsbuddy/smtp.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "bindings/python/src/wait.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::python {
namespace {

struct ClientOptions {
  std::string host;
  std::uint16_t port = 25;
  net::RuntimeOptions runtime{};
  smtp::PoolOptions pool{};
};

// A Pool of one connection on a loop of its own, and a state that the calling thread waits for. Threads: the handler's
// calls come on the loop's thread; all else on Python's, one call at a time (the GIL does not see to that, busy_ does).
// Ownership: a message under way is kept here until its connection is done with it or gone.
class Client final : public smtp::PoolHandler {
 public:
  explicit Client(ClientOptions options) : options_(std::move(options)), process_(getpid()) {}
  ~Client() override {
    if (getpid() == process_) {
      without_gil([this] { close_now(); });
    } else {
      abandon();
    }
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // True: connected, as far as EHLO, TLS and the login. Else the outcome says why not.
  py::object connect() {
    const Turn turn(*this);
    if (connected()) raise(ErrorCode::kAlreadyExists, "this client is connected already");
    without_gil([this] { close_now(); });  // The server may have hung up since the last time.
    runtime_ = value_or_raise(without_gil([&] { return net::make_runtime(options_.runtime); }));
    state_ = State::kOpening;
    failure_.reset();
    runtime_->loop(0).post([this] { open(); });
    wait(State::kOpening);
    if (connected()) return py::none();
    const Outcome why = failure_.value_or(Outcome{});
    without_gil([this] { close_now(); });
    return py::cast(why);
  }

  // One outcome a recipient, in their order. More than the server takes of a transaction go in several.
  py::list send(const std::string& sender, std::vector<std::string> recipients, const py::bytes& message, bool smtputf8,
                bool require_tls) {
    const Turn turn(*this);
    if (!connected()) raise(ErrorCode::kClosed, "the connection is closed; connect() makes a new one");
    if (recipients.empty()) raise(ErrorCode::kInvalidArgument, "recipients: there are none");
    sender_ = sender;
    recipients_ = std::move(recipients);
    smtputf8_ = smtputf8;
    require_tls_ = require_tls;
    without_gil([&, bytes = std::string_view(message)] {
      data_.clear();
      eight_bit_ = smtp::dot_stuff(bytes, data_);
      message_bytes_ = bytes.size();
    });
    outcomes_.assign(recipients_.size(), std::nullopt);
    while (true) {
      choose();
      if (chosen_.empty()) break;
      if (!pass_from_ready(State::kBusy)) break;
      runtime_->loop(0).post([this] {
        if (is(State::kBusy)) pool_->send(connection_, transaction());  // Else the server has just gone.
      });
      wait(State::kBusy);
      if (std::none_of(chosen_.begin(), chosen_.end(), [this](std::size_t i) { return outcomes_[i].has_value(); })) break;
    }
    py::list list;
    for (const auto& each : outcomes_) list.append(each ? *each : lost());
    return list;
  }

  void quit() {
    const Turn turn(*this);
    if (runtime_ == nullptr) return;
    if (pass_from_ready(State::kQuitting)) {
      runtime_->loop(0).post([this] { pool_->quit_idle(); });
      wait(State::kQuitting);
    }
    without_gil([this] { close_now(); });
  }

  // At once, without QUIT.
  void close() {
    const Turn turn(*this);
    without_gil([this] { close_now(); });
  }

  bool connected() { return is(State::kReady); }
  bool tls() const noexcept { return tls_; }
  bool verified() const noexcept { return verified_; }
  const std::string& remote() const noexcept { return remote_; }

 private:
  enum class State : std::uint8_t { kClosed, kOpening, kReady, kBusy, kQuitting };

  // Two threads in one client would mix their messages up.
  class Turn {
   public:
    explicit Turn(Client& client) : client_(client) {
      if (getpid() != client.process_) {
        raise(ErrorCode::kUnsupported, "this Client was made before a fork: make one in this process");
      }
      if (client.in_use_) raise(ErrorCode::kUnavailable, "another thread is using this client; one each, or a lock");
      client.in_use_ = true;
    }
    ~Turn() { client_.in_use_ = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    const Wait wait_;  // To the end: also closing takes the GIL again.
    Client& client_;
  };

  bool is(State state) {
    const std::lock_guard lock(mutex_);
    return state_ == state;
  }
  bool pass_from_ready(State to) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kReady) return false;
    state_ = to;
    return true;
  }

  // The loop's thread.
  void open() {
    random_.emplace(runtime_->seed());
    pool_ = std::make_unique<smtp::Pool>(runtime_->loop(0), runtime_->transport(0), runtime_->resolver(0), options_.pool,
                                         std::vector<smtp::RouteHost>{{0, options_.host, options_.port}}, *this, *random_);
    pool_->open();
  }
  void on_ready(smtp::Pool& pool, smtp::ConnectionId connection) override {
    const std::lock_guard lock(mutex_);
    connection_ = connection;
    const auto info = pool.info(connection);
    tls_ = info.tls;
    verified_ = info.verified != net::TlsVerify::kNone;
    remote_ = info.remote.str();
    become(State::kReady);
  }
  void on_recipient(smtp::Pool&, smtp::ConnectionId, std::size_t recipient, const Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    if (outcome.cause != Cause::kTransactionFull) outcomes_[chosen_[recipient]] = outcome;
  }
  void on_transaction_done(smtp::Pool&, smtp::ConnectionId) override {}  // on_ready() or on_closed() follows.
  void on_closed(smtp::Pool&, smtp::ConnectionId, const Outcome& reason) override { end(reason); }
  void on_open_failed(smtp::Pool&, smtp::ConnectionId, const Outcome& reason) override { end(reason); }
  void end(const Outcome& reason) {
    const std::lock_guard lock(mutex_);
    failure_ = reason;
    become(State::kClosed);
  }
  void become(State state) {
    state_ = state;
    changed_.notify_all();
  }

  // Python's thread.
  void wait(State while_it_is) {
    try {
      wait_until(mutex_, changed_, [&] { return state_ != while_it_is; });
    } catch (...) {  // Ctrl-C, or the interpreter's end, in the middle of a message: what the server has of it must not become one.
      without_gil([this] { close_now(); });
      throw;
    }
  }
  void choose() {
    chosen_.clear();
    for (std::size_t i = 0; i < recipients_.size(); ++i) {
      if (!outcomes_[i]) chosen_.push_back(i);
    }
    if (chosen_.size() > smtp::kRecipientsMax) chosen_.resize(smtp::kRecipientsMax);
    rcpt_to_.clear();
    for (const std::size_t i : chosen_) rcpt_to_.push_back(recipients_[i]);
  }
  smtp::Transaction transaction() const {
    return {.mail_from = sender_,
            .rcpt_to = rcpt_to_,
            .data = data_,
            .message_bytes = message_bytes_,
            .eight_bit = eight_bit_,
            .smtputf8 = smtputf8_,
            .require_tls = require_tls_};
  }
  Outcome lost() const {
    Outcome outcome = failure_.value_or(Outcome{});
    if (outcome.cause == Cause::kReply && outcome.reply.positive()) outcome.cause = Cause::kConnectionLost;
    outcome.stage = Stage::kMailFrom;  // Of those that were not reached nothing went out.
    return outcome;
  }
  void close_now() noexcept {  // Without the GIL, for the loop may be about to take its last turn.
    if (runtime_ == nullptr) return;
    std::promise<void> gone;
    runtime_->loop(0).post([&] {
      pool_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
    runtime_->stop();
    runtime_.reset();
    const std::lock_guard lock(mutex_);
    state_ = State::kClosed;
  }
  void abandon() noexcept {  // A fork has none of the threads that this would end.
    static_cast<void>(pool_.release());
    static_cast<void>(runtime_.release());
  }

  ClientOptions options_;
  pid_t process_;
  bool in_use_ = false;  // Under the GIL.
  std::unique_ptr<net::Runtime> runtime_;
  std::optional<Random> random_;      // The loop's, as
  std::unique_ptr<smtp::Pool> pool_;  // this.

  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kClosed;
  std::optional<Outcome> failure_;
  smtp::ConnectionId connection_ = 0;
  bool tls_ = false;
  bool verified_ = false;
  std::string remote_;

  std::string sender_;
  std::vector<std::string> recipients_;
  std::vector<std::size_t> chosen_;  // Of recipients_, those of the transaction.
  std::vector<std::string_view> rcpt_to_;
  std::string data_;
  std::uint64_t message_bytes_ = 0;
  bool eight_bit_ = false;
  bool smtputf8_ = false;
  bool require_tls_ = false;
  std::vector<std::optional<Outcome>> outcomes_;
};

smtp::TlsPolicy policy_named(std::string_view name) {
  if (name == "none") return smtp::TlsPolicy::kNone;
  if (name == "opportunistic") return smtp::TlsPolicy::kOpportunistic;
  if (name == "required") return smtp::TlsPolicy::kRequired;
  if (name == "verified") return smtp::TlsPolicy::kVerified;
  raise(ErrorCode::kInvalidArgument, fmt::format("tls: \"{}\" is not none, opportunistic, required or verified", name));
}

smtp::Timeouts timeouts_of(Duration each) {
  smtp::Timeouts made;
  for (Duration* one : {&made.connect, &made.greeting, &made.ehlo, &made.start_tls, &made.auth, &made.mail_from,
                        &made.rcpt_to, &made.data, &made.data_block, &made.final_dot, &made.quit}) {
    *one = each;
  }
  made.quit = std::min(each, smtp::Timeouts{}.quit);
  return made;
}

std::unique_ptr<Client> make_client(const std::string& host, std::uint16_t port, const std::string& ehlo_name,
                                    std::string_view tls, bool implicit_tls, bool lmtp, const std::string& user,
                                    const std::string& password, const std::string& token, bool login_in_clear,
                                    py::handle timeout, const std::string& local_address, const std::string& ca,
                                    const std::vector<std::string>& dns) {
  ClientOptions options{.host = host, .port = port};
  options.runtime.workers = 1;
  options.runtime.cpu_threads = 1;
  options.runtime.tls_ca = ca;
  for (const std::string& server : dns) {
    options.runtime.resolver.servers.push_back(value_or_raise(net::Endpoint::parse(server, 53)));
  }
  smtp::PoolOptions& pool = options.pool;
  const Duration each = to_duration(timeout, "timeout");
  if (each < std::chrono::milliseconds(1)) raise(ErrorCode::kInvalidArgument, "timeout: is 0");
  if (!local_address.empty()) pool.local = value_or_raise(net::IpAddress::parse(local_address));
  pool.session.ehlo_name = ehlo_name;
  pool.session.tls = policy_named(tls);
  pool.session.timeouts = timeouts_of(each);
  pool.session.messages_in_flight = 1;
  pool.session.implicit_tls = implicit_tls;
  pool.session.protocol = lmtp ? smtp::Protocol::kLmtp : smtp::Protocol::kSmtp;
  pool.session.login = {.user = user, .password = password, .token = token, .in_clear = login_in_clear};
  pool.port = port;
  pool.connections_max = 1;
  pool.messages_per_connection = 1'000'000'000;  // The caller says when it ends,
  pool.idle_timeout = std::chrono::hours(24);    // or the server.
  pool.relay = true;                             // The host is the caller's choice.
  return std::make_unique<Client>(std::move(options));
}

}  // namespace

void bind_smtp(py::module_& core) {
  auto smtp = core.def_submodule("smtp", "One SMTP connection.");
  py::class_<Client>(smtp, "Client", "One connection.")
      .def(py::init(&make_client), py::kw_only(), py::arg("host"), py::arg("port"), py::arg("ehlo_name"), py::arg("tls"),
           py::arg("implicit_tls"), py::arg("lmtp"), py::arg("user"), py::arg("password"), py::arg("token"),
           py::arg("login_in_clear"), py::arg("timeout"), py::arg("local_address"), py::arg("ca"), py::arg("dns"))
      .def("connect", &Client::connect)
      .def("send", &Client::send, py::arg("sender"), py::arg("recipients"), py::arg("message"), py::arg("smtputf8"),
           py::arg("require_tls"))
      .def("quit", &Client::quit)
      .def("close", &Client::close)
      .def_property_readonly("connected", &Client::connected)
      .def_property_readonly("tls", &Client::tls)
      .def_property_readonly("verified", &Client::verified)
      .def_property_readonly("remote", [](const Client& self) { return to_str(self.remote()); });
}

}  // namespace mailsbuddy::python
