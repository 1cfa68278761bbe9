#include "bindings/python/src/listener_handle.h"

#include <utility>

namespace mailsbuddy::python {
namespace {

using smtp::ListenHandler;

// make_submission_handler()'s, of an engine that is closed when Python says so: then it takes no mail any more.
class Feed final : public ListenHandler {
 public:
  Feed(std::shared_ptr<Gate> gate, std::shared_ptr<ListenHandler> handler)
      : gate_(std::move(gate)), handler_(std::move(handler)) {}

  void authenticate(const smtp::Credentials& credentials, Authenticated done) override {
    handler_->authenticate(credentials, std::move(done));
  }
  void on_message(smtp::Submission submission, Answered done) override {
    Inside inside(gate_);
    if (!inside) return done({.code = 421, .enhanced = EnhancedCode{4, 3, 2}, .text = "Shutting down"});
    handler_->on_message(std::move(submission), [inside = std::move(inside), done = std::move(done)](
                                                    Reply reply) mutable { done(std::move(reply)); });
  }
  smtp::Pressure pressure() override {
    const Inside inside(gate_);
    return inside ? handler_->pressure() : smtp::Pressure::kShutdown;
  }

 private:
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

  const std::shared_ptr<Gate> gate_;
  const std::shared_ptr<ListenHandler> handler_;
};

SubmissionOptions submission_options(EngineHandle& engine, ListenerOptions& options,
                                     const std::shared_ptr<LoginQueue>& logins) {
  Executor& cpu = engine.runtime().cpu();
  SubmissionOptions made{.authenticate =
                             [logins](const smtp::Credentials& given, ListenHandler::Authenticated done) {
                               const bool for_another = !given.authzid.empty() && given.authzid != given.user;
                               if (logins == nullptr || for_another) return done(std::nullopt);
                               logins->push(std::make_shared<Login>(given, std::move(done)));
                             },
                         .executor = &cpu,
                         .open_rows_max = options.open_rows_max,
                         .account = std::move(options.account)};
  if (!options.listen.inbound_domains.empty()) made.inbound = make_inbound_handler(engine.engine(), &cpu);
  return made;
}

}  // namespace

std::shared_ptr<ListenerHandle> ListenerHandle::start(EngineHandle& engine, ListenerOptions options,
                                                      std::shared_ptr<LoginQueue> logins) {
  const EngineHandle::Use use(engine);
  auto feed = std::make_shared<Feed>(
      engine.gate(), make_submission_handler(engine.engine(), submission_options(engine, options, logins)));
  auto listener = without_gil([&] { return smtp::Listener::start(std::move(options.listen), std::move(feed)); });
  return std::make_shared<ListenerHandle>(value_or_raise(std::move(listener)), std::move(logins));
}

ListenerHandle::ListenerHandle(std::unique_ptr<smtp::Listener> listener, std::shared_ptr<LoginQueue> logins)
    : listener_(std::move(listener)), logins_(std::move(logins)) {}

ListenerHandle::~ListenerHandle() {
  if (listener_ == nullptr) return;
  if (!gate_.ours()) {  // Its threads are not in this process.
    static_cast<void>(listener_.release());
    new std::shared_ptr<LoginQueue>(std::move(logins_));
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
  if (logins_ != nullptr) logins_->close();
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
