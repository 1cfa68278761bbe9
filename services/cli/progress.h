// progress.h - how a run shows itself: a live table on a terminal, a line now and then elsewhere, and the summary.
#pragma once

#include <chrono>
#include <string>

#include "services/cli/event_log.h"

namespace mailsbuddy::cli {

// Writes to standard error, so that standard output stays for results.
class Progress {
 public:
  Progress();
  void show(const CampaignStatus& status, EventLog& log);        // Call often: it draws when it is time.
  void finish();                                                 // Leaves the terminal clean for what follows.

 private:
  void clear_drawn();

  bool terminal_;
  int drawn_lines_ = 0;
  std::chrono::steady_clock::time_point next_{};
};

std::string human_duration(std::chrono::seconds time);  // "1 h 05 min", "42 s"

// The table that ends a run: a row a provider and the total.
std::string summary_table(const CampaignStatus& status, const EventLog& log);
std::string summary_json(const std::string& campaign, const CampaignStatus& status, const EventLog& log,
                         const ImportReport& report, double seconds);

}  // namespace mailsbuddy::cli
