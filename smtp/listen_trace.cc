#include "smtp/listen_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "core/base/filter_text.h"

namespace mailsbuddy::smtp {
namespace {

// What is kept for those who may want it later: an opening with TLS and AUTH has some thirty lines.
constexpr std::size_t kOpeningMax = 64;
constexpr std::size_t kKeptLineMax = 256;  // Octets of each: 16 KB of a connection for each who follows.

// As Address has it, where it is one.
std::string domain_of(std::string_view mail_from) {
  const auto address = Address::parse(mail_from);
  return ascii::to_lower(address ? address->domain() : mail_from.substr(mail_from.rfind('@') + 1));
}

std::string name_of(const net::Endpoint& client) { return client.port == 0 ? client.address.str() : client.str(); }

}  // namespace

Result<ListenTraceFilter> ListenTraceFilter::parse(std::string_view text) {
  ListenTraceFilter filter;
  const FilterField fields[] = {{"client", filter.client}, {"user", filter.user}, {"sender", filter.sender}};
  if (auto parsed = parse_filter(text, fields); !parsed) return std::move(parsed).error();
  if (auto wanted = ListenWanted::make(filter); !wanted) return std::move(wanted).error();
  return filter;
}

Result<ListenWanted> ListenWanted::make(ListenTraceFilter filter) {
  ListenWanted wanted{.filter = std::move(filter)};
  if (!wanted.filter.sender.empty()) wanted.filter.sender = domain_of("a@" + wanted.filter.sender);
  if (wanted.filter.client.empty()) return wanted;
  auto range = IpRange::parse(wanted.filter.client);
  if (!range) return Error{ErrorCode::kInvalidArgument, "client: " + range.error().detail};
  wanted.clients = *range;
  return wanted;
}

class ListenTrace::Lines final : public Trace {
 public:
  explicit Lines(ListenTrace& trace) : trace_(trace) {}
  void on_line(const TraceLine& line) override { trace_.on_line(line); }
  TraceBodies bodies() const override { return trace_.bodies_; }

 private:
  ListenTrace& trace_;
};

ListenTrace::ListenTrace(ListenFollowers& followers, Connection connection)
    : followers_(followers),
      client_(unmapped(connection.client.address)),
      client_may_change_(connection.may_change),
      transcript_(std::make_unique<Lines>(*this), connection.open) {
  tags_.connection = followers.next_connection();
  tags_.remote = name_of(connection.client);
  tags_.local = connection.local.str();
  tags_.user = std::move(connection.user);
  look();
}

// ---------------------------------------------------------------------------------------------------------------------
// Who follows

void ListenTrace::look() {
  if (version_ == followers_.version()) return;
  version_ = followers_.version();
  const auto all = followers_.all();
  std::erase_if(watches_, [&](const Watch& each) { return std::ranges::find(all, each.to) == all.end(); });
  bodies_ = TraceBodies::kNone;
  for (const auto& each : all) {
    if (!client_may_change_ && !fits_client(each->filter())) continue;
    bodies_ = std::max(bodies_, each->filter().filter.bodies);
    if (std::ranges::find(watches_, each, &Watch::to) == watches_.end())
      watches_.push_back({.to = each, .fits = fits(each->filter())});
  }
}

bool ListenTrace::fits_client(const ListenWanted& wanted) const {
  return !wanted.clients || wanted.clients->contains(client_);
}

bool ListenTrace::fits(const ListenWanted& wanted) const {
  const ListenTraceFilter& filter = wanted.filter;
  return fits_client(wanted) && (filter.user.empty() || filter.user == tags_.user) &&
         (filter.sender.empty() || (in_message_ && filter.sender == sender_));
}

void ListenTrace::judge() {
  for (Watch& each : watches_) {
    each.fits = fits(each.to->filter());
    if (!each.fits) continue;
    for (Line& line : each.kept) give(each, std::move(line));
    each.kept.clear();
    each.opening = 0;
  }
}

void ListenTrace::client(TimePoint now, const net::Endpoint& client, std::string_view by) {
  client_ = unmapped(client.address);
  tags_.remote = name_of(client);
  judge();
  step(now, fmt::format("client {} by {}", tags_.remote, by));
}

void ListenTrace::user(std::string user) {
  tags_.user = std::move(user);
  judge();
}

void ListenTrace::sender(std::string_view mail_from) {
  sender_ = domain_of(mail_from);
  in_message_ = true;
  judge();
  for (Watch& each : watches_) {  // Those that it does not fit shall never see it.
    if (!begun_ && !each.kept.empty()) each.opening = each.kept.size() - 1;
    each.kept.resize(std::min(each.opening, each.kept.size()));
  }
  begun_ = true;
}

void ListenTrace::between_messages() {
  if (!std::exchange(in_message_, false)) return;
  judge();
  for (Watch& each : watches_) each.kept.resize(std::min(each.opening, each.kept.size()));
}

// ---------------------------------------------------------------------------------------------------------------------
// Lines

void ListenTrace::on_line(const TraceLine& line) {
  using Kind = TraceLine::Kind;
  const Kind kind = line.kind == Kind::kSent ? Kind::kReceived : line.kind == Kind::kReceived ? Kind::kSent : line.kind;
  for (Watch& each : watches_) {
    Line own{line.time, kind, std::string(line.text)};
    if (each.fits)
      give(each, std::move(own));
    else
      keep(each, std::move(own));
  }
}

void ListenTrace::keep(Watch& watch, Line line) {
  const std::size_t oldest = watch.opening < kOpeningMax ? watch.opening : 0;
  if (line.text.size() > kKeptLineMax) line.text.replace(kKeptLineMax, std::string::npos, "...");
  if (watch.kept.size() == kOpeningMax) watch.kept.erase(watch.kept.begin() + static_cast<std::ptrdiff_t>(oldest));
  watch.kept.push_back(std::move(line));
}

void ListenTrace::give(const Watch& watch, Line line) const {
  TraceRecord record = tags_;
  record.time = line.time;
  record.kind = line.kind;
  record.text = std::move(line.text);
  watch.to->push(std::move(record));
}

}  // namespace mailsbuddy::smtp
