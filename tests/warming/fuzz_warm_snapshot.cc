// Any octets, with a check sum that fits them, are refused or make a pacer that works. The first octet says whether the
// sums are mended, of the whole and of each IP's part, so that the fields behind them are reached.
#include <cstdlib>
#include <string>

#include "core/base/bytes.h"
#include "core/base/hash.h"
#include "mailsbuddy/warming.h"

namespace {

using namespace mailsbuddy;
using namespace mailsbuddy::warming;

std::string one_ip(std::string fields) {
  BytesWriter one;
  one.raw(fields);
  BytesWriter out;
  out.raw("MBWP");
  out.u64(1);
  out.text("google");
  out.u64(1);
  out.text("192.0.2.1");
  out.text(std::move(one).finish());
  out.u64(0);
  return std::move(out).finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] >= 0xc0) {  // As it is, squeezed.
    bytes = "MBWZ" + bytes;
  } else if (data[0] % 3 == 1) {
    BytesWriter whole;
    whole.raw(bytes);
    bytes = std::move(whole).finish();
  } else if (data[0] % 3 == 2) {
    bytes = one_ip(bytes);
  }
  Pacer pacer({.provider = {"google"}, .ips = {{"192.0.2.1", *Curve::preset("sparkpost")}}});
  TimePoint now{std::chrono::days(20'800)};
  if (!pacer.restore(bytes, now)) return 0;
  for (int i = 0; i < 20; ++i) {
    if (pacer.snapshot_due()) static_cast<void>(pacer.snapshot(now));
    const std::uint64_t left = pacer.left(0, now);
    if (left > 0) pacer.take(0, {}, now);
    pacer.learn(0, {.kind = static_cast<SignalKind>(i % static_cast<int>(kSignalKinds)), .count = 200}, now);
    now += std::chrono::hours(7);
  }
  for (const std::string& written : {pacer.snapshot(now), pacer.last_snapshot(now)}) {
    Pacer again({.provider = {"google"}, .ips = {{"192.0.2.1", *Curve::preset("sparkpost")}}});
    if (!again.restore(written, now)) std::abort();  // What it writes it reads.
  }
  return 0;
}
