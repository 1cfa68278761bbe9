// How many recipients there are, by what is asked. The spool counts; no row is read, but for an address.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include "engine/core.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kRowsAtOnce = 8192;  // Read.

std::uint64_t sum(const spool::Counts& counts) noexcept {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

void add_to(spool::Counts& to, const spool::Counts& more) noexcept {
  for (std::size_t state = 0; state < spool::kStateCount; ++state) to[state] += more[state];
}

// Numbers for names, from 0.
class Numbers {
 public:
  std::uint32_t of(std::string_view name) {
    auto found = numbers_.find(name);
    if (found == numbers_.end()) {
      found = numbers_.emplace(name, static_cast<std::uint32_t>(names_.size())).first;
      names_.push_back(&found->first);
    }
    return found->second;
  }
  const std::string& name(std::uint32_t number) const { return *names_[number]; }

 private:
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
  std::vector<const std::string*> names_;
};

// The numbers of the `max` largest.
std::vector<std::uint32_t> largest(const std::vector<std::uint64_t>& totals, std::size_t max) {
  std::vector<std::uint32_t> groups;
  for (std::uint32_t group = 0; group < totals.size(); ++group) {
    if (totals[group] > 0) groups.push_back(group);
  }
  if (groups.size() <= max) return groups;
  std::nth_element(
      groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(max), groups.end(),
      [&totals](std::uint32_t a, std::uint32_t b) { return totals[a] != totals[b] ? totals[a] > totals[b] : a < b; });
  groups.resize(max);
  return groups;
}

}  // namespace

Result<QueueGrouping> parse_queue_grouping(std::string_view name) {
  constexpr std::string_view kNames[] = {"campaign", "account", "domain", "provider", "state"};  // By value.
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found != std::end(kNames)) return static_cast<QueueGrouping>(found - std::begin(kNames));
  return Error{ErrorCode::kInvalidArgument, "by: campaign, account, domain, provider or state is expected"};
}

std::uint64_t QueueGroup::rows() const noexcept { return sum(counts); }

// visit(job, domain, how many that fit); `by_domain`: else all of a job's come together, as of no domain. The provider
// of `filter` is the caller's to look at.
void Engine::Core::count_rows(const QueueFilter& filter, bool by_domain, const Visit& visit) const {
  const auto fitting = [&filter](spool::Counts counts) {
    for (std::size_t state = 0; state < spool::kStateCount; ++state) {
      if ((filter.states >> state & 1U) == 0) counts[state] = 0;
    }
    return counts;
  };
  if (!filter.address.empty()) {
    spool::ListCursor cursor;
    for (bool more = true; more;) {
      std::vector<Listed> rows;
      more = list_rows(filter, cursor, kRowsAtOnce, rows);
      for (const Listed& each : rows) {
        spool::Counts one{};
        one[static_cast<std::size_t>(each.row.state)] = 1;
        visit(*each.job, each.row.key.domain, one);
      }
    }
    return;
  }
  const std::optional<std::string_view> domain =
      filter.domain.empty() ? std::nullopt : std::optional<std::string_view>(filter.domain);
  spool::JobNumber number = 0;
  for (bool more = true; more;) {
    const engine::JobPtr job = next_job(filter, number, more);
    if (job == nullptr) continue;
    number = job->number + 1;
    more = true;
    if (!by_domain) {
      visit(*job, 0, fitting(spool().counts(job->number)));
      continue;
    }
    spool::ListCursor cursor;
    std::vector<spool::Spool::DomainCounts> counted;
    for (bool rows = true; rows; counted.clear()) {
      rows = spool().count(job->number, domain, cursor, counted);
      for (const auto& each : counted) visit(*job, each.domain, fitting(each.counts));
    }
  }
}

// Of those that fit.
std::vector<spool::DomainNumber> Engine::Core::unknown_domains(const QueueFilter& filter) const {
  std::vector<spool::DomainNumber> unknown;
  std::vector<bool> seen;
  count_rows(filter, true, [&](const engine::Job&, spool::DomainNumber domain, const spool::Counts& counts) {
    if (sum(counts) == 0 || known_providers_.number(domain) != 0) return;
    if (seen.size() <= domain) seen.resize(domain + 1);
    if (!seen[domain]) unknown.push_back(domain);
    seen[domain] = true;
  });
  return unknown;
}

// How many of them the DNS does not tell in time.
std::uint64_t Engine::Core::left_unknown(const QueueFilter& filter) const {
  if (filter.provider.empty()) return 0;
  find_providers(filter, filter.provider_wait);
  return unknown_domains(filter).size();
}

// Counted twice: which are the largest, 8 octets a group; and then those alone, state by state.
Result<QueueSummary> Engine::Core::summary(const QueueFilter& filter, QueueGrouping by, std::size_t max) const {
  if (auto checked = check_filter(filter); !checked) return std::move(checked).error();
  const std::uint64_t left = left_unknown(filter);
  const std::uint32_t provider = known_providers_.number(filter.provider);
  const bool by_domain = by == QueueGrouping::kDomain || by == QueueGrouping::kProvider || !filter.domain.empty() ||
                         !filter.provider.empty();
  QueueSummary summary{.unknown_domains = left};
  Numbers numbers;
  const auto each_group = [&](const auto& take) {
    summary.unknown = 0;
    count_rows(filter, by_domain, [&](const engine::Job& job, spool::DomainNumber domain, const spool::Counts& counts) {
      const std::uint32_t known = by_domain ? known_providers_.number(domain) : 0;
      if (!filter.provider.empty() && known == 0) summary.unknown += sum(counts);
      if (!filter.provider.empty() && (known == 0 || known != provider)) return;
      switch (by) {
        case QueueGrouping::kCampaign:
          return take(numbers.of(job.campaign_id()), counts);
        case QueueGrouping::kAccount:
          return take(numbers.of(job.account), counts);
        case QueueGrouping::kDomain:
          return take(domain, counts);
        case QueueGrouping::kProvider:
          return take(known, counts);
        case QueueGrouping::kState:
          break;
      }
      for (std::uint32_t state = 0; state < spool::kStateCount; ++state) {
        spool::Counts only{};
        only[state] = counts[state];
        take(state, only);
      }
    });
  };
  const auto name = [&](std::uint32_t group) -> std::string {
    switch (by) {
      case QueueGrouping::kDomain:
        return spool().domain_name(group);
      case QueueGrouping::kProvider:
        return known_providers_.name(group);
      case QueueGrouping::kState:
        return std::string(spool::to_string(static_cast<spool::State>(group)));
      default:
        return numbers.name(group);
    }
  };

  std::vector<std::uint64_t> totals;
  each_group([&totals](std::uint32_t group, const spool::Counts& counts) {
    if (totals.size() <= group) totals.resize(group + 1);
    totals[group] += sum(counts);
  });
  std::unordered_map<std::uint32_t, QueueGroup> groups;
  for (const std::uint32_t group : largest(totals, max)) groups[group].name = name(group);
  std::vector<bool> others;  // A group may have got its first row meanwhile.
  each_group([&](std::uint32_t group, const spool::Counts& counts) {
    if (const auto found = groups.find(group); found != groups.end()) return add_to(found->second.counts, counts);
    add_to(summary.others, counts);
    if (sum(counts) == 0) return;
    if (others.size() <= group) others.resize(group + 1);
    others[group] = true;
  });
  summary.other_groups = static_cast<std::uint64_t>(std::count(others.begin(), others.end(), true));
  for (auto& [number, group] : groups) {
    if (group.rows() > 0) summary.groups.push_back(std::move(group));
  }
  std::sort(summary.groups.begin(), summary.groups.end(), [](const QueueGroup& a, const QueueGroup& b) {
    return a.rows() != b.rows() ? a.rows() > b.rows() : a.name < b.name;
  });
  return summary;
}

}  // namespace mailsbuddy
