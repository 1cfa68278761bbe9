// Renders templates for liquid_oracle.py. On stdin pairs of lines in hex: a template, and its row as name=value fields
// separated by NUL. On stdout a line of hex for each pair: what it prints, or "error: ...".
#include <cstdio>
#include <iostream>
#include <string>

#include "core/base/encoding.h"
#include "tests/mail/liquid_verbs.h"

int main() {
  using mailsbuddy::liquid::Row;
  std::string template_line, row_line;
  while (std::getline(std::cin, template_line) && std::getline(std::cin, row_line)) {
    const std::string source = mailsbuddy::decode_hex(template_line).value();
    const std::string fields = mailsbuddy::decode_hex(row_line).value();
    Row row;
    for (std::string_view rest = fields; !rest.empty();) {
      const std::string_view field = rest.substr(0, rest.find('\0'));
      rest.remove_prefix(std::min(field.size() + 1, rest.size()));
      row.emplace_back(field.substr(0, field.find('=')), field.substr(field.find('=') + 1));
    }
    std::string hex;
    mailsbuddy::append_hex(hex, mailsbuddy::liquid::rendered(mailsbuddy::liquid::PartKind::kText, source, row));
    std::puts(hex.c_str());
  }
}
