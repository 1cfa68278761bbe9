// What the spool keeps of a job: it comes back as it was, and nothing else does.
#include <boost/test/unit_test.hpp>

#include "core/base/bytes.h"
#include "engine/job_record.h"

using namespace mailsbuddy;
using namespace mailsbuddy::engine;
using namespace std::chrono_literals;

namespace {

JobPtr campaign() {
  auto job = std::make_shared<Job>();
  job->uid = {7, 8};
  job->id = "spring";
  job->account = "brand";
  job->pool = "cold";
  job->priority = Priority::kTransactional;
  job->on_unknown = OnUnknown::kHold;
  job->from_domain = "brand.example";
  job->campaign = true;
  job->from_header = "From: <news@brand.example>\r\n";
  job->return_path_domain = "b.brand.example";
  job->columns = {"name", "mb_address"};
  job->row_columns = 1;
  job->content = Template::compile({.headers = {{"Subject", "Hi {{ name }}"}},
                                    .text = "Dear {{ name }}",
                                    .html = "<p>{{ name }}</p>",
                                    .attachments = {{.filename = "a.txt", .data = std::string("\0\xff", 2)}}},
                                   {.max_output_bytes = 5000, .max_steps = 100, .max_nesting = 3})
                     .value();
  return job;
}

JobPtr message() {
  auto job = std::make_shared<Job>();
  job->uid = {1, 2};
  job->id = "01ARZ";
  job->from_domain = "brand.example";
  job->tag = "receipts";
  job->not_before = TimePoint(90s);
  job->sender = "b@brand.example";
  job->data.set("From: <a@brand.example>\r\n\r\nbody\r\n");
  job->attempts_max = 7;
  job->smtputf8 = true;
  job->require_tls = true;
  job->ret = smtp::DsnReturn::kHeaders;
  job->envid = "E1";
  return job;
}

}  // namespace

BOOST_AUTO_TEST_CASE(jobs_come_back) {
  for (const JobPtr& job : {campaign(), message()}) {
    BOOST_TEST_CONTEXT(job->id) {
      const auto back = decode_job(encode_job(*job));
      BOOST_REQUIRE(back.has_value());
      BOOST_TEST(encode_job(**back) == encode_job(*job));
      BOOST_TEST(((*back)->uid == job->uid));
      BOOST_TEST((*back)->campaign == job->campaign);
    }
  }
  const auto back = decode_job(encode_job(*campaign())).value();
  BOOST_TEST(back->columns.size() == 2U);
  const std::string_view name = "name", ann = "Ann";
  std::string rendered;
  BOOST_REQUIRE(back->content.render({.names = {&name, 1}, .values = {&ann, 1}}, "", rendered).has_value());
  BOOST_TEST(rendered.find("Subject: Hi Ann\r\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_same_campaign_is_known_again) {
  const JobPtr job = campaign(), again = campaign();
  again->uid = {9, 9};
  BOOST_TEST(same_job(*job, *again));
  again->on_unknown = OnUnknown::kDrop;
  BOOST_TEST(!same_job(*job, *again));
  again->on_unknown = job->on_unknown;
  again->content = Template::compile({.headers = {}, .text = "Other", .html = {}, .attachments = {}}).value();
  BOOST_TEST(!same_job(*job, *again));
}

BOOST_AUTO_TEST_CASE(controls_come_back) {
  const JobControl control{.complete = true, .paused = false, .cancelled = true, .expires = TimePoint(77s), .pool = "cold"};
  const auto back = decode_control(encode_control(control));
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST(back->complete);
  BOOST_TEST(!back->paused);
  BOOST_TEST(back->cancelled);
  BOOST_TEST((back->expires == TimePoint(77s)));
  BOOST_TEST(back->pool == "cold");
}

BOOST_AUTO_TEST_CASE(damage_is_seen_wherever_it_is) {
  for (const std::string& good : {encode_job(*campaign()), encode_job(*message())}) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      BOOST_REQUIRE(!decode_job(bad).has_value());
      BOOST_REQUIRE(!decode_job(std::string_view(good).substr(0, at)).has_value());
    }
  }
  BOOST_TEST(!decode_control("").has_value());
}

// Records that carry a right check sum and make no sense: nothing is read past the end, whatever the numbers say.
BOOST_AUTO_TEST_CASE(records_of_others) {
  const auto refused = [](auto fill) {
    BytesWriter writer;
    fill(writer);
    const auto job = decode_job(std::move(writer).finish());
    BOOST_REQUIRE(!job.has_value());
    return job.error().code;
  };
  BOOST_TEST((refused([](BytesWriter& out) { out.u64(3); }) == ErrorCode::kUnsupported));
  BOOST_TEST((refused([](BytesWriter& out) { out.u64(1); }) == ErrorCode::kInvalidArgument));
  BOOST_TEST((refused([](BytesWriter& out) {
                for (const std::uint64_t value : {1, 1, 0, 0}) out.u64(value);
                for (int i = 0; i < 4; ++i) out.text("x");
                for (const std::uint64_t value : {7, 0, 0}) out.u64(value);  // No such priority.
              }) == ErrorCode::kInvalidArgument));
  BOOST_TEST((refused([](BytesWriter& out) {
                for (const std::uint64_t value : {1, 1, 0, 0}) out.u64(value);
                for (int i = 0; i < 4; ++i) out.text("x");
                for (const std::uint64_t value : {0, 0, 0}) out.u64(value);
                out.text("f"), out.text("r"), out.u64(0), out.u64(UINT64_MAX);  // So many columns.
              }) == ErrorCode::kInvalidArgument));
}
