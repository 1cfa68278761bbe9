// curl_client.h - HttpsClient on libcurl.
#pragma once

#include <chrono>
#include <memory>

#include "mailsbuddy/net.h"

namespace mailsbuddy::net {

// Requests under way at once, of all workers; more wait their turn. Policies are fetched once a day for a domain.
inline constexpr std::size_t kHttpsRequestsMax = 64;
// Of them, for one domain at one server (an IPv4 address, an IPv6 /64): one that is slow holds up its own alone.
inline constexpr std::size_t kServerRequestsMax = 8;
// So long one may take while others have to wait, who wait ten seconds for a policy; else HttpsRequest::timeout.
inline constexpr std::chrono::seconds kHttpsHurried{3};

// The thread that libcurl's transfers run on: they are few, and apart from the loops that carry mail.
// Threads: any. Ownership: outlives the UvHttps made with it.
class CurlThread {
 public:
  explicit CurlThread(HttpsOptions options);
  ~CurlThread();  // As stop().
  CurlThread(const CurlThread&) = delete;
  CurlThread& operator=(const CurlThread&) = delete;

  struct Job {
    HttpsRequest request;
    std::vector<IpAddress> addresses;       // To connect to, whatever else the name resolves to.
    UniqueFunction<void(HttpsReply)> done;  // On the thread.
  };
  void add(Job job);  // The thread starts with the first one.
  void stop();        // What is under way is dropped without a call. Idempotent.
  const HttpsOptions& options() const noexcept { return options_; }

 private:
  struct State;
  HttpsOptions options_;
  std::unique_ptr<State> state_;
};

// One worker's door to it. Addresses come from the worker's resolver, and from nowhere else.
// Threads: its loop's, or with the loop stopped. Ownership: the three outlive it.
class UvHttps final : public HttpsClient {
 public:
  UvHttps(Loop& loop, Resolver& resolver, CurlThread& curl) : loop_(loop), resolver_(resolver), curl_(curl) {}
  void send(HttpsRequest request, Done done) override;

 private:
  void resolved(HttpsRequest request, const DnsAnswer<IpAddress>& answer, Done done);

  Loop& loop_;
  Resolver& resolver_;
  CurlThread& curl_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace mailsbuddy::net
