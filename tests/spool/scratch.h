// scratch.h - a folder that is gone with its owner. In memory where that can be: opening a spool syncs files, which
// disks take their time for, and what a disk does is played by FaultyFiles.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace mailsbuddy::spool {

class Scratch {
 public:
  Scratch() {
    const bool shared_memory = access("/dev/shm", W_OK) == 0;
    std::string pattern =
        (shared_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/mailsbuddy-spool-XXXXXX";
    root_ = mkdtemp(pattern.data()) != nullptr ? pattern : std::string();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
  }
  std::string path(const std::string& name = "spool") const { return root_ + "/" + name; }

 private:
  std::string root_;
};

}  // namespace mailsbuddy::spool
