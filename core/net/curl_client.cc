#include "core/net/curl_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/fair_slots.h"
#include "core/net/unbound_resolver.h"

namespace mailsbuddy::net {
namespace {

constexpr long kConnectSeconds = 20;                // Of the time for a request: another address may be better.
constexpr std::size_t kHeaderBytesMax = 64 * 1024;  // All of a reply's header fields.

struct EasyDeleter {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using EasyPtr = std::unique_ptr<CURL, EasyDeleter>;
using ListPtr = std::unique_ptr<curl_slist, ListDeleter>;

struct Transfer {
  CurlThread::Job job;
  std::string server;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  EasyPtr easy{};
  ListPtr resolve{}, headers{};
  std::string body{};
  std::size_t header_bytes = 0;
  bool too_large = false;
  std::array<char, CURL_ERROR_SIZE> words{};
};

// Less than all taken ends the transfer.
std::size_t on_body(char* bytes, std::size_t one, std::size_t count, void* argument) noexcept {
  auto& transfer = *static_cast<Transfer*>(argument);
  const std::size_t size = one * count;
  transfer.too_large = transfer.body.size() + size > transfer.job.request.reply_bytes_max;
  if (transfer.too_large) return 0;
  transfer.body.append(bytes, size);
  return size;
}

std::size_t on_header(char*, std::size_t one, std::size_t count, void* argument) noexcept {
  auto& transfer = *static_cast<Transfer*>(argument);
  transfer.header_bytes += one * count;
  transfer.too_large = transfer.header_bytes > kHeaderBytesMax;
  return transfer.too_large ? 0 : one * count;
}

// Whose request it is: a server's, and there a domain's, for many domains may share one. An IPv6 server has addresses
// enough to be many.
std::string server_of(const CurlThread::Job& job) {
  const IpAddress& address = job.addresses.front();
  const auto octets = address.bytes();
  return std::string(reinterpret_cast<const char*>(octets.data()), address.is_v4() ? 4U : 8U) + zone_of(job.request.host);
}

std::string bracketed(const IpAddress& address) {
  return address.is_v6() ? fmt::format("[{}]", address.str()) : address.str();
}

template <class Value>
void set(Transfer& transfer, CURLoption option, Value value) {
  curl_easy_setopt(transfer.easy.get(), option, value);
}

void set_trust(Transfer& transfer, const HttpsOptions& options) {
  set(transfer, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  set(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
  set(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
  if (options.ca.empty()) return;
  std::error_code none;
  const bool folder = std::filesystem::is_directory(options.ca, none);
  const char* nothing = nullptr;
  set(transfer, CURLOPT_CAINFO, folder ? nothing : options.ca.c_str());
  set(transfer, CURLOPT_CAPATH, folder ? options.ca.c_str() : nothing);
}

// No redirects, proxies, cookies, .netrc or environment: what is asked is what is got.
bool prepare(Transfer& transfer, const HttpsOptions& options) {
  const HttpsRequest& request = transfer.job.request;
  transfer.easy.reset(curl_easy_init());
  if (!transfer.easy) return false;
  std::string addresses;
  for (const IpAddress& address : transfer.job.addresses)
    addresses += (addresses.empty() ? "" : ",") + bracketed(address);
  // "+": for this request, which looks it up at once. Without, libcurl keeps every host for good.
  const std::string pinned = fmt::format("+{}:{}:{}", request.host, options.port, addresses);
  transfer.resolve.reset(curl_slist_append(nullptr, pinned.c_str()));
  const std::string url = fmt::format("https://{}:{}{}", request.host, options.port, request.path);
  set(transfer, CURLOPT_URL, url.c_str());
  set(transfer, CURLOPT_RESOLVE, transfer.resolve.get());
  set(transfer, CURLOPT_PROTOCOLS_STR, "https");
  set(transfer, CURLOPT_FOLLOWLOCATION, 0L);
  set(transfer, CURLOPT_PROXY, "");
  set(transfer, CURLOPT_NOSIGNAL, 1L);
  set(transfer, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(transfer, CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(request.timeout).count()));
  set(transfer, CURLOPT_WRITEFUNCTION, &on_body);
  set(transfer, CURLOPT_WRITEDATA, &transfer);
  set(transfer, CURLOPT_HEADERFUNCTION, &on_header);
  set(transfer, CURLOPT_HEADERDATA, &transfer);
  set(transfer, CURLOPT_ERRORBUFFER, transfer.words.data());
  set(transfer, CURLOPT_PRIVATE, &transfer);
  set(transfer, CURLOPT_USERAGENT, "mailsbuddy");
  set(transfer, CURLOPT_FORBID_REUSE, 1L);
  set_trust(transfer, options);
  if (request.body.empty()) return true;
  transfer.headers.reset(curl_slist_append(nullptr, fmt::format("Content-Type: {}", request.content_type).c_str()));
  set(transfer, CURLOPT_HTTPHEADER, transfer.headers.get());
  set(transfer, CURLOPT_POSTFIELDS, request.body.data());
  set(transfer, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  return true;
}

HttpsFailure failure_of(CURLcode code) noexcept {
  switch (code) {
    case CURLE_OK:
      return HttpsFailure::kNone;
    case CURLE_COULDNT_RESOLVE_HOST:
      return HttpsFailure::kNoAddress;
    case CURLE_COULDNT_CONNECT:
      return HttpsFailure::kConnect;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpsFailure::kTimeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpsFailure::kTls;
    default:
      return HttpsFailure::kProtocol;
  }
}

HttpsReply reply_of(Transfer& transfer, CURLcode code) {
  HttpsReply reply{.failure = transfer.too_large ? HttpsFailure::kTooLarge : failure_of(code)};
  if (reply.failure != HttpsFailure::kNone) {
    reply.detail = transfer.too_large
                       ? fmt::format("more than {} octets", transfer.job.request.reply_bytes_max)
                       : std::string(transfer.words[0] != '\0' ? transfer.words.data() : curl_easy_strerror(code));
    return reply;
  }
  long status = 0;
  const char* type = nullptr;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_CONTENT_TYPE, &type);
  reply.status = static_cast<int>(status);
  reply.content_type = type != nullptr ? type : "";
  reply.body = std::move(transfer.body);
  return reply;
}

}  // namespace

std::string_view to_string(HttpsFailure failure) noexcept {
  static constexpr std::array<std::string_view, 8> kNames = {"none", "no_address", "prohibited", "connect",
                                                             "tls",  "timeout",    "too_large",  "protocol"};
  static_assert(kNames.size() == static_cast<std::size_t>(HttpsFailure::kProtocol) + 1);
  return kNames[static_cast<std::size_t>(failure)];
}

// ---------------------------------------------------------------------------------------------------------------------
// The thread

struct CurlThread::State {
  explicit State(const HttpsOptions& its_options) : options(its_options), multi(curl_multi_init()) {}
  ~State() {
    transfers.clear();
    curl_multi_cleanup(multi);
  }
  void run() noexcept;
  bool take_jobs();
  void start(Job job);
  void end(CURL* easy, const HttpsReply& reply);
  void reap();
  bool hurry();

  const HttpsOptions& options;
  CURLM* multi;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> transfers;       // The thread's, as is the next.
  FairSlots<Job> slots{kHttpsRequestsMax, kServerRequestsMax};
  std::mutex mutex;
  std::vector<Job> jobs;  // Not looked at yet.
  bool stopping = false;
  std::thread thread;
};

CurlThread::CurlThread(HttpsOptions options) : options_(std::move(options)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);  // Counted, and safe among threads from libcurl 7.84 on.
  state_ = std::make_unique<State>(options_);
}

CurlThread::~CurlThread() {
  stop();
  state_.reset();
  curl_global_cleanup();
}

void CurlThread::add(Job job) {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;
  state_->jobs.push_back(std::move(job));
  if (!state_->thread.joinable())
    state_->thread = std::thread([state = state_.get()] { state->run(); });
  else
    curl_multi_wakeup(state_->multi);
}

void CurlThread::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    if (!state_->thread.joinable()) return;
    curl_multi_wakeup(state_->multi);
  }
  state_->thread.join();
  state_->thread = {};
}

void CurlThread::State::run() noexcept {
  sigset_t all;  // As the loops: OpenSSL writes to sockets that may be closed, and SIGPIPE is the process's to set.
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  constexpr int kWaitMs = 60'000;  // Woken for everything that happens,
  constexpr int kHurryMs = 250;    // but for time that passes.
  while (take_jobs()) {
    int running = 0;
    curl_multi_perform(multi, &running);
    reap();
    curl_multi_poll(multi, nullptr, 0, hurry() ? kHurryMs : kWaitMs, nullptr);
  }
  for (auto& [easy, transfer] : transfers) curl_multi_remove_handle(multi, easy);
  transfers.clear();
}

// False: the thread is to end.
bool CurlThread::State::take_jobs() {
  std::unique_lock lock(mutex);
  if (stopping) return false;
  std::vector<Job> come = std::exchange(jobs, {});
  lock.unlock();
  for (Job& job : come) {
    const std::string server = server_of(job);
    slots.wait(server, std::move(job));
  }
  while (auto job = slots.next()) start(*std::move(job));
  return true;
}

void CurlThread::State::start(Job job) {
  const std::string server = server_of(job);
  auto transfer = std::make_unique<Transfer>(Transfer{.job = std::move(job), .server = server});
  if (!prepare(*transfer, options) || curl_multi_add_handle(multi, transfer->easy.get()) != CURLM_OK) {
    slots.leave(server);
    return transfer->job.done({.failure = HttpsFailure::kProtocol, .detail = "libcurl cannot begin"});
  }
  CURL* const easy = transfer->easy.get();
  transfers.emplace(easy, std::move(transfer));
}

void CurlThread::State::end(CURL* easy, const HttpsReply& reply) {
  auto transfer = std::move(transfers.extract(easy).mapped());
  curl_multi_remove_handle(multi, easy);
  slots.leave(transfer->server);
  transfer->job.done(reply);
}

void CurlThread::State::reap() {
  int left = 0;
  bool any = false;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    end(easy, reply_of(*transfers.at(easy), message->data.result));
    any = true;
  }
  if (any) curl_multi_wakeup(multi);  // There is room for one that waits.
}

// Ends what takes long while others wait for a place: the oldest first, as many as there are who wait. True: some do.
bool CurlThread::State::hurry() {
  const std::size_t wanted = slots.starved();
  if (wanted == 0) return false;
  const auto before = std::chrono::steady_clock::now() - kHttpsHurried;
  std::vector<std::pair<std::chrono::steady_clock::time_point, CURL*>> slow;
  for (const auto& [easy, transfer] : transfers)
    if (transfer->begun <= before) slow.emplace_back(transfer->begun, easy);
  std::ranges::sort(slow);
  slow.resize(std::min(slow.size(), wanted));
  for (const auto& [begun, easy] : slow)
    end(easy, {.failure = HttpsFailure::kTimeout,
               .detail = fmt::format("not done after {} s, while others wait", kHttpsHurried.count())});
  if (!slow.empty()) curl_multi_wakeup(multi);
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// One worker's door

void UvHttps::send(HttpsRequest request, Done done) {
  const std::string host = request.host;
  resolver_.addresses(host, [this, alive = std::weak_ptr(alive_), request = std::move(request),
                             done = std::move(done)](const DnsAnswer<IpAddress>& answer) mutable {
    if (!alive.expired()) resolved(std::move(request), answer, std::move(done));
  });
}

void UvHttps::resolved(HttpsRequest request, const DnsAnswer<IpAddress>& answer, Done done) {
  if (answer.status != DnsStatus::kOk) {
    return done({.failure = HttpsFailure::kNoAddress,
                 .detail = answer.status == DnsStatus::kFailed ? answer.detail : request.host + " has no address"});
  }
  std::vector<IpAddress> addresses;
  std::ranges::copy_if(answer.records, std::back_inserter(addresses),
                       [this](const IpAddress& a) { return curl_.options().allow_private || is_public(a); });
  if (addresses.empty()) {
    return done(
        {.failure = HttpsFailure::kProhibited,
         .detail = fmt::format("{} is {}, which is not on the Internet", request.host, answer.records[0].str())});
  }
  curl_.add({.request = std::move(request),
             .addresses = std::move(addresses),
             .done = [&loop = loop_, alive = std::weak_ptr(alive_), done = std::move(done)](HttpsReply reply) mutable {
               loop.post([alive, done = std::move(done), reply = std::move(reply)]() mutable {
                 if (!alive.expired()) done(reply);
               });
             }});
}

}  // namespace mailsbuddy::net
