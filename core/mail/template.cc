// Template: a Content compiled once, rendered per row. The language is in liquid_*.h; here parts are put together.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/mail/header.h"
#include "core/mail/liquid_program.h"
#include "core/mail/liquid_run.h"
#include "core/mail/mime.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

using liquid::Names;
using liquid::PartKind;
using liquid::Program;
using liquid::Scratch;
using liquid::Value;

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

// RFC 2369 and its kin: List-* headers hold URLs in angle brackets, but for these two.
PartKind kind_of_header(std::string_view name) {
  const bool urls = ascii::istarts_with(name, "List-") && !ascii::iequals(name, "List-Id") &&
                    !ascii::iequals(name, "List-Unsubscribe-Post");
  return urls ? PartKind::kUrlHeader : PartKind::kHeader;
}

bool is_mime_header(std::string_view name) {
  return ascii::iequals(name, "MIME-Version") || ascii::istarts_with(name, "Content-");
}

// Which variable a row's column is. Open addressing over a few octets of the name: a look-up costs some nanoseconds and
// allocates nothing, which a hash map of each row would.
class Columns {
 public:
  static constexpr std::size_t kNone = SIZE_MAX;

  void build(std::span<const std::string_view> names) {
    names_ = names;
    std::size_t size = 4;
    while (size < 2 * names.size()) size *= 2;
    buckets_.assign(size, kEmpty);
    for (std::size_t i = 0; i < names.size(); ++i) {
      std::size_t at = hash(names[i]);
      while (buckets_[at & (size - 1)] != kEmpty) ++at;
      buckets_[at & (size - 1)] = static_cast<std::uint16_t>(i);
    }
  }

  std::size_t find(std::string_view name) const noexcept {
    for (std::size_t at = hash(name);; ++at) {
      const std::uint16_t i = buckets_[at & (buckets_.size() - 1)];
      if (i == kEmpty) return kNone;
      if (names_[i] == name) return i;
    }
  }

 private:
  static constexpr std::uint16_t kEmpty = UINT16_MAX;
  static_assert(liquid::kNamesMax < kEmpty);

  static std::size_t hash(std::string_view name) noexcept {
    std::uint64_t front = 0;
    std::uint64_t back = 0;
    const std::size_t size = std::min(name.size(), sizeof front);
    if (size > 0) {
      std::memcpy(&front, name.data(), size);
      std::memcpy(&back, name.data() + name.size() - size, size);
    }
    const std::uint64_t mixed = (front ^ (back << 1) ^ name.size()) * 0x9e3779b97f4a7c15;  // 2^64 / golden ratio.
    return static_cast<std::size_t>(mixed >> 32);
  }

  std::span<const std::string_view> names_;
  std::vector<std::uint16_t> buckets_;
};

// Its two numbers depend on all of the content, so that the boundaries do, and are the same in each run.
SipKey key_of(const Content& content) {
  std::string all;
  const auto add = [&all](std::string_view part) { all.append(fmt::format("{}:", part.size())).append(part); };
  for (const HeaderField& field : content.headers) add(field.name), add(field.value);
  add(content.text), add(content.html);
  for (const Attachment& file : content.attachments) add(file.filename), add(file.content_id), add(file.data);
  const auto hash = siphash128({}, all);
  return {hash[0], hash[1]};
}

}  // namespace

struct Template::Compiled {
  // One header that varies, or several that do not, ready to be copied.
  struct Header {
    std::string name{};
    Program program{};
    std::string ready{};
  };

  Content content;  // What the programs are spans of: never moved once they are compiled.
  Limits limits;
  SipKey key{};
  Names names{0};
  std::vector<Header> headers{};
  Program text{};
  Program html{};
  Columns columns{};
  std::vector<std::string> field_names{};
  MimeLayout layout{};

  Result<void> compile();
  Result<void> compile_header(const HeaderField& field);
  Result<void> render(const Fields& fields, std::string_view leading_headers, std::string& out) const;
};

namespace {

// One render of one template: the row's values, and what is left of the limits.
class Rendering {
 public:
  Rendering(const Names& names, const Columns& columns, const Fields& fields, const Template::Limits& limits)
      : names_(names),
        columns_(columns),
        fields_(fields),
        max_bytes_(limits.max_output_bytes),
        scratch_(limits.max_output_bytes, limits.max_steps),
        slots_(names.locals + names.list.size()) {}

  Result<void> bind() {
    for (std::size_t i = 0; i < fields_.names.size(); ++i) {
      const std::size_t name = columns_.find(fields_.names[i]);
      if (name == Columns::kNone) continue;
      Value& slot = slots_[names_.locals + name];
      if (!slot.is(Value::Kind::kNil)) continue;  // Of two columns of one name the first counts.
      const std::string_view value = fields_.values[i];
      if (value.size() > std::min<std::size_t>(max_bytes_, UINT32_MAX)) {
        return Error{ErrorCode::kResourceExhausted,
                     fmt::format("field '{}': longer than a message may be", fields_.names[i])};
      }
      if (!is_valid_utf8(value)) return invalid(fmt::format("field '{}': not UTF-8", fields_.names[i]));
      slot = Value::of(value);
    }
    return {};
  }

  // What one part assigns, the next does not see.
  Result<void> run(const Program& program, std::string_view part, std::string& out) {
    if (program.is_literal()) {
      out.append(program.source);
      return {};
    }
    if (std::exchange(dirty_, program.assigns)) {
      std::fill(slots_.begin(), slots_.end(), Value());
      if (auto bound = bind(); !bound) return bound;
    }
    return liquid::run(program, part, slots_, scratch_, max_bytes_, out);
  }

 private:
  const Names& names_;
  const Columns& columns_;
  const Fields& fields_;
  std::size_t max_bytes_;
  Scratch scratch_;
  std::vector<Value> slots_;
  bool dirty_ = false;
};

}  // namespace

Result<void> Template::Compiled::compile_header(const HeaderField& field) {
  if (!is_header_name(field.name))
    return invalid(fmt::format("header '{}': not a field name (RFC 5322 3.6.8)", field.name));
  if (is_mime_header(field.name))
    return invalid(fmt::format("header {}: follows from the content; leave it out", field.name));
  if (!is_valid_utf8(field.value)) return invalid(fmt::format("header {}: not UTF-8", field.name));
  auto program = liquid::compile(field.name, kind_of_header(field.name), field.value, limits, names);
  if (!program) return std::move(program).error();
  if (!program->is_literal()) {
    headers.push_back({field.name, *std::move(program)});
    return {};
  }
  if (headers.empty() || headers.back().ready.empty()) headers.emplace_back();
  append_header(headers.back().ready, field.name, field.value);
  return {};
}

Result<void> Template::Compiled::compile() {
  names.locals = static_cast<std::uint32_t>(std::min(limits.max_nesting, liquid::kNestingMax));
  for (const HeaderField& field : content.headers) {
    if (auto compiled = compile_header(field); !compiled) return compiled;
  }
  const auto compile_body = [this](std::string_view part, PartKind kind, std::string_view source,
                                   Program& to) -> Result<void> {
    if (!is_valid_utf8(source)) return invalid(fmt::format("{}: not UTF-8", part));
    auto program = liquid::compile(part, kind, source, limits, names);
    if (!program) return std::move(program).error();
    to = *std::move(program);
    return {};
  };
  if (auto compiled = compile_body("text", PartKind::kText, content.text, text); !compiled) return compiled;
  if (auto compiled = compile_body("html", PartKind::kHtml, content.html, html); !compiled) return compiled;
  columns.build(names.list);
  for (std::size_t i = 0; i < names.list.size(); ++i) {
    if (names.read[i]) field_names.emplace_back(names.list[i]);
  }
  key = key_of(content);
  Random random(key.k0);
  auto made = MimeLayout::make(content, random);
  if (!made) return std::move(made).error();
  layout = *std::move(made);
  return {};
}

Result<void> Template::Compiled::render(const Fields& fields, std::string_view leading_headers,
                                        std::string& out) const {
  if (fields.names.size() != fields.values.size()) return invalid("a row has as many values as there are columns");
  Rendering rendering(names, columns, fields, limits);
  if (auto bound = rendering.bind(); !bound) return bound;
  const std::size_t begin = out.size();
  out.append(leading_headers);
  std::string value;
  for (const Header& header : headers) {
    if (!header.ready.empty()) {
      out.append(header.ready);
      continue;
    }
    value.clear();
    if (auto done = rendering.run(header.program, header.name, value); !done) return done;
    if (!ascii::trim(value).empty()) append_header(out, header.name, value);  // Nothing to say: no header.
  }
  std::string text_body;
  std::string html_body;
  text_body.reserve(text.source.size() + text.source.size() / 8);
  html_body.reserve(html.source.size() + html.source.size() / 8);
  if (auto done = rendering.run(text, "text", text_body); !done) return done;
  if (auto done = rendering.run(html, "html", html_body); !done) return done;
  // A value may hold a boundary that someone read in another message of the campaign. Whatever looks like one of ours
  // gets a message with boundaries of its own, which depend on a hash of the very body that would have to hold them.
  constexpr std::string_view kBoundaryStart = "--=_";
  const auto suspicious = [&](std::string_view body) {  // By its last octet, rare in text: memmem() reads each twice.
    for (std::size_t at = body.find('_'); at != std::string_view::npos; at = body.find('_', at + 1)) {
      if (body.substr(0, at + 1).ends_with(kBoundaryStart)) return true;
    }
    return false;
  };
  out.reserve(out.size() + text_body.size() + html_body.size() + layout.fixed_bytes() + 512);
  if (suspicious(text_body) || suspicious(html_body)) {
    Random random(siphash64(key, text_body) ^ siphash64({key.k1, key.k0}, html_body));
    auto own = MimeLayout::make(content, random);
    if (!own) return std::move(own).error();
    own->append(text_body, html_body, out);
  } else {
    layout.append(text_body, html_body, out);
  }
  if (out.size() - begin <= limits.max_output_bytes) return {};
  return Error{ErrorCode::kResourceExhausted,
               fmt::format("the message is longer than {} octets", limits.max_output_bytes)};
}

Result<Template> Template::compile(Content content, Limits limits) {
  auto compiled = std::make_shared<Compiled>(Compiled{std::move(content), limits});
  if (auto done = compiled->compile(); !done) return std::move(done).error();
  Template made;
  made.compiled_ = std::move(compiled);
  return made;
}

Result<Template> Template::compile(Content content) { return compile(std::move(content), Limits()); }

Result<void> Template::render(const Fields& fields, std::string_view leading_headers, std::string& out) const {
  if (compiled_ == nullptr) return invalid("the template is empty: it was not compiled");
  const std::size_t before = out.size();
  auto done = compiled_->render(fields, leading_headers, out);
  if (!done) out.resize(before);
  return done;
}

const Content& Template::content() const noexcept {
  static const Content kNone{};
  return compiled_ != nullptr ? compiled_->content : kNone;
}

const Template::Limits& Template::limits() const noexcept {
  static const Limits kDefault{};
  return compiled_ != nullptr ? compiled_->limits : kDefault;
}

std::span<const std::string> Template::field_names() const noexcept {
  return compiled_ != nullptr ? std::span<const std::string>(compiled_->field_names) : std::span<const std::string>();
}

}  // namespace mailsbuddy
