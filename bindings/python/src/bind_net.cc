// DNS, a batch of questions at a time (mailsbuddy/net.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "bindings/python/src/wait.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::python {
namespace {

constexpr std::size_t kConcurrencyMax = 1'000;   // Sockets and a server's patience.
constexpr std::size_t kQuestionsMax = 1'000'000;  // Of one batch: some 200 octets each.

std::string_view to_string(net::DnsStatus status) noexcept {
  switch (status) {
    case net::DnsStatus::kOk:
      return "ok";
    case net::DnsStatus::kNoData:
      return "no_data";
    case net::DnsStatus::kNxDomain:
      return "nxdomain";
    case net::DnsStatus::kFailed:
      break;
  }
  return "failed";
}

struct Question {
  std::string type;  // "mx", "txt", "address".
  std::string name;
};

struct Answered {
  net::DnsStatus status = net::DnsStatus::kFailed;
  std::vector<std::string> records;  // Of MX: "10 mx.example.net".
  std::string detail;
};

std::string text_of(const net::MxRecord& record) { return fmt::format("{} {}", record.preference, record.host); }
std::string text_of(const net::IpAddress& record) { return record.str(); }
std::string text_of(const std::string& record) { return record; }

// One batch. Its questions are asked on the loop's thread, `concurrency` at once. Shared with the callbacks, which may
// come after the caller was interrupted.
class Batch : public std::enable_shared_from_this<Batch> {
 public:
  Batch(net::Resolver& resolver, std::vector<Question> questions)
      : resolver_(&resolver), questions_(std::move(questions)), answers_(questions_.size()) {}

  void start(std::size_t concurrency) {
    for (std::size_t i = 0; i < concurrency; ++i) ask_next();
  }
  void wait() {
    wait_until(mutex_, changed_, [this] { return done_ == questions_.size(); });
  }
  void give_up() {  // What is not asked yet is not asked.
    const std::lock_guard lock(mutex_);
    given_up_ = true;
  }
  const std::vector<Answered>& answers() const noexcept { return answers_; }

 private:
  void ask_next() {  // On the loop's thread.
    {
      const std::lock_guard lock(mutex_);
      if (given_up_) return;
    }
    if (next_ == questions_.size()) return;
    const std::size_t at = next_++;
    const Question& question = questions_[at];
    if (question.type == "mx") {
      resolver_->mx(question.name, answer<net::MxRecord>(at));
    } else if (question.type == "txt") {
      resolver_->txt(question.name, answer<std::string>(at));
    } else {
      resolver_->addresses(question.name, answer<net::IpAddress>(at));
    }
  }

  template <class Record>
  net::Resolver::Callback<Record> answer(std::size_t at) {
    return [self = shared_from_this(), at](const net::DnsAnswer<Record>& given) {
      Answered& answered = self->answers_[at];
      answered.status = given.status;
      answered.detail = given.detail;
      for (const Record& record : given.records) answered.records.push_back(text_of(record));
      self->ask_next();
      const std::lock_guard lock(self->mutex_);
      if (++self->done_ == self->questions_.size()) self->changed_.notify_all();
    };
  }

  net::Resolver* resolver_;
  std::vector<Question> questions_;
  std::vector<Answered> answers_;  // Each written once, by the loop, before it is counted in done_.
  std::size_t next_ = 0;           // The loop's.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t done_ = 0;
  bool given_up_ = false;
};

class Resolver {
 public:
  Resolver(const std::vector<std::string>& servers, py::handle timeout, int tries) : process_(getpid()) {
    net::RuntimeOptions options{.workers = 1, .cpu_threads = 1};
    options.resolver.timeout = to_duration(timeout, "timeout");
    if (options.resolver.timeout < std::chrono::milliseconds(1)) raise(ErrorCode::kInvalidArgument, "timeout: is 0");
    if (tries < 1 || tries > 10) raise(ErrorCode::kInvalidArgument, fmt::format("tries: {} is not 1 to 10", tries));
    options.resolver.tries = tries;
    for (const std::string& server : servers) {
      auto endpoint = net::Endpoint::parse(server, 53);
      if (!endpoint) raise(endpoint.error().code, fmt::format("servers: {}: {}", server, endpoint.error().detail));
      options.resolver.servers.push_back(*endpoint);
    }
    runtime_ = value_or_raise(without_gil([&] { return net::make_runtime(std::move(options)); }));
  }
  ~Resolver() {
    if (getpid() != process_) {  // A fork has none of its threads to end.
      static_cast<void>(runtime_.release());
      return;
    }
    without_gil([this] {
      runtime_->stop();
      runtime_.reset();
    });
  }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  py::list query(const std::vector<std::pair<std::string, std::string>>& questions, std::size_t concurrency) {
    if (getpid() != process_) raise(ErrorCode::kUnsupported, "this Resolver was made before a fork: make one in this process");
    if (concurrency < 1 || concurrency > kConcurrencyMax) {
      raise(ErrorCode::kInvalidArgument, fmt::format("concurrency: {} is not 1 to {}", concurrency, kConcurrencyMax));
    }
    if (questions.size() > kQuestionsMax) {
      raise(ErrorCode::kResourceExhausted, fmt::format("more than {} questions in one batch", kQuestionsMax));
    }
    std::vector<Question> asked;
    asked.reserve(questions.size());
    for (const auto& [type, name] : questions) {
      if (type != "mx" && type != "txt" && type != "address") {
        raise(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is no type of question: mx, txt or address", type));
      }
      asked.push_back({type, name});
    }
    if (asked.empty()) return py::list();
    auto batch = std::make_shared<Batch>(runtime_->resolver(0), std::move(asked));
    runtime_->loop(0).post([batch, concurrency] { batch->start(concurrency); });
    try {
      batch->wait();
    } catch (...) {
      batch->give_up();
      throw;
    }
    return listed(batch->answers());
  }

 private:
  static py::list listed(const std::vector<Answered>& answers) {
    py::list list;
    for (const Answered& each : answers) {
      py::list records;
      for (const std::string& record : each.records) records.append(to_str(record));
      list.append(py::make_tuple(to_str(to_string(each.status)), std::move(records), to_str(each.detail)));
    }
    return list;
  }

  pid_t process_;
  std::unique_ptr<net::Runtime> runtime_;
};

}  // namespace

void bind_net(py::module_& core) {
  py::module_::import("atexit").attr("register")(py::cpp_function(&Wait::end_all));
  py::module_::import("os").attr("register_at_fork")(py::arg("after_in_child") = py::cpp_function(&Wait::after_fork));
  auto net = core.def_submodule("net", "DNS.");
  py::class_<Resolver>(net, "Resolver", "Asks DNS servers, many questions at once, with a cache.")
      .def(py::init<const std::vector<std::string>&, py::handle, int>(), py::arg("servers"), py::arg("timeout"),
           py::arg("tries"))
      .def("query", &Resolver::query, py::arg("questions"), py::arg("concurrency"));
}

}  // namespace mailsbuddy::python
