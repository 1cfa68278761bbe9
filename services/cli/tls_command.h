// tls_command.h - mailsbuddy tls: what is asked of the TLS of a domain's mail hosts, and why.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace mailsbuddy::cli {

void add_tls_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
