#include "mailsbuddy/engine.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "engine/core.h"

namespace mailsbuddy {

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
  auto core = Core::open(std::move(options));
  if (!core) return std::move(core).error();
  return std::unique_ptr<Engine>(new Engine(*std::move(core)));
}

Engine::Engine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Engine::~Engine() = default;

Result<MessageId> Engine::submit(Message message) { return core_->submit(std::move(message)); }
Result<ImportReport> Engine::start(Campaign campaign, RowSource& rows) { return core_->start(std::move(campaign), rows); }
Result<CampaignStatus> Engine::status(std::string_view job) const { return core_->status(job); }
std::vector<std::string> Engine::campaigns() const { return core_->campaigns(); }
Result<void> Engine::pause(std::string_view campaign) { return core_->set_paused(campaign, true); }
Result<void> Engine::resume(std::string_view campaign) { return core_->set_paused(campaign, false); }
Result<void> Engine::cancel(std::string_view campaign) { return core_->cancel(campaign); }
Result<void> Engine::forget(std::string_view campaign) { return core_->forget(campaign); }
Result<void> Engine::suppress(std::string_view account, const Address& address, SuppressionReason reason) {
  return core_->suppress(account, address, reason);
}
bool Engine::carries_token(const Address& address) const { return core_->carries_token(address); }

Result<InboundReport> Engine::inbound(std::string_view message, const InboundEnvelope& envelope) {
  return core_->inbound(message, envelope);
}
std::optional<Suppressed> Engine::suppressed(std::string_view account, const Address& address) const {
  return core_->suppressed(account, address);
}
Result<std::vector<OpenRecipient>> Engine::open_recipients(std::string_view job, std::size_t max) const {
  return core_->open_recipients(job, max);
}
Result<bool> Engine::unsuppress(std::string_view account, const Address& address) {
  return core_->unsuppress(account, address);
}
Result<std::uint64_t> Engine::import_suppressions(const std::function<std::optional<SuppressionEntry>()>& next) {
  return core_->import_suppressions(next);
}
Result<void> Engine::export_suppressions(const std::function<bool(const SuppressionEntry&)>& visit) const {
  return core_->export_suppressions(visit);
}
Result<bool> Engine::export_suppressions(std::string& cursor, std::size_t max,
                                         std::vector<SuppressionEntry>& out) const {
  return core_->export_suppressions(cursor, max, out);
}
Result<bool> Engine::list(const QueueFilter& filter, spool::ListCursor& cursor, std::size_t max,
                          std::vector<QueuedRecipient>& out) const {
  return core_->list(filter, cursor, max, out);
}
Result<QueueSummary> Engine::summary(const QueueFilter& filter, QueueGrouping by, std::size_t max) const {
  return core_->summary(filter, by, max);
}
namespace {

// All pages of a command.
template <class Change, class Page>
Result<Change> all_pages(Page page) {
  Change change{};
  spool::ListCursor cursor;
  for (bool more = true; more;) {
    auto done = page(cursor, change);
    if (!done) return std::move(done).error();
    more = *done;
  }
  return change;
}

}  // namespace

Result<QueueChange> Engine::fail(const QueueFilter& filter, std::string_view reason) {
  return all_pages<QueueChange>([&](auto& cursor, auto& change) { return fail(filter, reason, cursor, change); });
}
Result<QueueChange> Engine::hold(const QueueFilter& filter, std::string_view reason) {
  return all_pages<QueueChange>([&](auto& cursor, auto& change) { return hold(filter, reason, cursor, change); });
}
Result<QueueChange> Engine::release(const QueueFilter& filter) {
  return all_pages<QueueChange>([&](auto& cursor, auto& change) { return release(filter, cursor, change); });
}
std::uint64_t Engine::find_providers(const QueueFilter& filter, std::chrono::milliseconds time) const {
  return core_->find_providers(filter, time);
}
Result<std::uint64_t> Engine::move(const QueueFilter& filter, std::string_view pool) {
  return all_pages<std::uint64_t>([&](auto& cursor, auto& moved) { return move(filter, pool, cursor, moved); });
}
Result<bool> Engine::fail(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor,
                          QueueChange& change) {
  return core_->fail(filter, reason, cursor, change);
}
Result<bool> Engine::hold(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor,
                          QueueChange& change) {
  return core_->hold(filter, reason, cursor, change);
}
Result<bool> Engine::release(const QueueFilter& filter, spool::ListCursor& cursor, QueueChange& change) {
  return core_->release(filter, cursor, change);
}
Result<bool> Engine::move(const QueueFilter& filter, std::string_view pool, spool::ListCursor& cursor,
                          std::uint64_t& moved) {
  return core_->move(filter, pool, cursor, moved);
}
Result<void> Engine::drain_egress(std::string_view address, bool draining) {
  return core_->drain_egress(address, draining);
}
std::vector<EgressStatus> Engine::egress() const { return core_->egress(); }
IntakePressure Engine::pressure() const { return core_->pressure(); }
Result<AddressErased> Engine::erase_address(const Address& address, bool suppressions) {
  return core_->erase_address(address, suppressions);
}
Result<void> Engine::erase_campaign(std::string_view campaign) { return core_->erase_campaign(campaign); }
Result<warming::Explanation> Engine::explain(std::string_view ip, std::string_view provider) const {
  return core_->explain(ip, provider);
}
Result<void> Engine::command(std::string_view ip, std::string_view provider, warming::Command command,
                             std::uint64_t value) {
  return core_->command(ip, provider, command, value);
}
Result<void> Engine::resume_domain(std::string_view sender_domain, std::string_view provider) {
  return core_->resume_domain(sender_domain, provider);
}
std::vector<warming::Explanation> Engine::paces() const { return core_->paces(); }
void Engine::change(std::shared_ptr<const warming::Settings> settings) { core_->change(std::move(settings)); }
void Engine::set_keys(std::shared_ptr<const dkim::KeyRing> keys) { core_->set_keys(std::move(keys)); }
std::unique_ptr<Tracing> Engine::trace(TraceFilter filter) { return core_->trace(std::move(filter)); }
std::vector<smtp::TlsReport> Engine::take_tls_reports() { return core_->take_tls_reports(); }
void Engine::subscribe(std::shared_ptr<EventSink> sink) { core_->subscribe(std::move(sink)); }
bool Engine::drain(std::chrono::milliseconds limit) { return core_->drain(limit); }

std::uint64_t Engine::open_rows() const { return core_->open_rows(); }

std::uint64_t Engine::unreported() const { return core_->unreported(); }

bool CampaignStatus::settled() const noexcept {
  return std::all_of(counts.begin(), counts.begin() + static_cast<int>(spool::State::kDelivered),
                     [](std::uint64_t rows) { return rows == 0; });
}

Result<Template> make_campaign_content(Content content, const ListHeaders& list) {
  if (!ascii::istarts_with(list.unsubscribe_url, "https://")) {
    return Error{ErrorCode::kInvalidArgument, "unsubscribe_url must begin with https:// (RFC 8058 section 3.1)"};
  }
  if (list.list_id.empty()) return Error{ErrorCode::kInvalidArgument, "list_id is empty (RFC 2919)"};
  const auto set = [&content](std::string name, std::string value) {
    std::erase_if(content.headers, [&name](const HeaderField& field) { return ascii::iequals(field.name, name); });
    content.headers.push_back({std::move(name), std::move(value)});
  };
  std::string unsubscribe = "<" + list.unsubscribe_url + ">";
  if (!list.unsubscribe_mailto.empty()) unsubscribe += ", <mailto:" + list.unsubscribe_mailto + ">";
  const bool bracketed = list.list_id.find('<') != std::string::npos;
  set("List-Id", bracketed ? list.list_id : "<" + list.list_id + ">");
  set("List-Unsubscribe", std::move(unsubscribe));
  set("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
  set("Feedback-ID", list.feedback_id.empty() ? "{{ mb_campaign }}:{{ mb_account }}:bulk:mailsbuddy" : list.feedback_id);
  return Template::compile(std::move(content));
}

}  // namespace mailsbuddy
