// inbound_maildir.h - mail for the inbound domains as files of a maildir, synced: written in tmp/, then renamed into
// new/.
#pragma once

#include <string>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::cli {

// Threads: write() from any.
class InboundMaildir {
 public:
  explicit InboundMaildir(std::string path) : path_(std::move(path)) {}

  Result<void> create();  // The directory with tmp/, new/ and cur/ where missing. Errors: kIo naming the directory.
  // With a Return-Path, and a Delivered-To for each recipient, on top. It survives a loss of power once this has
  // returned. Errors: kIo with the reason; no file is left.
  Result<void> write(const smtp::Submission& submission);

 private:
  std::string path_;
};

}  // namespace mailsbuddy::cli
