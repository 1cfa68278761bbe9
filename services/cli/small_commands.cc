#include "services/cli/small_commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "mailsbuddy/mail.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

// With a display name or without: lists of addresses have both.
Result<Address> parse_address(const std::string& line) {
  if (!line.ends_with('>')) return Address::parse(line);
  auto named = NamedAddress::parse(line);
  if (!named) return std::move(named).error();
  return std::move(named->address);
}

nlohmann::ordered_json judged(const std::string& line) {
  nlohmann::ordered_json json{{"input", line}};
  const auto address = parse_address(line);
  json["valid"] = address.has_value();
  json["smtputf8"] = address && address->needs_smtputf8();
  json["ascii"] = nullptr;
  json["reason"] = nullptr;
  if (!address) {
    json["reason"] = address.error().detail;
  } else if (!address->needs_smtputf8()) {
    json["ascii"] = address->str();
  }
  return json;
}

int check_addresses() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    std::cout << judged(line).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  }
  return std::cout.flush() ? kDone : kUnsettled;
}

// A word list per subcommand path, "dkim keygen" -> "--bits --help".
void collect_words(const CLI::App& app, const std::string& path, std::map<std::string, std::vector<std::string>>& words) {
  auto& own = words[path];
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    own.push_back(sub->get_name());
    collect_words(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), words);
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) own.push_back("--" + name);
  }
}

int completion(const CLI::App& app, const std::string& shell) {
  std::map<std::string, std::vector<std::string>> words;
  collect_words(app, "", words);
  if (shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
  fmt::print("_mailsbuddy() {{\n  local chain=\"\" word\n"
             "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
             "    case \"$word\" in -*) break ;; *) chain=\"${{chain:+$chain }}$word\" ;; esac\n  done\n"
             "  local words=\"\"\n  case \"$chain\" in\n");
  for (const auto& [path, list] : words) fmt::print("    \"{}\") words=\"{}\" ;;\n", path, fmt::join(list, " "));
  fmt::print("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n"
             "complete -o default -F _mailsbuddy mailsbuddy\n");
  return kDone;
}

}  // namespace

void add_address_command(CLI::App& app, std::function<int()>& run) {
  CLI::App* address = app.add_subcommand("address", "E-mail addresses")->require_subcommand(1);
  CLI::App* check = address->add_subcommand("check", "Judge addresses on standard input, one a line; JSON lines come out");
  check->footer("Each line out: {\"input\", \"valid\", \"smtputf8\", \"ascii\", \"reason\"}. `ascii` is the address as it goes\n"
                "on the wire, its domain in A-label form; null when the local part needs SMTPUTF8 (RFC 6531).\n"
                "A display name may stand before it: Ann <ann@brand.example>.\n\n"
                "Example:\n  echo 'ann@b\xc3\xbc" "cher.example' | mailsbuddy address check");
  check->callback([&run] { run = check_addresses; });
}

void add_completion_command(CLI::App& app, std::function<int()>& run) {
  auto shell = std::make_shared<std::string>("bash");
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->add_option("SHELL", *shell, "bash or zsh")->check(CLI::IsMember({"bash", "zsh"}))->capture_default_str();
  command->footer("Example:\n  source <(mailsbuddy completion bash)");
  command->callback([shell, &app, &run] { run = [shell, &app] { return completion(app, *shell); }; });
}

}  // namespace mailsbuddy::cli
