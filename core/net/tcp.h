// tcp.h - Transport on libuv: TCP, and TLS on top of it after start_tls().
#pragma once

#include <array>
#include <memory>
#include <string>

#include "core/net/tls.h"
#include "core/net/uv_loop.h"

namespace mailsbuddy::net {

// Bytes of one write taken beyond what the socket takes; one read; one turn of ciphertext.
inline constexpr std::size_t kChunkBytes = 64 * 1024;
// A TLS record's plaintext (RFC 8446 5.1).
inline constexpr std::size_t kTlsRecordBytes = 16 * 1024;

// Threads: its loop's. Ownership: outlives its streams' use of it: destroy the streams, or stop the loop, first.
class UvTransport final : public Transport {
 public:
  // `ca_file`: PEM roots to verify peers with; empty: the system's store.
  explicit UvTransport(UvLoop& loop, std::string ca_file = {})
      : shared_{loop, TlsContext(std::move(ca_file)), {}, {}, {}} {}
  UvTransport(const UvTransport&) = delete;
  UvTransport& operator=(const UvTransport&) = delete;

  std::unique_ptr<Stream> connect(const IpAddress& local, const Endpoint& remote, StreamHandler& handler) override;
  Result<void> check_local(const IpAddress& local) const override;

  // What the streams share. Buffers serve one read at a time: nothing in them outlives a callback.
  struct Shared {
    UvLoop& loop;
    TlsContext tls;
    std::array<char, kChunkBytes> incoming;
    std::array<char, kTlsRecordBytes> plaintext;
    std::array<char, kChunkBytes> ciphertext;
  };

 private:
  Shared shared_;
};

}  // namespace mailsbuddy::net
