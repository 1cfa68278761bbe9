// reason.h - what each Reason means for a signature's status, and a Reason with its details.
#pragma once

#include <string>
#include <utility>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

Status status_of(Reason reason) noexcept;

struct Finding {
  Reason reason = Reason::kOk;
  std::string detail{};

  bool ok() const noexcept { return reason == Reason::kOk; }
};

}  // namespace mailsbuddy::dkim
