// sink_maildir.h - accepted messages as files of a maildir: written in tmp/, then renamed into new/.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy::smtp {

// Threads: write() from any thread. Invariants: a file in new/ is whole, whenever the process dies; it is not synced,
// so a loss of power can take it. File names differ among messages, threads and processes.
class SinkMaildir {
 public:
  explicit SinkMaildir(std::string path) : path_(std::move(path)) {}

  Result<void> create();  // The directory with tmp/, new/ and cur/ where missing. Errors: kIo naming the directory.

  // The message behind a Return-Path and a Delivered-To for each recipient (RFC 5321 4.4: trace fields come first, and
  // no DKIM signature covers them). CRLF line ends are kept: a signature must still verify. `recipients`: each followed
  // by
  // '\n'. Errors: kIo with the reason; no file is left.
  Result<void> write(std::string_view mail_from, std::string_view recipients, std::string_view message, TimePoint now);

 private:
  std::string path_;
  std::atomic<std::uint64_t> sequence_{0};
};

}  // namespace mailsbuddy::smtp
