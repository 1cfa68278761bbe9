// scenario.h - runs a tests/scenarios/*.smtp file: the real engine in a simulated world. The language is described in
// tests/scenarios/README.md.
#pragma once

#include <optional>
#include <string>

namespace mailsbuddy::sim {

struct ScenarioFailure {
  int line = 0;
  std::string what;
  std::string transcript;  // Every line on every wire, with times.
};

enum class Storage { kMemory, kDisk };

// Empty: everything was as the file expects.
std::optional<ScenarioFailure> run_scenario(const std::string& text, std::uint64_t seed,
                                            Storage storage = Storage::kMemory);

}  // namespace mailsbuddy::sim
