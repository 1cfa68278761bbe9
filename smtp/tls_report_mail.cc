// tls_report_mail.cc - RFC 8460 5.1 (file names), 5.3 (mail), 5.4 (HTTPS).
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "core/base/encoding.h"
#include "core/mail/header.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

std::int64_t unix_time(TimePoint at) { return std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count(); }

std::string boundary_of(Random& random) { return fmt::format("mb-{:016x}{:016x}", random(), random()); }

std::string file_name(const TlsReport& report, const TlsReporter& reporter, std::string_view id) {
  return fmt::format("{}!{}!{}!{}!{}.json.gz", reporter.domain, report.domain, unix_time(report.begin),
                     unix_time(report.end), id.substr(0, id.find('@')));
}

std::string headers_of(const TlsReport& report, const TlsReporter& reporter, const Address& from, const Address& to,
                       std::string_view id, TimePoint now, std::string_view boundary) {
  std::string out;
  append_header(out, "From", from.str());
  append_header(out, "To", to.str());
  append_header(out, "Date", format_date(now));
  append_header(out, "Message-ID", fmt::format("<tlsrpt.{}>", id));
  append_header(out, "Subject",
                fmt::format("Report Domain: {} Submitter: {} Report-ID: <{}>", report.domain, reporter.domain, id));
  append_header(out, "TLS-Report-Domain", report.domain);
  append_header(out, "TLS-Report-Submitter", reporter.domain);
  append_header(out, "TLS-Required", "No");
  append_header(out, "MIME-Version", "1.0");
  out += fmt::format("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{}\"\r\n", boundary);
  return out;
}

}  // namespace

std::string tls_report_id(const TlsReport& report, const TlsReporter& reporter, Random& random) {
  return fmt::format("{}.{:016x}@{}", unix_time(report.begin), random(), reporter.domain);
}

Result<std::string> gzip(std::string_view text) {
  constexpr int kGzip = 16 + MAX_WBITS;  // zlib's way to ask for RFC 1952.
  const Error failed{ErrorCode::kResourceExhausted, "zlib: no memory for it"};
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
    return failed;
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // It is not written to.
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int ended = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (ended != Z_STREAM_END) return failed;
  return out;
}

Result<std::string> tls_report_mail(const TlsReport& report, const TlsReporter& reporter, const Address& from,
                                    const Address& to, std::string_view id, TimePoint now, Random& random) {
  const auto packed = gzip(tls_report_json(report, reporter, id));
  if (!packed) return packed.error();
  const std::string boundary = boundary_of(random);
  std::string out = headers_of(report, reporter, from, to, id, now, boundary);
  out += fmt::format("\r\n--{}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
  out += fmt::format("This is an aggregate TLS report from {}\r\nabout mail to {}, for machines (RFC 8460).\r\n",
                     reporter.domain, report.domain);
  out += fmt::format("\r\n--{}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n",
                     boundary);
  // In one piece, however long: readers of reports look for it with less than RFC 2231.
  out += fmt::format("Content-Disposition: attachment;\r\n filename=\"{}\"\r\n\r\n", file_name(report, reporter, id));
  append_base64_lines(out, *packed);
  return out + fmt::format("\r\n--{}--\r\n", boundary);
}

Result<net::HttpsRequest> tls_report_post(std::string_view url, std::string packed) {
  constexpr std::string_view kScheme = "https://";
  const Error bad{ErrorCode::kInvalidArgument,
                  fmt::format("\"{}\" is not where a report can be posted", url.substr(0, 200))};
  if (!url.starts_with(kScheme)) return bad;
  url.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(url.find_first_of("/?#"), url.size());
  const std::string_view host = url.substr(0, slash);
  // The port is 443: a stranger's record says what we connect to.
  if (host.empty() || host.find_first_of("@:[]") != std::string_view::npos) return bad;
  std::string path(url.substr(slash, url.find('#') - slash));
  if (!path.starts_with('/')) path.insert(0, "/");
  return net::HttpsRequest{.host = std::string(host),
                           .path = std::move(path),
                           .body = std::move(packed),
                           .content_type = "application/tlsrpt+gzip"};
}

}  // namespace mailsbuddy::smtp
