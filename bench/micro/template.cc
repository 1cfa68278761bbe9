// Rendering a campaign's message for one row: 10 KB of HTML with ten fields, headers and MIME included.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/mail/mime.h"
#include "mailsbuddy/mail.h"

namespace {

using mailsbuddy::Content;
using mailsbuddy::Template;

constexpr std::string_view kNames[] = {"email",  "first", "last", "city",  "plan",
                                       "points", "code",  "id",   "agent", "until"};
constexpr std::string_view kValues[] = {
    "ann@example.net",  "Ann", "O'Neil & Sons", "Springfield", "premium", "1250", "SPRING-24",
    "8f14e45fceea167a", "Bo",  "30 April"};
constexpr std::string_view kUnicode[] = {
    "ann@example.net",  "Zoë", "O'Neil & Söhne", "Zürich", "premium", "1250", "FRÜHLING",
    "8f14e45fceea167a", "Bö",  "30. März"};

std::string page(std::size_t size) {
  std::string html =
      "<!DOCTYPE html><html><body style=\"margin:0\">\n<h1>Hello {{ first }} {{ last }}</h1>\n"
      "<p>In {{ city }} your {{ plan }} plan has {{ points }} points. Your code: <b>{{ code }}</b></p>\n"
      "<p><a href=\"https://shop.example/go?id={{ id }}&amp;c={{ code }}\">Shop</a></p>\n"
      "{% if agent %}<p title=\"{{ agent }}\">{{ agent }} will help you until {{ until }}.</p>{% endif %}\n";
  while (html.size() < size) {
    html +=
        "<tr><td style=\"padding:8px 16px;font:14px/20px Arial\">A line of the offer, as long as such lines "
        "are.</td></tr>\n";
  }
  return html + "<p>Sent to {{ email }}</p></body></html>\n";
}

Content content_of(std::size_t size) {
  return {{{"Subject", "{{ first }}, your {{ points }} points"},
           {"Reply-To", "service@shop.example"},
           {"List-Unsubscribe", "<https://shop.example/u?id={{ id }}>"},
           {"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"}},
          "",
          page(size),
          {}};
}

void render(benchmark::State& state, const Content& content, std::span<const std::string_view> values) {
  const auto message = Template::compile(content);
  if (!message) std::abort();
  std::string out;
  for (auto _ : state) {
    out.clear();
    if (!message->render({kNames, values}, "From: a@shop.example\r\n", out)) std::abort();
    benchmark::DoNotOptimize(out.data());
  }
  if (out.find(values[3]) == std::string::npos && out.find("=C3=BC") == std::string::npos) std::abort();
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * out.size()));
}

void render_html_10k(benchmark::State& state) { render(state, content_of(10'000), kValues); }
BENCHMARK(render_html_10k);

void render_html_10k_unicode(benchmark::State& state) { render(state, content_of(10'000), kUnicode); }
BENCHMARK(render_html_10k_unicode);

void render_text_and_html_10k(benchmark::State& state) {
  Content content = content_of(10'000);
  content.text = "Hello {{ first }},\n\nyour code is {{ code }}.\n";
  render(state, content, kValues);
}
BENCHMARK(render_text_and_html_10k);

void render_loop_of_100(benchmark::State& state) {
  Content content = content_of(0);
  content.html += "{% for i in (1..100) %}<tr><td>{{ i }}</td><td>{{ first | upcase }}</td></tr>\n{% endfor %}";
  render(state, content, kValues);
}
BENCHMARK(render_loop_of_100);

// The part of it that is MIME alone: what no template engine could save.
void mime_alone_10k(benchmark::State& state) {
  const Content content = content_of(10'000);
  mailsbuddy::Random random(1);
  const auto layout = mailsbuddy::MimeLayout::make(content, random);
  if (!layout) std::abort();
  std::string out;
  for (auto _ : state) {
    out.clear();
    layout->append("", content.html, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(mime_alone_10k);

void compile_html_10k(benchmark::State& state) {
  const Content content = content_of(10'000);
  for (auto _ : state) benchmark::DoNotOptimize(Template::compile(content));
}
BENCHMARK(compile_html_10k);

}  // namespace

BENCHMARK_MAIN();
