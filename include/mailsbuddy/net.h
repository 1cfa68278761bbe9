// net.h - the seams to the outside world: event loop, transport, resolver. The engine sees these interfaces alone, so the
// same engine runs on real sockets and on a simulated network with a simulated clock.
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

struct TlsOptions {
  std::string server_name;       // SNI (RFC 6066 3), and the session cache's key together with the endpoint.
  bool verify_peer = false;      // Opportunistic TLS does not verify (RFC 7435).
};

struct TlsInfo {
  std::string version;           // "TLSv1.3"
  std::string cipher;            // "TLS_AES_256_GCM_SHA384"
  bool resumed = false;
  bool verified = false;         // The chain and the name are good, whether or not that was demanded.
};

// What a Stream reports. All calls come on the loop's thread, never from inside a call into the Stream.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void on_connected() = 0;
  virtual void on_data(std::string_view bytes) = 0;   // The view dies on return.
  virtual void on_writable() = 0;                     // After write() took less than all: it takes bytes again.
  virtual void on_tls(const TlsInfo& info) = 0;       // start_tls() succeeded.
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
  // Client handshake over this stream; on_tls() or on_closed() follows. Clear-text bytes that are still unread when this
  // is called are an injection attempt and close the stream.
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

// DNS. Threads: its loop's. A callback is never called from inside the call that asked; it is called exactly once, unless
// the resolver is destroyed first: then never.
class Resolver {
 public:
  template <class Record>
  using Callback = UniqueFunction<void(const DnsAnswer<Record>&)>;

  virtual ~Resolver() = default;
  virtual void mx(std::string_view domain, Callback<MxRecord> done) = 0;
  virtual void addresses(std::string_view host, Callback<IpAddress> done) = 0;  // A and AAAA; IPv6 first. An address is its own.
  virtual void txt(std::string_view name, Callback<std::string> done) = 0;      // Character-strings of a record joined.
};

struct ResolverOptions {
  std::vector<Endpoint> servers{};          // Empty: the system's (resolv.conf).
  Duration timeout = std::chrono::seconds(3);   // For the first try of each server.
  int tries = 2;
  std::size_t cache_entries_max = 100'000;  // Least recently used entries leave first.
};

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
  std::uint64_t seed = 0;  // 0: from the operating system.
};

// Real threads, sockets, DNS and time. Errors: kIo when a loop or a thread cannot be made, kInvalidArgument for options.
Result<std::unique_ptr<Runtime>> make_runtime(RuntimeOptions options);

}  // namespace net
}  // namespace mailsbuddy
