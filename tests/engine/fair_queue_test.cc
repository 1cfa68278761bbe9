#include "engine/fair_queue.h"

#include <boost/test/unit_test.hpp>
#include <map>

using namespace mailsbuddy;
using namespace mailsbuddy::engine;

namespace {

struct World {
  std::unique_ptr<spool::Spool> store = spool::make_memory_spool();
  FairQueue queue{*store};

  JobPtr job(const std::string& id, const std::string& account, Priority priority = Priority::kBulk, bool campaign = true) {
    auto job = std::make_shared<Job>();
    job->id = id;
    job->account = account;
    job->priority = priority;
    job->campaign = campaign;
    job->expires = TimePoint::max();
    job->number = *store->create({.id = id, .content = {}});
    return job;
  }

  void push(const JobPtr& job, const std::string& domain, int rows) {
    std::vector<std::string> locals;
    for (int i = 0; i < rows; ++i) locals.push_back(job->id + std::to_string(i));
    std::vector<spool::RowInput> inputs;
    for (const std::string& local : locals) inputs.push_back({domain, local, ""});
    BOOST_REQUIRE(store->append(job->number, inputs).has_value());
    for (const auto& each : store->domains(job->number)) {
      if (each.name != domain) continue;
      auto feed = std::make_unique<Feed>();
      feed->job = job;
      feed->domain_number = each.domain;
      feed->domain = domain;
      feed->unread = each.rows;
      queue.push(std::move(feed));
    }
  }

  std::string pull_jobs(Priority priority, int count) {
    std::string ids;
    for (int i = 0; i < count; ++i) {
      const auto pulled = queue.pull(priority);
      ids += pulled ? pulled->job->id : "-";
    }
    return ids;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(accounts_take_turns_then_jobs, World) {
  push(job("a", "one"), "x.test", 100);
  push(job("b", "one"), "x.test", 100);
  push(job("c", "two"), "x.test", 100);
  BOOST_TEST(pull_jobs(Priority::kBulk, 8) == "acbcacbc");
}

BOOST_FIXTURE_TEST_CASE(priorities_are_apart, World) {
  push(job("b", "one"), "x.test", 3);
  push(job("t", "one", Priority::kTransactional), "x.test", 2);
  BOOST_TEST(queue.waiting(Priority::kTransactional, 100) == 2U);
  BOOST_TEST(queue.waiting(Priority::kBulk, 100) == 3U);
  BOOST_TEST(queue.waiting(Priority::kBulk, 2) == 2U);
  BOOST_TEST(pull_jobs(Priority::kTransactional, 3) == "tt-");
  BOOST_TEST(pull_jobs(Priority::kBulk, 4) == "bbb-");
  BOOST_TEST(queue.empty());
}

BOOST_FIXTURE_TEST_CASE(paused_jobs_are_passed_over_and_kept, World) {
  const JobPtr a = job("a", "one");
  push(a, "x.test", 2);
  push(job("b", "two"), "x.test", 2);
  a->paused = true;
  BOOST_TEST(queue.waiting(Priority::kBulk, 100) == 2U);
  BOOST_TEST(pull_jobs(Priority::kBulk, 3) == "bb-");
  a->paused = false;
  BOOST_TEST(pull_jobs(Priority::kBulk, 3) == "aa-");
}

BOOST_FIXTURE_TEST_CASE(every_row_comes_once_over_many_domains, World) {
  const JobPtr a = job("a", "one");
  std::map<std::string, int> expected;
  for (int domain = 0; domain < 50; ++domain) {
    expected["d" + std::to_string(domain)] = 1 + domain * 3;
    push(a, "d" + std::to_string(domain), 1 + domain * 3);
  }
  std::map<std::string, int> seen;
  std::map<spool::RowKey, int> keys;
  while (auto pulled = queue.pull(Priority::kBulk)) {
    ++seen[pulled->domain];
    BOOST_TEST(++keys[pulled->row.key] == 1);
  }
  BOOST_TEST((seen == expected));
  BOOST_TEST(queue.waiting(Priority::kBulk, 100) == 0U);
}

BOOST_FIXTURE_TEST_CASE(what_is_given_back_is_next, World) {
  push(job("a", "one"), "x.test", 3);
  auto first = queue.pull(Priority::kBulk);
  const auto key = first->row.key;
  queue.push_front(*std::move(first));
  BOOST_TEST((queue.pull(Priority::kBulk)->row.key == key));
  BOOST_TEST(pull_jobs(Priority::kBulk, 3) == "aa-");
}

BOOST_FIXTURE_TEST_CASE(a_shut_gate_is_passed_over_and_asked_again_at_its_time, World) {
  const TimePoint now(std::chrono::seconds(100));
  const TimePoint later(std::chrono::seconds(200));
  push(job("a", "one"), "x.test", 2);
  push(job("b", "one"), "x.test", 2);
  int asked = 0;
  TimePoint opens = later;
  const FairQueue::Gate gate = [&](const Job& each) {
    if (each.id != "a") return TimePoint{};
    ++asked;
    return opens;
  };
  BOOST_TEST(queue.waiting(Priority::kBulk, 100, now, gate) == 2U);
  BOOST_TEST(queue.pull(Priority::kBulk, now, gate)->job->id == "b");
  BOOST_TEST(queue.pull(Priority::kBulk, now, gate)->job->id == "b");
  BOOST_TEST(!queue.pull(Priority::kBulk, now, gate).has_value());
  BOOST_TEST(asked == 1);  // Once, until its time.
  BOOST_TEST((queue.opens_at(now) == later));
  opens = {};
  BOOST_TEST(!queue.pull(Priority::kBulk, now, gate).has_value());
  BOOST_TEST(queue.pull(Priority::kBulk, later, gate)->job->id == "a");
  opens = later + std::chrono::seconds(100);
  BOOST_TEST(!queue.pull(Priority::kBulk, later, gate).has_value());
  opens = {};
  queue.ask_again();
  BOOST_TEST((queue.opens_at(later) == TimePoint::max()));
  BOOST_TEST(queue.pull(Priority::kBulk, later, gate)->job->id == "a");
}

// What a gate keeps back of an account's single messages does not hold up the others.
BOOST_FIXTURE_TEST_CASE(single_messages_are_kept_back_by_domain_and_campaign, World) {
  const char* kFrom[] = {"shut.example", "open.example", "shut.example", "open.example"};
  for (int i = 0; i < 4; ++i) {
    const JobPtr message = job("m" + std::to_string(i), "one", Priority::kBulk, false);
    message->from_domain = kFrom[i];
    push(message, "x.test", 1);
  }
  const TimePoint now(std::chrono::seconds(100));
  const FairQueue::Gate gate = [](const Job& each) {
    return each.from_domain == "shut.example" ? TimePoint::max() : TimePoint{};
  };
  BOOST_TEST(queue.pull(Priority::kBulk, now, gate)->job->id == "m1");
  BOOST_TEST(queue.pull(Priority::kBulk, now, gate)->job->id == "m3");
  BOOST_TEST(!queue.pull(Priority::kBulk, now, gate).has_value());
  BOOST_TEST(queue.waiting(Priority::kBulk, 100) == 2U);
}

BOOST_FIXTURE_TEST_CASE(what_waits_too_long_is_taken_out, World) {
  const JobPtr a = job("a", "one");
  push(a, "x.test", 2);
  BOOST_TEST((queue.oldest({}) == TimePoint{}));
  a->paused = true;
  BOOST_TEST((queue.oldest({}) == TimePoint::max()));  // It is not held: others that are have their own time.
  BOOST_TEST(queue.take_older(TimePoint(std::chrono::seconds(1))).empty());
  a->paused = false;
  const TimePoint now(std::chrono::seconds(100));
  const FairQueue::Gate gate = [now](const Job&) { return now + std::chrono::hours(1); };
  BOOST_TEST(queue.waiting(Priority::kBulk, 10, now, gate) == 0U);
  BOOST_TEST((queue.oldest(now) == TimePoint::max()));
  BOOST_TEST((queue.oldest(now + std::chrono::hours(1)) == TimePoint{}));
  BOOST_TEST(queue.take_older(TimePoint(std::chrono::seconds(1))).size() == 1U);
  BOOST_TEST((queue.oldest({}) == TimePoint::max()));
}

BOOST_FIXTURE_TEST_CASE(ended_jobs_leave_and_others_stay, World) {
  const JobPtr a = job("a", "one");
  const JobPtr b = job("b", "one");
  const JobPtr m1 = job("m", "one", Priority::kBulk, false);
  const JobPtr m2 = job("n", "one", Priority::kBulk, false);
  m1->expires = TimePoint(std::chrono::seconds(10));
  push(a, "x.test", 2);
  push(b, "x.test", 2);
  push(m1, "x.test", 1);
  push(m2, "x.test", 1);
  BOOST_TEST((queue.earliest_end() == m1->expires));
  a->cancelled = true;
  BOOST_TEST(queue.take_ended(TimePoint(std::chrono::seconds(9))).size() == 1U);
  const auto expired = queue.take_ended(TimePoint(std::chrono::seconds(10)));
  BOOST_REQUIRE(expired.size() == 1U);
  BOOST_TEST((expired[0]->job == m1));
  BOOST_TEST((queue.earliest_end() == TimePoint::max()));
  BOOST_TEST(queue.waiting(Priority::kBulk, 100) == 3U);
}

// A single message's further recipients, for as long as they are next.
BOOST_FIXTURE_TEST_CASE(more_of_a_message_is_what_is_next_of_it, World) {
  const JobPtr m = job("m", "one", Priority::kTransactional, false);
  const JobPtr n = job("n", "one", Priority::kTransactional, false);
  push(m, "x.test", 40);  // More than are read at once.
  push(m, "y.test", 2);
  push(n, "x.test", 1);
  const auto first = queue.pull(Priority::kTransactional);
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST(first->more);
  const spool::DomainNumber x = first->row.key.domain;
  for (int i = 1; i < 40; ++i) {
    BOOST_TEST_CONTEXT(i) {
      const auto more = queue.pull_more(m, x, false);
      BOOST_REQUIRE(more.has_value());
      BOOST_TEST(more->row.local == "m" + std::to_string(i));
      BOOST_TEST(more->domain == "x.test");
    }
  }
  BOOST_TEST(!queue.pull_more(m, x, false).has_value());
  BOOST_TEST(queue.all_rows() == 3U);
  BOOST_TEST(queue.pull_more(m, x, true)->domain == "y.test");
  BOOST_TEST(queue.pull_more(m, x, true)->domain == "y.test");
  BOOST_TEST(!queue.pull_more(m, x, true).has_value());
  const auto last = queue.pull(Priority::kTransactional);
  BOOST_REQUIRE(last.has_value());
  BOOST_TEST(last->job == n);
  BOOST_TEST(!last->more);
  BOOST_TEST(queue.empty());
  BOOST_TEST(!queue.pull_more(n, x, true).has_value());
}

BOOST_FIXTURE_TEST_CASE(more_of_a_message_waits_for_its_gate_and_leaves_nothing_behind, World) {
  const JobPtr m = job("m", "one", Priority::kBulk, false);
  push(m, "x.test", 3);
  push(job("c", "one"), "x.test", 1);
  const auto first = queue.pull(Priority::kBulk);
  BOOST_REQUIRE(first.has_value());
  const TimePoint now{std::chrono::seconds(100)};
  const auto shut = [](const Job&) { return TimePoint(std::chrono::seconds(200)); };
  BOOST_TEST(!queue.pull_more(m, first->row.key.domain, false, now, shut).has_value());
  queue.ask_again();
  BOOST_TEST(queue.pull_more(m, first->row.key.domain, false, now).has_value());
  BOOST_TEST(queue.pull_more(m, first->row.key.domain, false, now).has_value());
  const auto campaign = queue.pull(Priority::kBulk);
  BOOST_REQUIRE(campaign.has_value());
  BOOST_TEST(!campaign->more);
  BOOST_TEST(!queue.pull_more(campaign->job, first->row.key.domain, false).has_value());
  BOOST_TEST(queue.empty());
  push(job("n", "one", Priority::kBulk, false), "x.test", 1);  // The account may come back.
  BOOST_TEST(pull_jobs(Priority::kBulk, 2) == "n-");
}
