#include "bindings/python/src/listener_handle.h"

#include <utility>

namespace mailsbuddy::python {
namespace {

using smtp::ListenHandler;

// An engine, kept open.
class Inside {
 public:
  explicit Inside(const std::shared_ptr<Gate>& gate) : gate_(gate->enter() ? gate : nullptr) {}
  ~Inside() {
    if (gate_) gate_->leave();
  }
  Inside(Inside&&) noexcept = default;
  Inside& operator=(Inside&&) = delete;
  explicit operator bool() const { return gate_ != nullptr; }

 private:
  std::shared_ptr<Gate> gate_;
};

// An engine's, which stays open until each task is done. Tasks that come later are dropped. What waits for Python is no
// task: an engine may be closed meanwhile.
class OpenExecutor final : public Executor {
 public:
  OpenExecutor(std::shared_ptr<Gate> gate, Executor& of) : gate_(std::move(gate)), of_(of) {}
  void post(Task task) override {
    if (Inside inside(gate_); inside)
      of_.post([inside = std::move(inside), task = std::move(task)]() mutable { task(); });
  }

 private:
  const std::shared_ptr<Gate> gate_;
  Executor& of_;  // There while somebody is inside.
};

SubmissionOptions submission_options(Engine& engine, ListenerOptions& options, const ListenerQueues& queues,
                                     Executor& cpu) {
  const auto waiting_max =
      static_cast<std::size_t>(options.listen.limits.connections_max);  // One each, unless it has left.
  SubmissionOptions made{
      .authenticate =
          [logins = queues.logins](const smtp::Credentials& given, ListenHandler::Authenticated done) {
            const bool for_another = !given.authzid.empty() && given.authzid != given.user;
            if (logins == nullptr || for_another) return done(std::nullopt);
            logins->push(std::make_shared<Login>(given, std::move(done)));
          },
      .executor = &cpu,
      .open_rows_max = options.open_rows_max,
      .account = std::move(options.account)};
  if (options.listen.inbound_domains.empty()) return made;
  const auto ask = [inbound = queues.inbound, waiting_max](auto about, InboundQuestion::Answered done) {
    inbound->push(std::make_shared<InboundQuestion>(std::move(about), std::move(done)), waiting_max);
  };
  if (options.finds_addresses) made.find_inbound_address = ask;
  made.inbound =
      options.keeps_letters
          ? make_inbound_handler(engine, &cpu, std::function<void(smtp::Submission, UniqueFunction<void(bool)>)>(ask))
          : make_inbound_handler(engine, &cpu);
  return made;
}

// make_submission_handler()'s, of an engine that is closed when Python says so: then it takes no mail any more.
class Feed final : public ListenHandler {
 public:
  Feed(EngineHandle& engine, ListenerOptions& options, const ListenerQueues& queues)
      : gate_(engine.gate()),
        executor_(gate_, engine.runtime().cpu()),
        handler_(make_submission_handler(engine.engine(),
                                         submission_options(engine.engine(), options, queues, executor_))) {}

  void authenticate(const smtp::Credentials& credentials, Authenticated done) override {
    handler_->authenticate(credentials, std::move(done));
  }
  void on_message(smtp::Submission submission, Answered done) override {
    const Inside inside(gate_);
    if (!inside) return done(shutting_down());
    handler_->on_message(std::move(submission), std::move(done));
  }
  Reply on_recipient(const smtp::Identity& identity, const Address& address, bool inbound) override {
    const Inside inside(gate_);
    return inside ? handler_->on_recipient(identity, address, inbound) : shutting_down();
  }
  void find_recipient(const Address& address, Answered done) override {
    handler_->find_recipient(address, std::move(done));
  }
  smtp::Pressure pressure() override {
    const Inside inside(gate_);
    return inside ? handler_->pressure() : smtp::Pressure::kShutdown;
  }

 private:
  static Reply shutting_down() { return {.code = 421, .enhanced = EnhancedCode{4, 3, 2}, .text = "Shutting down"}; }

  const std::shared_ptr<Gate> gate_;
  OpenExecutor executor_;
  const std::shared_ptr<ListenHandler> handler_;
};

}  // namespace

std::shared_ptr<ListenerHandle> ListenerHandle::start(EngineHandle& engine, ListenerOptions options,
                                                      ListenerQueues queues) {
  const EngineHandle::Use use(engine);
  auto feed = std::make_shared<Feed>(engine, options, queues);
  auto listener = without_gil([&] { return smtp::Listener::start(std::move(options.listen), std::move(feed)); });
  return std::make_shared<ListenerHandle>(value_or_raise(std::move(listener)), std::move(queues));
}

ListenerHandle::ListenerHandle(std::unique_ptr<smtp::Listener> listener, ListenerQueues queues)
    : listener_(std::move(listener)), queues_(std::move(queues)) {}

ListenerHandle::~ListenerHandle() {
  if (listener_ == nullptr) return;
  if (!gate_.ours()) {  // Its threads are not in this process.
    static_cast<void>(listener_.release());
    new ListenerQueues(std::move(queues_));
    return;
  }
  without_gil([this] {
    gate_.close();
    shut_down();
  });
}

void ListenerHandle::close() {
  if (!gate_.ours()) return;
  without_gil([this] { gate_.close(); });
  gate_.wait_interruptibly();
  without_gil([this] { shut_down(); });
}

void ListenerHandle::shut_down() {
  gate_.wait();
  const std::lock_guard lock(shutting_down_);
  if (listener_ == nullptr) return;
  queues_.close();
  last_ = listener_->counts();
  listener_.reset();
  last_.open = 0;
}

smtp::ListenCounts ListenerHandle::counts() {
  if (!gate_.ours()) gate_.enter_or_raise();
  return without_gil([this] {
    const std::lock_guard lock(shutting_down_);
    return listener_ != nullptr ? listener_->counts() : last_;
  });
}

}  // namespace mailsbuddy::python
