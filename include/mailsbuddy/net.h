// net.h - the seams to the outside world: event loop, transport, resolver. The engine sees these interfaces alone, so
// the same engine runs on real sockets and on a simulated network with a simulated clock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

class TimerWheel;  // core/base/timer_wheel.h

namespace net {

// ---------------------------------------------------------------------------------------------------------------------
// Addresses of hosts

// An IPv4 or IPv6 address. Threads: a value.
class IpAddress {
 public:
  IpAddress() = default;                                            // Unspecified: "let the system choose".
  static Result<IpAddress> parse(std::string_view text);            // "192.0.2.1", "2001:db8::1" (RFC 4291; no zone).
  static IpAddress v4(std::array<std::uint8_t, 4> bytes) noexcept;
  static IpAddress v6(std::array<std::uint8_t, 16> bytes) noexcept;

  bool unspecified() const noexcept { return family_ == 0; }
  bool is_v4() const noexcept { return family_ == 4; }
  bool is_v6() const noexcept { return family_ == 6; }
  std::span<const std::uint8_t> bytes() const noexcept { return std::span(bytes_).first(family_ == 4 ? 4U : family_ == 6 ? 16U : 0U); }
  std::string str() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  std::uint8_t family_ = 0;  // 0, 4 or 6.
  std::array<std::uint8_t, 16> bytes_{};
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  static Result<Endpoint> parse(std::string_view text, std::uint16_t default_port);  // "127.0.0.1:53", "[::1]:53", "127.0.0.1"
  std::string str() const;                                                           // "127.0.0.1:53", "[::1]:53"
  auto operator<=>(const Endpoint&) const = default;
};

// ---------------------------------------------------------------------------------------------------------------------
// Loop

// One thread's event loop. What belongs to a loop is touched on its thread alone; others reach it by post().
class Loop : public Executor {
 public:
  void post(Task task) override = 0;               // From any thread; runs on the loop's thread, in order of posting.
  virtual TimePoint now() const noexcept = 0;      // The time of this turn of the loop; owner thread.
  virtual TimerWheel& timers() noexcept = 0;       // Driven by this loop; owner thread.
  virtual bool is_owner() const noexcept = 0;      // Is this the loop's thread?
};

// ---------------------------------------------------------------------------------------------------------------------
// Transport

// What a TLSA record says about a certificate (RFC 6698 2.1).
struct TlsaRecord {
  std::uint8_t usage = 0;     // 2: DANE-TA, 3: DANE-EE; 0 and 1 mean nothing to SMTP (RFC 7672 3.1.3).
  std::uint8_t selector = 0;  // 0: the certificate, 1: its public key.
  std::uint8_t matching = 0;  // 0: as it is, 1: SHA-256, 2: SHA-512.
  std::string data{};         // Octets.
  // As in a zone file: "3 1 1 8f43..."; blanks may part the digits. Errors: kInvalidArgument.
  static Result<TlsaRecord> parse(std::string_view text);
  std::string str() const;
  bool usable() const noexcept;  // By an SMTP client: it understands all three, and a digest has its length.
  auto operator<=>(const TlsaRecord&) const = default;
};

enum class TlsVerify : std::uint8_t {
  kNone,    // Opportunistic TLS does not (RFC 7435).
  kWebPki,  // A chain to a trusted root, and the name (RFC 6125).
  kDane,    // The TLSA records, and nothing else: RFC 7672 3.1. DANE-EE looks at no name and no date.
};

struct TlsOptions {
  std::string server_name;  // SNI (RFC 6066 3), and the session cache's key together with the endpoint.
  TlsVerify verify = TlsVerify::kNone;
  std::vector<std::string> names{};  // One of them must be the certificate's. Empty: server_name.
  std::vector<TlsaRecord> tlsa{};    // For kDane. Those that are not usable are passed over; with none left it fails.
};

// What is wrong with a peer's TLS, in the terms of RFC 8460 4.3.
enum class TlsFailure : std::uint8_t {
  kNone,
  kHandshake,  // No handshake came about: nothing to do with its certificate.
  kExpired,
  kNameMismatch,
  kSelfSigned,
  kUntrusted,     // No chain to a root that is trusted, or anything else that is wrong with it.
  kTlsaMismatch,  // No TLSA record is about this certificate.
};
std::string_view to_string(TlsFailure failure) noexcept;  // "none", "handshake", "expired", ...

struct TlsInfo {
  std::string version;  // "TLSv1.3"
  std::string cipher;   // "TLS_AES_256_GCM_SHA384"
  bool resumed = false;
  bool verified = false;  // By the TLSA records if they were given, else chain and name, whether or not demanded.
  TlsFailure failure = TlsFailure::kNone;  // Why it is not verified.
};

// What a Stream reports. All calls come on the loop's thread, never from inside a call into the Stream.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void on_connected() = 0;
  virtual void on_data(std::string_view bytes) = 0;   // The view dies on return.
  virtual void on_writable() = 0;                     // After write() took less than all: it takes bytes again.
  virtual void on_tls(const TlsInfo& info) = 0;       // start_tls() succeeded.
  virtual void on_tls_failed(TlsFailure) {}           // It did not; on_closed() follows. Must not destroy the stream.
  virtual void on_closed(const Error& reason) = 0;    // By the peer, by an error, or the connect or handshake failed.
                                                      // Last call. kClosed: an orderly end; kIo: anything else.
};

// One byte stream. Threads: its loop's. Ownership: destroying it closes the connection at once, and no handler call
// follows; it may be destroyed from inside a handler call.
class Stream {
 public:
  virtual ~Stream() = default;
  // Takes bytes without waiting; returns how many it took. Less than all: wait for on_writable().
  // After on_closed() it takes none. Nothing is copied beyond what the socket or TLS record layer takes.
  virtual std::size_t write(std::string_view bytes) = 0;
  // The pieces one after the other, as write() would take them; where it can, in one system call.
  virtual std::size_t write_pieces(std::span<const std::string_view> pieces) {
    std::size_t taken = 0;
    for (const std::string_view piece : pieces) {
      const std::size_t count = write(piece);
      taken += count;
      if (count < piece.size()) break;
    }
    return taken;
  }
  // Client handshake over this stream; on_tls() or on_closed() follows. Clear-text bytes that are still unread when
  // this is called are an injection attempt and close the stream.
  virtual void start_tls(const TlsOptions& options) = 0;
  virtual Endpoint remote() const = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Starts a TCP connection from `local` (unspecified: any). on_connected() or on_closed() follows, never at once.
  virtual std::unique_ptr<Stream> connect(const IpAddress& local, const Endpoint& remote, StreamHandler& handler) = 0;
  // Can this host send from `local`? Asked once, when an engine opens; any thread. Errors: kUnavailable.
  virtual Result<void> check_local(const IpAddress& local) const {
    static_cast<void>(local);
    return {};
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Resolver

enum class DnsStatus : std::uint8_t {
  kOk,
  kNoData,    // The name exists without such records (RFC 2308 2.2).
  kNxDomain,  // The name does not exist.
  kFailed,    // SERVFAIL, no answer, or an answer that cannot be read: try later.
};

struct MxRecord {
  std::uint16_t preference = 0;
  std::string host;  // Lower case, no trailing dot; empty: the root, "." (RFC 7505).
  auto operator<=>(const MxRecord&) const = default;
};

template <class Record>
struct DnsAnswer {
  DnsStatus status = DnsStatus::kFailed;
  std::vector<Record> records;   // Not empty if and only if status is kOk.
  std::chrono::seconds ttl{0};   // Of the shortest-lived record, or the negative TTL (RFC 2308 5).
  std::string detail;            // When kFailed: "server 127.0.0.1:53 did not answer".
};

// DNS. Threads: its loop's. A callback is never called from inside the call that asked; it is called exactly once,
// unless the resolver is destroyed first: then never.
class Resolver {
 public:
  template <class Record>
  using Callback = UniqueFunction<void(const DnsAnswer<Record>&)>;

  virtual ~Resolver() = default;
  virtual void mx(std::string_view domain, Callback<MxRecord> done) = 0;
  virtual void addresses(std::string_view host, Callback<IpAddress> done) = 0;  // A and AAAA; IPv6 first. An address is its own.
  virtual void txt(std::string_view name, Callback<std::string> done) = 0;      // Character-strings of a record joined.
};

enum class DnsSecurity : std::uint8_t {
  kInsecure,  // The zone is not signed, or nothing is trusted that is above it.
  kSecure,    // Validated (RFC 4033 5); also that there are no such records.
  kBogus,     // It should validate and does not: forged or broken. The answer is kFailed.
};

template <class Record>
struct SecureAnswer {
  DnsAnswer<Record> answer;
  DnsSecurity security = DnsSecurity::kInsecure;
  std::string owner{};  // What the name's CNAMEs lead to; without any, the name. In lower case, no trailing dot.
};

// DNS with DNSSEC validation (RFC 4035). Threads, callbacks: as Resolver.
class SecureResolver {
 public:
  template <class Record>
  using Callback = UniqueFunction<void(const SecureAnswer<Record>&)>;

  virtual ~SecureResolver() = default;
  virtual void mx(std::string_view domain, Callback<MxRecord> done) = 0;
  virtual void addresses(std::string_view host, Callback<IpAddress> done) = 0;  // The less secure of A and AAAA.
  virtual void tlsa(std::string_view name, Callback<TlsaRecord> done) = 0;      // "_25._tcp.mx.example.net".
  virtual void cname(std::string_view name, Callback<std::string> done) = 0;    // The name's own; not followed.
  // Whether anything validates at all: the trust anchor's own keys. Not behind servers that leave signatures out.
  virtual void validates(UniqueFunction<void(bool)> done) = 0;
};

struct SecureResolverOptions {
  std::vector<Endpoint> servers{};  // Recursive ones that pass signatures on. Empty: the Runtime's resolver's, or the system's.
  std::string trust_anchors{};      // DS or DNSKEY records as in zone files, a line each; empty: the root's of 2017 and 2024.
  Duration timeout = std::chrono::seconds(20);  // For a question with all that it takes to validate.
};

struct ResolverOptions {
  std::vector<Endpoint> servers{};          // Empty: the system's (resolv.conf).
  Duration timeout = std::chrono::seconds(3);   // For the first try of each server.
  int tries = 2;
  std::size_t cache_entries_max = 100'000;  // Least recently used entries leave first.
};

// ---------------------------------------------------------------------------------------------------------------------
// HTTPS, for the policies that domains publish there

struct HttpsRequest {
  std::string host;                             // The certificate must be this name's.
  std::string path;                             // "/.well-known/mta-sts.txt"
  std::string body{};                           // Not empty: it is a POST.
  std::string content_type{};                   // Of the body.
  std::size_t reply_bytes_max = 64 * 1024;      // RFC 8461 3.3 suggests this for policies.
  Duration timeout = std::chrono::seconds(60);  // For all of it. RFC 8461 3.3: a minute.
};

enum class HttpsFailure : std::uint8_t {
  kNone,
  kNoAddress,   // The name does not resolve.
  kProhibited,  // To none but addresses of this host's or a private network.
  kConnect,
  kTls,  // The handshake or the certificate.
  kTimeout,
  kTooLarge,
  kProtocol,  // What came is not HTTP, or broke off.
};
std::string_view to_string(HttpsFailure failure) noexcept;  // "none", "no_address", ...

struct HttpsReply {
  HttpsFailure failure = HttpsFailure::kNone;
  int status = 0;  // Without a failure. Redirects are not followed: 301 is a reply as any.
  std::string content_type{};
  std::string body{};
  std::string detail{};  // Of a failure: one line.
};

// Threads, callbacks: as Resolver.
class HttpsClient {
 public:
  using Done = UniqueFunction<void(const HttpsReply&)>;
  virtual ~HttpsClient() = default;
  virtual void send(HttpsRequest request, Done done) = 0;
};

struct HttpsOptions {
  std::string ca{};          // PEM file, or folder, of the roots to trust; empty: the system's.
  std::uint16_t port = 443;  // Other ports are for tests.
  bool allow_private =
      false;  // Also connect to loopback, private and other special addresses: a stranger's DNS says where.
};

// An address of a host on the Internet: not loopback, private, link-local, multicast, reserved or for documentation,
// also not when written as IPv6 (RFC 6890, and the IANA registries that it started).
bool is_public(const IpAddress& address) noexcept;

// ---------------------------------------------------------------------------------------------------------------------
// Runtime

// Everything the engine runs on. Threads: the accessors from any thread.
// Ownership: outlives what runs on it; stop() before destruction.
class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual int workers() const noexcept = 0;
  virtual Loop& loop(int worker) noexcept = 0;
  virtual Transport& transport(int worker) noexcept = 0;   // Use on loop(worker)'s thread.
  virtual Resolver& resolver(int worker) noexcept = 0;     // Use on loop(worker)'s thread.
  // DNSSEC and HTTPS, for the policies of domains; null: there are none. Use on loop(worker)'s thread.
  virtual SecureResolver* secure_resolver(int worker) noexcept { return static_cast<void>(worker), nullptr; }
  virtual HttpsClient* https(int worker) noexcept { return static_cast<void>(worker), nullptr; }
  virtual Executor& cpu() noexcept = 0;                    // Rendering and signing.
  virtual Executor& events() noexcept = 0;                 // One thread, in order: event sinks.
  virtual const Clock& clock() const noexcept = 0;
  virtual std::uint64_t seed() const noexcept = 0;         // Of every Random made from it.
  // Ends the threads after the tasks already posted to them; those posted later are dropped. Idempotent.
  virtual void stop() = 0;
};

struct RuntimeOptions {
  int workers = 0;       // Event-loop threads; 0: one per core.
  int cpu_threads = 0;   // 0: one per core.
  ResolverOptions resolver{};
  SecureResolverOptions secure_resolver{};
  HttpsOptions https{};
  std::string tls_ca{};    // PEM file, or folder, of the roots to verify mail servers with; empty: the system's.
  std::uint64_t seed = 0;  // 0: from the operating system.
};

// Real threads, sockets, DNS and time. Errors: kIo when a loop or a thread cannot be made, kInvalidArgument for
// options.
Result<std::unique_ptr<Runtime>> make_runtime(RuntimeOptions options);

}  // namespace net
}  // namespace mailsbuddy
