// The spool's contract: each program that has this file runs it against its own form of the spool.
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "mailsbuddy/spool.h"
#include "tests/spool/contract.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;
using namespace std::chrono_literals;

namespace {

struct World : Contract {
  std::unique_ptr<Spool> spool = open();
  JobNumber job = *spool->create({.id = "c", .content = {}});

  void append(std::vector<RowInput> rows) { BOOST_REQUIRE(spool->append(job, rows).has_value()); }

  std::vector<Row> read(std::string_view domain, std::size_t max = 1000) {
    std::vector<Row> rows;
    Cursor cursor;
    for (const auto& each : spool->domains(job)) {
      if (each.name == domain) spool->read(job, each.domain, cursor, max, rows);
    }
    return rows;
  }

  void settle(const Row& row, State state, TimePoint due = {}, std::string event = {}) {
    spool->commit({.settlements = {{.key = row.key,
                                    .position = row.position,
                                    .state = state,
                                    .attempts = static_cast<std::uint16_t>(row.attempts + 1),
                                    .due = due,
                                    .event = std::move(event)}},
                   .claims = {}},
                  nullptr);
  }

  // What is durable.
  std::vector<std::string> peek(std::size_t max) {
    BOOST_REQUIRE(spool->sync().has_value());
    return spool->peek_events(0, max);
  }

  std::uint64_t count(State state) { return spool->counts(job)[static_cast<std::size_t>(state)]; }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(rows_come_back_as_they_went_in, World) {
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> expected;
  std::vector<std::string> keep;
  keep.reserve(40'000);
  std::vector<RowInput> inputs;
  for (int i = 0; i < 10'000; ++i) {
    const std::string& domain = keep.emplace_back("d" + std::to_string(i % 7) + ".test");
    const std::string& local = keep.emplace_back("user" + std::to_string(i));
    const std::string& fields = keep.emplace_back(std::string(static_cast<std::size_t>(i % 300), 'f'));
    inputs.push_back({domain, local, fields});
    expected[domain].emplace_back(local, fields);
  }
  append(inputs);
  BOOST_TEST(count(State::kQueued) == 10'000U);
  BOOST_TEST(spool->open_rows() == 10'000U);
  for (const auto& [domain, rows] : expected) {
    const auto got = read(domain, 100'000);
    BOOST_REQUIRE(got.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      BOOST_REQUIRE(got[i].local == rows[i].first);
      BOOST_REQUIRE(got[i].fields == rows[i].second);
      BOOST_REQUIRE(got[i].key.row == i);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(a_cursor_goes_on_where_it_stopped_also_after_rows_were_settled_and_appended, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}});
  const DomainNumber domain = spool->domains(job).front().domain;
  Cursor cursor;
  std::vector<Row> rows;
  BOOST_TEST(!spool->read(job, domain, cursor, 5, rows));
  for (const Row& row : rows) settle(row, State::kDelivered);
  append({{"x.test", "c", "field"}});
  rows.clear();
  BOOST_TEST(!spool->read(job, domain, cursor, 5, rows));
  BOOST_REQUIRE(rows.size() == 1U);
  BOOST_TEST(rows[0].local == "c");
  BOOST_TEST(rows[0].fields == "field");
}

BOOST_FIXTURE_TEST_CASE(deferred_rows_come_when_due_earliest_first, World) {
  append({{"x.test", "a", "1"}, {"x.test", "b", "2"}, {"y.test", "c", "3"}});
  const auto x = read("x.test");
  settle(x[0], State::kDeferred, TimePoint(30s));
  settle(x[1], State::kDeferred, TimePoint(10s));
  settle(read("y.test")[0], State::kDeferred, TimePoint(20s));
  BOOST_TEST((spool->next_due() == TimePoint(10s)));
  std::vector<Row> due;
  spool->take_due(TimePoint(9s), 10, due);
  BOOST_TEST(due.empty());
  spool->take_due(TimePoint(25s), 10, due);
  BOOST_REQUIRE(due.size() == 2U);
  BOOST_TEST(due[0].local == "b");
  BOOST_TEST(due[0].fields == "2");
  BOOST_TEST(due[0].attempts == 1);
  BOOST_TEST(due[1].local == "c");
  BOOST_TEST(count(State::kDeferred) == 3U);
  due.clear();
  spool->take_waiting(job, 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  BOOST_TEST(due[0].local == "a");
  BOOST_TEST((spool->next_due() == TimePoint::max()));
}

BOOST_FIXTURE_TEST_CASE(a_deferred_row_keeps_its_mark, World) {
  append({{"x.test", "a", ""}});
  const Row row = read("x.test").front();
  BOOST_TEST(row.mark == 0);
  spool->commit({.settlements = {{.key = row.key, .position = row.position, .state = State::kDeferred, .mark = 9}}},
                nullptr);
  std::vector<Row> due;
  spool->take_due(TimePoint(1s), 1, due);
  BOOST_REQUIRE(due.size() == 1U);
  BOOST_TEST(due[0].mark == 9);
}

BOOST_FIXTURE_TEST_CASE(settlements_before_claims_in_one_batch, World) {
  append({{"x.test", "a", ""}});
  const Row row = read("x.test").front();
  std::atomic<bool> durable = false;
  spool->commit({.settlements = {}, .claims = {row.key}}, [&durable] { durable = true; });
  BOOST_TEST(spool->sync().has_value());
  BOOST_TEST(durable);
  BOOST_TEST(count(State::kClaimed) == 1U);
  spool->commit(
      {.settlements = {{.key = row.key, .position = row.position, .state = State::kQueued}}, .claims = {row.key}},
      nullptr);
  BOOST_TEST(count(State::kClaimed) == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_final_row_stays_final_and_reports_once, World) {
  append({{"x.test", "a", ""}});
  const Row row = read("x.test").front();
  settle(row, State::kDelivered, {}, "first");
  settle(row, State::kBounced, {}, "second");
  BOOST_TEST(count(State::kDelivered) == 1U);
  BOOST_TEST(count(State::kBounced) == 0U);
  BOOST_TEST(spool->open_rows() == 0U);
  BOOST_TEST(peek(10) == std::vector<std::string>{"first"}, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(events_stay_until_removed, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}});
  for (const Row& row : read("x.test")) settle(row, State::kDelivered, {}, row.local);
  BOOST_TEST(peek(1).size() == 1U);
  BOOST_TEST(spool->event_count() == 2U);
  spool->remove_events(1);
  BOOST_TEST(peek(10) == std::vector<std::string>{"b"}, boost::test_tools::per_element());
  spool->remove_events(10);
  BOOST_TEST(spool->event_count() == 0U);
}

BOOST_FIXTURE_TEST_CASE(open_rows_are_visited_with_their_state, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}, {"y.test", "c", ""}});
  const auto x = read("x.test");
  settle(x[0], State::kDelivered);
  settle(x[1], State::kDeferred, TimePoint(1s));
  std::map<std::string, State> seen;
  const auto visited = spool->visit_open(job, [&](std::string_view local, std::string_view domain, std::string_view, State state) {
    seen[std::string(local) + "@" + std::string(domain)] = state;
    return true;
  });
  BOOST_TEST(visited.has_value());
  BOOST_TEST((seen == std::map<std::string, State>{{"b@x.test", State::kDeferred}, {"c@y.test", State::kQueued}}));
}

BOOST_FIXTURE_TEST_CASE(a_new_cursor_passes_over_what_is_settled_and_gone, World) {
  std::vector<std::string> locals;
  for (int i = 0; i < 2000; ++i) locals.push_back("user" + std::to_string(i));
  const std::string fields(100, 'f');
  std::vector<RowInput> inputs;
  for (const std::string& local : locals) inputs.push_back({"x.test", local, fields});
  append(inputs);
  const auto rows = read("x.test", 1500);
  for (const Row& row : rows) settle(row, State::kDelivered);
  const auto rest = read("x.test", 5000);
  BOOST_REQUIRE(rest.size() == 500U);
  BOOST_TEST(rest.front().local == "user1500");
  BOOST_TEST(rest.back().local == "user1999");
}

BOOST_FIXTURE_TEST_CASE(a_held_row_waits_for_a_person, World) {
  append({{"x.test", "a", ""}});
  settle(read("x.test").front(), State::kHeld);
  BOOST_TEST(spool->open_rows() == 0U);
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  std::vector<Row> taken;
  spool->take_due(TimePoint::max() - 1s, 10, taken);
  BOOST_TEST(taken.empty());
  spool->take_waiting(job, 10, taken);
  BOOST_REQUIRE(taken.size() == 1U);
  settle(taken[0], State::kCancelled);
  BOOST_TEST(count(State::kCancelled) == 1U);
}

BOOST_FIXTURE_TEST_CASE(an_erased_job_leaves_nothing, World) {
  append({{"x.test", "a", ""}});
  const Row row = read("x.test").front();
  settle(row, State::kDeferred, TimePoint(1s));
  spool->erase(job);
  BOOST_TEST(spool->open_rows() == 0U);
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  settle(row, State::kDelivered, {}, "late");
  BOOST_TEST(spool->event_count() == 0U);
  BOOST_TEST(!spool->append(job, std::vector<RowInput>{{"x.test", "b", ""}}).has_value());
  BOOST_TEST(spool->create({.id = "c", .content = {}}).has_value());
}

BOOST_FIXTURE_TEST_CASE(an_id_is_taken_once, World) {
  const auto again = spool->create({.id = "c", .content = {}});
  BOOST_REQUIRE(!again.has_value());
  BOOST_TEST((again.error().code == ErrorCode::kAlreadyExists));
}

BOOST_FIXTURE_TEST_CASE(suppression_is_per_account_and_exact, World) {
  BOOST_TEST(spool->suppress({{"brand", "ann@x.test"}, {.reason = 3, .since = TimePoint(7s)}}).has_value());
  BOOST_REQUIRE(spool->suppressed("brand", "ann@x.test").has_value());
  BOOST_TEST(spool->suppressed("brand", "ann@x.test")->reason == 3);
  BOOST_TEST((spool->suppressed("brand", "ann@x.test")->since == TimePoint(7s)));
  BOOST_TEST(!spool->suppressed("other", "ann@x.test").has_value());
  BOOST_TEST(!spool->suppressed("brand", "nn@x.test").has_value());
  BOOST_TEST(!spool->suppressed("branda", "nn@x.test").has_value());
}

BOOST_FIXTURE_TEST_CASE(a_suppression_keeps_its_first_reason, World) {
  spool->commit({.suppressions = {{{"brand", "ann@x.test"}, {.reason = 1, .since = TimePoint(1s)}},
                                  {{"brand", "ann@x.test"}, {.reason = 2, .since = TimePoint(2s)}}}},
                nullptr);
  BOOST_TEST(spool->suppress({{"brand", "ann@x.test"}, {.reason = 3, .since = TimePoint(3s)}}).has_value());
  BOOST_TEST(spool->suppressed("brand", "ann@x.test")->reason == 1);
}

BOOST_FIXTURE_TEST_CASE(a_row_is_known_by_its_key_before_and_after_it_is_settled, World) {
  std::vector<std::string> locals;
  for (int i = 0; i < 2000; ++i) locals.push_back("user" + std::to_string(i));
  const std::string fields(100, 'f');  // Several chunks.
  std::vector<RowInput> inputs{{"y.test", "other", ""}};
  for (const std::string& local : locals) inputs.push_back({"x.test", local, fields});
  append(inputs);
  const auto rows = read("x.test", 2000);
  const auto check = [&](std::uint32_t row, State state) {
    const auto known = spool->row(rows[row].key);
    BOOST_REQUIRE(known.has_value());
    BOOST_TEST(known->local == locals[row]);
    BOOST_TEST(known->domain == "x.test");
    BOOST_TEST((known->state == state));
  };
  for (const std::uint32_t row : {0U, 1U, 700U, 1999U}) check(row, State::kQueued);
  for (std::uint32_t row = 0; row < 1500; ++row) settle(rows[row], row % 2 == 0 ? State::kDelivered : State::kBounced);
  for (const std::uint32_t row : {0U, 700U, 1498U}) check(row, State::kDelivered);
  check(1499, State::kBounced);
  check(1500, State::kQueued);
  check(1999, State::kQueued);
  BOOST_TEST(!spool->row({job, rows[0].key.domain, 2000}).has_value());
  BOOST_TEST(!spool->row({job, rows[0].key.domain + 5, 0}).has_value());
  BOOST_TEST(!spool->row({job + 1, rows[0].key.domain, 0}).has_value());
  spool->erase(job);
  BOOST_TEST(!spool->row(rows[0].key).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_note_is_taken_once_a_row_and_kind, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}});
  const auto rows = read("x.test");
  settle(rows[0], State::kDelivered, {}, "delivered");
  for (int i = 0; i < 3; ++i) {
    spool->commit({.notes = {{.key = rows[0].key, .kind = 2, .event = "complaint"}, {.key = rows[1].key, .kind = 2}}},
                  nullptr);
  }
  spool->commit({.notes = {{.key = rows[0].key, .kind = 7, .event = "other"}}}, nullptr);
  BOOST_TEST((spool->note_counts(job) == NoteCounts{0, 0, 2, 0, 0, 0, 0, 1}));
  BOOST_TEST(spool->row(rows[0].key)->notes == (1U << 2 | 1U << 7));
  BOOST_TEST(spool->row(rows[1].key)->notes == 1U << 2);
  BOOST_TEST(count(State::kDelivered) == 1U);
  BOOST_TEST(count(State::kQueued) == 1U);
  const std::vector<std::string> expected{"delivered", "complaint", "other"};
  BOOST_TEST(peek(10) == expected, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(a_note_about_nothing_is_nothing, World) {
  append({{"x.test", "a", ""}});
  const RowKey key = read("x.test").front().key;
  spool->commit({.notes = {{.key = {key.job + 1, key.domain, 0}, .event = "no job"},
                           {.key = {key.job, key.domain + 1, 0}, .event = "no domain"},
                           {.key = {key.job, key.domain, 1}, .event = "no row"}}},
                nullptr);
  BOOST_TEST(spool->event_count() == 0U);
  BOOST_TEST((spool->note_counts(job) == NoteCounts{}));
  BOOST_TEST((spool->note_counts(job + 1) == NoteCounts{}));
}

BOOST_FIXTURE_TEST_CASE(events_of_no_row_go_to_the_outbox, World) {
  spool->commit({.events = {"one", "two"}}, nullptr);
  const std::vector<std::string> expected{"one", "two"};
  BOOST_TEST(peek(10) == expected, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(tallies_are_kept_replaced_and_removed, World) {
  const auto put = [&](std::string account, std::uint64_t value) {
    spool->commit({.tallies = {{{std::move(account), "ann@x.test"}, value, TimePoint(1s), TimePoint(100h)}}}, nullptr);
  };
  BOOST_TEST(!spool->any_tally());
  put("brand", 5);
  put("brand", 6);
  BOOST_TEST(spool->any_tally());
  BOOST_TEST(spool->tally("brand", "ann@x.test") == 6U);
  BOOST_TEST(spool->tally("other", "ann@x.test") == 0U);
  put("other", 0);
  BOOST_TEST(spool->any_tally());
  put("brand", 0);
  BOOST_TEST(!spool->any_tally());
  BOOST_TEST(spool->tally("brand", "ann@x.test") == 0U);
}

BOOST_FIXTURE_TEST_CASE(old_tallies_are_dropped_when_a_day_has_passed, World) {
  const auto put = [&](std::string address, TimePoint as_of) {
    spool->commit({.tallies = {{{"brand", std::move(address)}, 1, as_of, as_of + 48h}}}, nullptr);
  };
  put("a@x.test", TimePoint(1h));
  put("b@x.test", TimePoint(20h));
  put("c@x.test", TimePoint(60h));
  BOOST_TEST(spool->tally("brand", "a@x.test") == 0U);
  BOOST_TEST(spool->tally("brand", "b@x.test") == 1U);
  BOOST_TEST(spool->tally("brand", "c@x.test") == 1U);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_rows_state_is_kept_too, World) {
  BOOST_TEST(spool->jobs().size() == 1U);
  BOOST_REQUIRE(spool->set_control(job, "paused").has_value());
  BOOST_TEST(spool->jobs().front().number == job);
  BOOST_TEST(spool->jobs().front().record.control == "paused");
  BOOST_TEST(!spool->set_control(99, "paused").has_value());

  BOOST_TEST(!spool->snapshot("google").has_value());
  Batch batch;
  batch.snapshots = {
      {.name = "google", .bytes = "a"}, {.name = "yahoo", .bytes = "b"}, {.name = "google", .bytes = "c"}};
  spool->commit(std::move(batch), nullptr);
  BOOST_TEST(spool->snapshot("google").value() == "c");
  BOOST_TEST(spool->snapshot("yahoo").value() == "b");
  BOOST_TEST(spool->next_snapshot("").value() == "google");
  BOOST_TEST(spool->next_snapshot("google").value() == "yahoo");
  BOOST_TEST(!spool->next_snapshot("yahoo").has_value());
  spool->commit({.settlements = {}, .claims = {}, .snapshots = {{.name = "google", .bytes = ""}}}, nullptr);
  BOOST_TEST(!spool->snapshot("google").has_value());
  BOOST_TEST(spool->snapshot("yahoo").value() == "b");
  BOOST_TEST(spool->next_snapshot("").value() == "yahoo");
}

BOOST_FIXTURE_TEST_CASE(a_job_comes_with_snapshots_or_both_do_not, World) {
  const std::vector<RowInput> rows{{"x.test", "a", "1"}};
  BOOST_REQUIRE(spool->create({.id = "m", .content = {}}, rows, {{"told", "ann"}, {"asked", "bob"}}).has_value());
  BOOST_TEST(spool->snapshot("told").value() == "ann");
  BOOST_TEST(!spool->create({.id = "m", .content = {}}, rows, {{"told", "cid"}}).has_value());
  BOOST_TEST(spool->snapshot("told").value() == "ann");
  BOOST_REQUIRE(spool->create({.id = "n", .content = {}}, rows, {{"told", "dan"}, {"asked", ""}}).has_value());
  BOOST_TEST(spool->snapshot("told").value() == "dan");
  BOOST_TEST(!spool->snapshot("asked").has_value());
}

BOOST_FIXTURE_TEST_CASE(claimed_rows_are_unsettled_until_they_are_settled, World) {
  append({{"d.test", "ann", "a"}, {"d.test", "bob", "b"}, {"e.test", "cid", "c"}, {"e.test", "dan", "d"}});
  const auto of_d = read("d.test"), of_e = read("e.test");
  spool->commit({.settlements = {}, .claims = {of_d[1].key, of_e[0].key}}, nullptr);
  std::vector<Row> unsettled;
  BOOST_REQUIRE(spool->take_unsettled(1, unsettled).has_value());
  BOOST_TEST(unsettled.size() == 1U);
  BOOST_REQUIRE(spool->take_unsettled(10, unsettled).has_value());
  BOOST_REQUIRE(unsettled.size() == 2U);
  std::sort(unsettled.begin(), unsettled.end(), [](const Row& a, const Row& b) { return a.local < b.local; });
  BOOST_TEST((unsettled[0].local == "bob" && unsettled[0].fields == "b" && unsettled[0].key == of_d[1].key));
  BOOST_TEST((unsettled[1].local == "cid" && unsettled[1].key == of_e[0].key));
  BOOST_REQUIRE(spool->take_unsettled(10, unsettled).has_value());
  BOOST_TEST(unsettled.size() == 2U);

  settle(unsettled[0], State::kDelivered);
  settle(unsettled[1], State::kQueued);
  spool->commit({.settlements = {}, .claims = {of_e[0].key}}, nullptr);
  std::vector<Row> again;
  BOOST_REQUIRE(spool->take_unsettled(10, again).has_value());
  BOOST_REQUIRE(again.size() == 1U);
  BOOST_TEST(again[0].local == "cid");
}

// ---------------------------------------------------------------------------------------------------------------------
// Jobs

BOOST_FIXTURE_TEST_CASE(a_job_with_its_rows_is_taken_at_once, World) {
  const std::vector<RowInput> rows{{"x.test", "a", "1"}, {"y.test", "b", ""}, {"x.test", "c", "2"}};
  const auto number = spool->create({.id = "message", .content = "Hello", .control = "running"}, rows);
  BOOST_REQUIRE(number.has_value());
  BOOST_TEST(spool->domains(*number).size() == 2U);
  BOOST_TEST(spool->counts(*number)[0] == 3U);
  BOOST_TEST(!spool->create({.id = "message", .content = {}}, rows).has_value());
  BOOST_TEST(spool->open_rows() == 3U);
  std::map<std::string, std::string> contents;
  const auto visited = spool->visit_jobs([&](const Spool::StoredJob& each) {
    contents[each.record.id] = each.record.content + "/" + each.record.control;
    return true;
  });
  BOOST_TEST(visited.has_value());
  BOOST_TEST((contents == std::map<std::string, std::string>{{"c", "/"}, {"message", "Hello/running"}}));
  spool->erase(*number);
  BOOST_TEST(spool->open_rows() == 0U);
  BOOST_TEST(spool->jobs().size() == 1U);
  const auto again = spool->create({.id = "message", .content = {}}, rows);
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST(*again > *number);
}

BOOST_FIXTURE_TEST_CASE(a_row_given_back_keeps_its_place, World) {
  append({{"x.test", "a", "f"}});
  const Row row = read("x.test").front();
  settle(row, State::kDeferred, TimePoint(5s));
  std::vector<Row> due;
  spool->take_due(TimePoint(5s), 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  spool->commit({.claims = {due[0].key}}, nullptr);
  spool->commit({.settlements = {{.key = row.key, .position = due[0].position, .attempts = due[0].attempts}}}, nullptr);
  BOOST_TEST(count(State::kQueued) == 1U);
  settle(due[0], State::kDeferred, TimePoint(9s));
  std::vector<Row> again;
  spool->take_due(TimePoint(8s), 10, again);
  BOOST_TEST(again.empty());
  spool->take_due(TimePoint(9s), 10, again);
  BOOST_REQUIRE(again.size() == 1U);
  BOOST_TEST(again[0].attempts == 2);
  BOOST_TEST(again[0].fields == "f");
}

// Its domain may be read only after it came due: the caller has it, and another copy would be sent as well.
BOOST_FIXTURE_TEST_CASE(a_row_that_was_due_and_given_back_is_not_read_once_more, World) {
  append({{"x.test", "a", "f"}, {"x.test", "b", ""}});
  settle(read("x.test", 1).front(), State::kDeferred, TimePoint(5s));
  std::vector<Row> due;
  spool->take_due(TimePoint(5s), 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  const auto give_back = [this](const Row& row) {
    spool->commit({.claims = {row.key}}, nullptr);
    spool->commit({.settlements = {{.key = row.key, .position = row.position, .attempts = row.attempts}}}, nullptr);
  };
  give_back(due[0]);
  BOOST_TEST(count(State::kQueued) == 2U);
  const std::vector<Row> others = read("x.test");
  BOOST_REQUIRE(others.size() == 1U);
  BOOST_TEST(others[0].local == "b");

  // The caller goes on with it as with any: it is due once more, and then is given back again.
  spool->commit({.claims = {due[0].key}}, nullptr);
  settle(due[0], State::kDeferred, TimePoint(9s));
  BOOST_REQUIRE(spool->sync().has_value());
  due.clear();
  spool->take_due(TimePoint(9s), 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  BOOST_TEST(due[0].attempts == 2);
  give_back(due[0]);
  settle(others[0], State::kDelivered);
  BOOST_TEST(read("x.test").empty());

  // Who comes next reads it, once, and it takes its way.
  spool->hand_out_anew();
  due.clear();
  spool->take_due(TimePoint(1h), 10, due);
  spool->take_waiting(job, 10, due);
  BOOST_TEST(due.empty());
  std::vector<Row> anew = read("x.test");
  BOOST_REQUIRE(anew.size() == 1U);
  BOOST_TEST(anew[0].local == "a");
  BOOST_TEST(anew[0].fields == "f");
  settle(anew[0], State::kDeferred, TimePoint(20s));
  BOOST_TEST(read("x.test").empty());
  spool->take_due(TimePoint(20s), 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  settle(due[0], State::kDelivered);
  BOOST_TEST(count(State::kDelivered) == 2U);
  BOOST_TEST(spool->open_rows() == 0U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Listing

BOOST_FIXTURE_TEST_CASE(rows_are_listed_by_what_is_asked, World) {
  append({{"x.test", "Ann", ""}, {"x.test", "bob", ""}, {"y.test", "ann", ""}});
  const JobNumber other = *spool->create({.id = "other", .content = {}}, std::vector<RowInput>{{"x.test", "ann", ""}});
  settle(read("x.test")[1], State::kDelivered);
  settle(read("y.test")[0], State::kDeferred, TimePoint(7s));
  const auto listed = [&](const ListQuery& query, std::size_t max) {
    std::multiset<std::string> names;
    ListCursor cursor;
    for (bool more = true; more;) {
      std::vector<ListedRow> rows;
      more = spool->list(query, cursor, max, rows);
      BOOST_REQUIRE(rows.size() <= max);
      for (const ListedRow& row : rows) {
        names.insert(std::to_string(row.key.job) + ":" + row.local + "@" + row.domain + "=" +
                     std::string(to_string(row.state)));
      }
    }
    return names;
  };
  const std::string one = std::to_string(job);
  const std::string two = std::to_string(other);
  for (const std::size_t max : {1U, 2U, 100U}) {
    BOOST_TEST(listed({}, max).size() == 4U);
    BOOST_TEST((listed({.job = other}, max) == std::multiset<std::string>{two + ":ann@x.test=queued"}));
    BOOST_TEST((listed({.local = "ANN"}, max) == std::multiset<std::string>{one + ":Ann@x.test=queued",
                                                                            one + ":ann@y.test=deferred",
                                                                            two + ":ann@x.test=queued"}));
    BOOST_TEST((listed({.job = job, .domain = "x.test"}, max) ==
                std::multiset<std::string>{one + ":Ann@x.test=queued", one + ":bob@x.test=delivered"}));
    BOOST_TEST((listed({.states = 1U << static_cast<unsigned>(State::kDelivered)}, max) ==
                std::multiset<std::string>{one + ":bob@x.test=delivered"}));
    BOOST_TEST(listed({.domain = "z.test"}, max).empty());
    BOOST_TEST(listed({.job = 99}, max).empty());
  }
}

BOOST_FIXTURE_TEST_CASE(rows_are_counted_by_domain_and_state, World) {
  constexpr std::size_t kMany = 300'000;  // More than one call counts.
  const std::vector<RowInput> many(kMany, {"x.test", "user", ""});
  append(many);
  append({{"y.test", "ann", ""}, {"y.test", "bob", ""}, {"z.test", "cat", ""}});
  settle(read("y.test")[0], State::kDeferred, TimePoint(7s));
  settle(read("y.test")[0], State::kDelivered);
  settle(read("x.test", 1)[0], State::kExpired);
  const auto counted = [&](JobNumber number, std::optional<std::string_view> domain) {
    std::map<std::string, Counts> found;
    ListCursor cursor;
    for (bool more = true; more;) {
      std::vector<Spool::DomainCounts> out;
      more = spool->count(number, domain, cursor, out);
      for (const auto& each : out) {
        Counts& counts = found[spool->domain_name(each.domain)];
        for (std::size_t state = 0; state < kStateCount; ++state) counts[state] += each.counts[state];
      }
    }
    return found;
  };
  const auto all = counted(job, {});
  BOOST_TEST(all.size() == 3U);
  BOOST_TEST((all.at("x.test") == Counts{kMany - 1, 0, 0, 0, 0, 0, 0, 1}));
  BOOST_TEST((all.at("y.test") == Counts{0, 0, 1, 0, 1}));
  BOOST_TEST((all.at("z.test") == Counts{1}));
  for (const auto& [domain, counts] : all) {
    BOOST_TEST((counted(job, domain) == std::map<std::string, Counts>{{domain, counts}}), domain);
  }
  BOOST_TEST(counted(job, "w.test").empty());
  BOOST_TEST(counted(99, {}).empty());
}

// ---------------------------------------------------------------------------------------------------------------------
// Suppression

BOOST_FIXTURE_TEST_CASE(a_suppression_of_every_account_holds_for_each, World) {
  BOOST_TEST(spool->suppress({{std::string(kEveryAccount), "ann@x.test"}, {.reason = 4}}).has_value());
  BOOST_TEST(spool->suppressed("brand", "ann@x.test")->reason == 4);
  BOOST_TEST(spool->suppress({{"brand", "ann@x.test"}, {.reason = 1}}).has_value());
  BOOST_TEST(spool->suppressed("brand", "ann@x.test")->reason == 1);
  BOOST_TEST(spool->suppressed("other", "ann@x.test")->reason == 4);
}

BOOST_FIXTURE_TEST_CASE(a_suppression_is_taken_back, World) {
  BOOST_TEST(spool->suppress({{"brand", "ann@x.test"}, {}}).has_value());
  BOOST_TEST(spool->unsuppress("brand", "ann@x.test").value());
  BOOST_TEST(!spool->unsuppress("brand", "ann@x.test").value());
  BOOST_TEST(!spool->suppressed("brand", "ann@x.test").has_value());
  BOOST_TEST(spool->suppress({{"brand", "ann@x.test"}, {.reason = 7}}).has_value());
  BOOST_TEST(spool->suppressed("brand", "ann@x.test")->reason == 7);
}

BOOST_FIXTURE_TEST_CASE(suppressions_come_in_and_go_out_as_a_stream, World) {
  std::size_t given = 0;
  const auto count = spool->import_suppressions([&]() -> std::optional<NewSuppression> {
    if (given == 9000) return std::nullopt;
    const std::size_t i = given++;
    return NewSuppression{{"brand", "user" + std::to_string(i / 2) + "@x.test"},
                          {.reason = static_cast<std::uint8_t>(i % 2), .since = TimePoint(Duration(-5))}};
  });
  BOOST_TEST(count.value() == 9000U);
  std::set<std::string> seen;
  const auto visited = spool->visit_suppressions([&](const NewSuppression& each) {
    BOOST_REQUIRE(each.who.account == "brand");
    BOOST_REQUIRE(each.suppression.reason == 0);
    BOOST_REQUIRE((each.suppression.since == TimePoint(Duration(-5))));
    seen.insert(each.who.address);
    return true;
  });
  BOOST_TEST(visited.has_value());
  BOOST_TEST(seen.size() == 4500U);
  BOOST_TEST(seen.contains("user4499@x.test"));
}

BOOST_FIXTURE_TEST_CASE(suppressions_are_listed_page_by_page, World) {
  std::set<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    const std::string address = "user" + std::to_string(i) + "@x.test";
    BOOST_REQUIRE(spool->suppress({{i % 2 == 0 ? "brand" : "*", address}, {.reason = 2}}).has_value());
    expected.insert(address);
  }
  for (const std::size_t max : {1U, 7U, 50U, 100U}) {
    std::multiset<std::string> seen;
    std::string cursor;
    std::vector<NewSuppression> page;
    for (bool more = true; more; page.clear()) {
      more = spool->list_suppressions(cursor, max, page).value();
      BOOST_REQUIRE(page.size() <= max);
      for (const NewSuppression& each : page) seen.insert(each.who.address);
      // What goes meanwhile, also where the cursor stands, costs none of the others.
      if (max == 7 && !page.empty()) {
        const AccountAddress& last = page.back().who;
        BOOST_REQUIRE(spool->unsuppress(last.account, last.address).value());
        BOOST_REQUIRE(spool->suppress({last, {.reason = 2}}).has_value());
      }
    }
    for (const std::string& address : expected) BOOST_TEST(seen.count(address) == 1U, address);
    BOOST_TEST(seen.size() == expected.size());
  }
}

BOOST_FIXTURE_TEST_CASE(with_a_key_addresses_are_kept_hashed, World) {
  const SuppressionKey key = "0123456789abcdef";
  spool = open(key);
  BOOST_TEST(spool->suppress({{"brand", "ann@x.test"}, {.reason = 2}}).has_value());
  BOOST_TEST(spool->suppress({{"brand", hashed_address(key, "bob@x.test")}, {.reason = 3}}).has_value());
  BOOST_TEST(spool->suppressed("brand", "ann@x.test")->reason == 2);
  BOOST_TEST(spool->suppressed("brand", "bob@x.test")->reason == 3);
  BOOST_TEST(!spool->suppressed("brand", "cat@x.test").has_value());
  BOOST_TEST(spool
                 ->visit_suppressions([](const NewSuppression& each) {
                   BOOST_TEST(each.who.address.starts_with(kHashedPrefix));
                   return true;
                 })
                 .has_value());
  BOOST_TEST(spool->unsuppress("brand", "ann@x.test").value());
  BOOST_TEST(!spool->suppressed("brand", "ann@x.test").has_value());
}

BOOST_FIXTURE_TEST_CASE(without_a_key_no_hashed_address_is_taken, World) {
  const std::string hashed = hashed_address("0123456789abcdef", "ann@x.test");
  const auto one = spool->suppress({{"brand", hashed}, {}});
  BOOST_REQUIRE(!one.has_value());
  BOOST_TEST((one.error().code == ErrorCode::kInvalidArgument));
  std::vector<std::string> list{"bob@x.test", hashed, "cat@x.test"};
  std::size_t given = 0;
  const auto many = spool->import_suppressions([&]() -> std::optional<NewSuppression> {
    if (given == list.size()) return std::nullopt;
    return NewSuppression{{"brand", list[given++]}, {}};
  });
  BOOST_TEST(!many.has_value());
  BOOST_TEST(spool->suppressed("brand", "bob@x.test").has_value());  // What is before it stays.
  BOOST_TEST(!spool->suppressed("brand", "cat@x.test").has_value());
}

BOOST_AUTO_TEST_CASE(a_hashed_address_is_its_hmac) {  // RFC 4231, test case 2.
  BOOST_TEST(hashed_address("Jefe", "what do ya want for nothing?") ==
             "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

// ---------------------------------------------------------------------------------------------------------------------
// Personal data

BOOST_FIXTURE_TEST_CASE(an_address_is_forgotten_everywhere, World) {
  append(
      {{"x.test", "Ann", "secret"}, {"x.test", "bob", "kept"}, {"x.test", "ann", "twice"}, {"y.test", "ann", "other"}});
  const JobNumber message =
      *spool->create({.id = "m", .content = "To: ann@x.test"}, std::vector<RowInput>{{"x.test", "ann", ""}});
  const auto rows = read("x.test");
  settle(rows[2], State::kDelivered, {}, "delivered ann");
  settle(rows[1], State::kDeferred, TimePoint(1s), "deferred bob");
  spool->commit({.suppressions = {{{"brand", "ann@x.test"}, {}}, {{"brand", "bob@x.test"}, {}}},
                 .tallies = {{{"brand", "ann@x.test"}, 1, TimePoint(1h), TimePoint(99h)},
                             {{"brand", "bob@x.test"}, 1, TimePoint(1h), TimePoint(99h)}}},
                nullptr);
  AddressErasure erasure{.local = "ann", .domain = "x.test", .suppressions = true};
  erasure.rewrite_event = [](std::string& event) {
    const std::size_t at = event.find("ann");
    if (at != std::string::npos) event.replace(at, 3, "...");
    return at != std::string::npos;
  };
  erasure.rewrite_job = [](JobRecord& record) {
    if (record.content.empty()) return false;
    record.content = "To: ...";
    return true;
  };
  const auto erased = spool->erase_address(erasure);
  BOOST_REQUIRE(erased.has_value());
  BOOST_TEST(erased->rows == 3U);
  BOOST_TEST(erased->cancelled == 2U);
  BOOST_TEST(erased->claimed == 0U);
  BOOST_TEST(erased->events == 1U);
  BOOST_TEST(erased->jobs == 1U);
  BOOST_TEST(erased->suppressions == 1U);
  BOOST_TEST(erased->tallies == 1U);
  BOOST_TEST(count(State::kCancelled) == 1U);
  BOOST_TEST(count(State::kDelivered) == 1U);
  BOOST_TEST(spool->counts(message)[static_cast<std::size_t>(State::kCancelled)] == 1U);
  BOOST_TEST(spool->row(rows[0].key)->local.empty());
  BOOST_TEST(spool->row(rows[2].key)->local.empty());
  BOOST_TEST(spool->row(rows[1].key)->local == "bob");
  BOOST_TEST(read("y.test").size() == 1U);
  const std::vector<std::string> expected{"delivered ...", "deferred bob"};
  BOOST_TEST(peek(10) == expected, boost::test_tools::per_element());
  BOOST_TEST(spool->jobs().back().record.content == "To: ...");
  BOOST_TEST(!spool->suppressed("brand", "ann@x.test").has_value());
  BOOST_TEST(spool->suppressed("brand", "bob@x.test").has_value());
  BOOST_TEST(spool->tally("brand", "ann@x.test") == 0U);
  BOOST_TEST(spool->tally("brand", "bob@x.test") == 1U);
  BOOST_TEST(spool->erase_address(erasure)->rows == 0U);
  BOOST_TEST(!spool->erase_address({.local = "", .domain = "x.test"}).has_value());
}

// What was handed out and not settled is handed out again, once, to who comes next; the rest stays with who has it.
BOOST_FIXTURE_TEST_CASE(what_was_handed_out_is_handed_out_anew, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}, {"x.test", "c", ""}, {"x.test", "d", ""}});
  const TimePoint due{10s};
  std::vector<Row> rows = read("x.test");
  BOOST_REQUIRE(rows.size() == 4U);
  for (std::size_t i = 0; i < 3; ++i) settle(rows[i], State::kDeferred, due);
  spool->commit({.settlements = {}, .claims = {rows[3].key}}, nullptr);
  std::vector<Row> taken;
  spool->take_due(due, 10, taken);
  BOOST_REQUIRE(taken.size() == 3U);
  settle(taken[0], State::kDelivered);
  spool->commit({.settlements = {}, .claims = {taken[1].key}}, nullptr);
  std::vector<Row> unsettled;
  BOOST_REQUIRE(spool->take_unsettled(10, unsettled).has_value());
  BOOST_REQUIRE(unsettled.size() == 2U);

  spool->hand_out_anew();
  const std::string left = taken[2].local;
  taken.clear();
  spool->take_due(due, 10, taken);
  BOOST_REQUIRE(taken.size() == 1U);
  BOOST_TEST(taken.front().local == left);
  BOOST_TEST(taken.front().attempts == 1U);
  unsettled.clear();
  BOOST_REQUIRE(spool->take_unsettled(10, unsettled).has_value());
  BOOST_TEST(unsettled.size() == 2U);
  taken.clear();
  spool->take_due(due, 10, taken);
  BOOST_TEST(taken.empty());
}

BOOST_FIXTURE_TEST_CASE(what_is_handed_out_anew_keeps_what_is_known_of_it, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}, {"x.test", "claimed", ""}});
  std::vector<Row> rows = read("x.test");
  for (const Row& row : rows) {
    spool->commit({.settlements = {{.key = row.key,
                                    .position = row.position,
                                    .state = State::kDeferred,
                                    .attempts = 3,
                                    .due = TimePoint(1s),
                                    .mark = 7}}},
                  nullptr);
  }
  rows.clear();
  spool->take_due(TimePoint(1s), 10, rows);
  BOOST_REQUIRE(rows.size() == 3U);
  for (const Row& row : rows) {
    Batch batch;
    if (row.local == "claimed")
      batch.claims.push_back(row.key);
    else
      batch.settlements.push_back({.key = row.key, .position = row.position, .attempts = row.attempts});
    spool->commit(std::move(batch), nullptr);
  }
  BOOST_TEST(read("x.test").empty());  // The caller has them.
  spool->hand_out_anew();
  ListCursor cursor;
  std::vector<ListedRow> listed;
  while (spool->list({}, cursor, 10, listed)) {
  }
  BOOST_REQUIRE(listed.size() == 3U);
  for (const ListedRow& row : listed) BOOST_TEST(row.attempts == 3);
  BOOST_TEST(spool->withdraw({{.key = rows[1].key, .state = State::kHeld}}) == std::vector<bool>{true},
             boost::test_tools::per_element());
  BOOST_TEST(spool->make_due({&rows[1].key, 1}, TimePoint(2s)) == 1U);
  std::vector<Row> again = read("x.test");
  spool->take_due(TimePoint(2s), 10, again);
  BOOST_REQUIRE(again.size() == 2U);
  BOOST_REQUIRE(spool->take_unsettled(10, again).has_value());
  BOOST_REQUIRE(again.size() == 3U);
  for (const Row& row : again) {
    BOOST_TEST(row.attempts == 3);
    BOOST_TEST(row.mark == 7);
  }
  BOOST_TEST(read("x.test").empty());
}

BOOST_FIXTURE_TEST_CASE(domains_say_how_many_rows_are_queued, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}, {"x.test", "c", ""}});
  settle(read("x.test")[1], State::kDelivered);
  const auto domain = spool->domains(job).front();
  BOOST_TEST(domain.rows == 3U);
  BOOST_TEST(domain.queued == 2U);
}

// Commands reach rows wherever they are, but for those that are on their way.
BOOST_FIXTURE_TEST_CASE(rows_are_withdrawn_unless_they_are_claimed_or_final, World) {
  append({{"x.test", "queued", ""}, {"x.test", "claimed", ""}, {"x.test", "deferred", ""}, {"x.test", "sent", ""},
          {"x.test", "unread", ""}});
  const std::vector<Row> rows = read("x.test", 4);
  settle(rows[2], State::kDeferred, TimePoint(10s));
  settle(rows[3], State::kDelivered);
  spool->commit({.settlements = {}, .claims = {rows[1].key}}, nullptr);
  std::vector<Settlement> all;
  for (std::uint32_t row = 0; row < 5; ++row) {
    all.push_back({.key = {rows[0].key.job, rows[0].key.domain, row},
                   .state = State::kFailed,
                   .event = "failed " + std::to_string(row)});
  }
  all.push_back({.key = {rows[0].key.job, rows[0].key.domain, 99}, .state = State::kFailed, .event = "no such row"});
  const std::vector<bool> expected{true, false, true, false, true, false};
  BOOST_TEST(spool->withdraw(all) == expected, boost::test_tools::per_element());
  BOOST_TEST(count(State::kFailed) == 3U);
  BOOST_TEST(count(State::kClaimed) == 1U);
  BOOST_TEST(spool->open_rows() == 1U);
  const std::vector<std::string> events{"failed 0", "failed 2", "failed 4"};
  BOOST_TEST(peek(10) == events, boost::test_tools::per_element());
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  BOOST_TEST((spool->state(rows[0].key) == State::kFailed));
  BOOST_TEST((spool->state(rows[1].key) == State::kClaimed));
  BOOST_TEST(!spool->state({rows[0].key.job, rows[0].key.domain, 99}).has_value());
  BOOST_TEST(read("x.test").empty());
  // Who still has one claims it, and sees that it is final: the claim changed nothing.
  spool->commit({.settlements = {}, .claims = {rows[0].key}}, nullptr);
  BOOST_TEST((spool->state(rows[0].key) == State::kFailed));
}

BOOST_FIXTURE_TEST_CASE(rows_that_wait_are_made_due_and_keep_what_is_known, World) {
  append({{"x.test", "later", ""}, {"x.test", "held", ""}, {"x.test", "taken", ""}, {"x.test", "queued", ""}});
  const std::vector<Row> rows = read("x.test", 3);
  settle(rows[0], State::kDeferred, TimePoint(1h));
  spool->commit({.settlements = {{.key = rows[1].key, .position = rows[1].position, .state = State::kHeld, .attempts = 3, .mark = 7}},
                 .claims = {}},
                nullptr);
  settle(rows[2], State::kDeferred, TimePoint(10s));
  std::vector<Row> due;
  spool->take_due(TimePoint(10s), 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  BOOST_REQUIRE(spool->sync().has_value());
  std::vector<RowKey> all;
  for (std::uint32_t row = 0; row < 5; ++row) all.push_back({rows[0].key.job, rows[0].key.domain, row});
  BOOST_TEST(spool->make_due(all, TimePoint(20s)) == 2U);
  BOOST_TEST(spool->make_due(all, TimePoint(20s)) == 0U);
  BOOST_TEST(spool->open_rows() == 4U);
  due.clear();
  spool->take_due(TimePoint(20s), 10, due);
  BOOST_REQUIRE(due.size() == 2U);
  const Row& held = due[0].local == "held" ? due[0] : due[1];
  BOOST_TEST(held.local == "held");
  BOOST_TEST(held.attempts == 3);
  BOOST_TEST(held.mark == 7);
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  due.clear();
  spool->take_due(TimePoint(2h), 10, due);  // Not once more at their first time.
  BOOST_TEST(due.empty());
}

// Whoever has them, or nobody: one copy of each goes on, and one alone.
BOOST_FIXTURE_TEST_CASE(rows_are_held_until_they_are_released, World) {
  append({{"x.test", "seen", ""},
          {"x.test", "unseen", ""},
          {"x.test", "back", ""},
          {"x.test", "late", ""},
          {"x.test", "claimed", ""},
          {"x.test", "due", ""},
          {"x.test", "taken", ""},
          {"x.test", "sent", ""},
          {"x.test", "unread", ""}});
  const std::vector<Row> rows = read("x.test", 8);
  enum { kSeen, kUnseen, kBack, kLate, kClaimed, kDue, kTaken, kSent, kUnread, kAll };
  spool->commit(
      {.settlements = {{.key = rows[kDue].key,
                        .position = rows[kDue].position,
                        .state = State::kDeferred,
                        .attempts = 3,
                        .due = TimePoint(1h),
                        .mark = 7},
                       {.key = rows[kTaken].key,
                        .position = rows[kTaken].position,
                        .state = State::kDeferred,
                        .attempts = 2,
                        .due = TimePoint(1s)},
                       {.key = rows[kSent].key, .position = rows[kSent].position, .state = State::kDelivered}},
       .claims = {rows[kClaimed].key}},
      nullptr);
  std::vector<Row> due;
  spool->take_due(TimePoint(1s), 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  BOOST_REQUIRE(spool->sync().has_value());

  std::vector<Settlement> all;
  std::vector<RowKey> keys;
  for (std::uint32_t row = 0; row < kAll; ++row) {
    keys.push_back({rows[0].key.job, rows[0].key.domain, row});
    all.push_back({.key = keys.back(), .state = State::kHeld, .attempts = 99, .event = "held " + std::to_string(row)});
  }
  const std::vector<bool> held{true, true, true, true, false, true, true, false, true};
  BOOST_TEST(spool->withdraw(all) == held, boost::test_tools::per_element());
  BOOST_TEST(spool->withdraw(all) == std::vector<bool>(kAll), boost::test_tools::per_element());
  BOOST_TEST(count(State::kHeld) == 7U);
  BOOST_TEST(spool->open_rows() == 1U);
  BOOST_TEST(peek(20).size() == 7U);
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  BOOST_TEST(read("x.test").empty());

  // Those who have them: neither a claim nor what becomes of an attempt changes anything, but for the end.
  spool->commit(
      {.settlements =
           {{.key = rows[kBack].key, .position = rows[kBack].position, .state = State::kQueued},
            {.key = due[0].key,
             .position = due[0].position,
             .state = State::kDeferred,
             .attempts = 2,
             .due = TimePoint(1min),
             .event = "no event"},
            {.key = rows[kLate].key, .position = rows[kLate].position, .state = State::kExpired, .event = "expired"}},
       .claims = {rows[kSeen].key, rows[kUnseen].key}},
      nullptr);
  BOOST_TEST(count(State::kHeld) == 6U);
  BOOST_TEST(peek(20).back() == "expired");
  BOOST_TEST((spool->look(rows[kSeen].key) == State::kHeld));
  BOOST_TEST((spool->look(rows[kClaimed].key) == State::kClaimed));
  BOOST_TEST(spool->make_due(keys, TimePoint(2s)) == 6U);
  BOOST_TEST(spool->make_due(keys, TimePoint(2s)) == 0U);
  BOOST_TEST((spool->look(rows[kUnseen].key) == State::kQueued));
  BOOST_TEST((spool->look(rows[kBack].key) == State::kQueued));

  due.clear();
  spool->take_due(TimePoint(2s), 20, due);
  std::map<std::string, Row> out;
  for (const Row& row : due) BOOST_TEST(out.emplace(row.local, row).second, row.local);
  BOOST_REQUIRE(out.size() == 4U);
  BOOST_TEST((out.contains("seen") && out.contains("unread")));
  BOOST_TEST(out.at("seen").attempts == 0);
  BOOST_TEST(out.at("due").attempts == 3);
  BOOST_TEST(out.at("due").mark == 7);
  BOOST_TEST(out.at("taken").attempts == 2);
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  BOOST_TEST(read("x.test", 1).size() <= 1U);
  spool->commit({.settlements = {}, .claims = {rows[kUnseen].key, rows[kBack].key, out.at("seen").key}}, nullptr);
  BOOST_TEST(count(State::kClaimed) == 4U);
}

BOOST_FIXTURE_TEST_CASE(what_is_held_is_handed_out_anew_as_held, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}});
  const std::vector<Row> rows = read("x.test", 1);
  const std::vector<RowKey> keys{rows[0].key, {rows[0].key.job, rows[0].key.domain, 1}};
  BOOST_TEST(
      spool->withdraw({{.key = keys[0], .state = State::kHeld}, {.key = keys[1], .state = State::kHeld}}).size() == 2U);
  spool->hand_out_anew();
  BOOST_TEST(read("x.test").empty());
  BOOST_TEST((spool->next_due() == TimePoint::max()));
  BOOST_TEST(spool->make_due(keys, TimePoint(1s)) == 2U);
  std::vector<Row> due;
  spool->take_due(TimePoint(1s), 10, due);
  BOOST_TEST(due.size() == 2U);
  // Cancelled while it is held, and while somebody has it.
  BOOST_TEST(
      spool->withdraw({{.key = keys[0], .state = State::kHeld}, {.key = keys[1], .state = State::kHeld}}).size() == 2U);
  BOOST_TEST((spool->look(keys[0]) == State::kHeld));
  due.clear();
  spool->take_waiting(job, 10, due);
  BOOST_REQUIRE(due.size() == 1U);
  BOOST_TEST((due[0].key == keys[0]));
  settle(due[0], State::kCancelled);
  BOOST_TEST(count(State::kCancelled) == 1U);
  BOOST_TEST(count(State::kHeld) == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_listing_says_when_rows_are_due, World) {
  append({{"x.test", "a", ""}, {"x.test", "b", ""}});
  const std::vector<Row> rows = read("x.test");
  settle(rows[1], State::kDeferred, TimePoint(1h));
  ListCursor cursor;
  std::vector<ListedRow> listed;
  while (spool->list({.states = 1U << static_cast<unsigned>(State::kDeferred)}, cursor, 10, listed)) {
  }
  BOOST_REQUIRE(listed.size() == 1U);
  BOOST_TEST(listed[0].local == "b");
  BOOST_TEST(listed[0].attempts == 1);
  BOOST_TEST((listed[0].due == TimePoint(1h)));
}

BOOST_FIXTURE_TEST_CASE(a_job_is_read_by_its_number_and_events_are_rewritten, World) {
  const auto number = spool->create({.id = "m", .content = "octets", .created = TimePoint(5s), .control = "c"});
  BOOST_REQUIRE(number.has_value());
  const auto found = spool->job(*number);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->content == "octets");
  BOOST_TEST(found->control == "c");
  BOOST_TEST(found->id == "m");
  spool->erase(*number);
  BOOST_TEST(!spool->job(*number).has_value());

  append({{"x.test", "a", ""}, {"x.test", "b", ""}});
  for (const Row& row : read("x.test")) settle(row, State::kDelivered, {}, "to " + row.local);
  const auto changed = spool->rewrite_events([](std::string& event) {
    if (event != "to a") return false;
    event = "to ...";
    return true;
  });
  BOOST_REQUIRE(changed.has_value());
  BOOST_TEST(*changed == 1U);
  const std::vector<std::string> expected{"to ...", "to b"};
  BOOST_TEST(peek(10) == expected, boost::test_tools::per_element());
}
