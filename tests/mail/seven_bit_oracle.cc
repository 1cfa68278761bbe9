// Makes FOLDER/NAME.seven of each FOLDER/NAME.eml; NAME.refused, with the reason, of what cannot be.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "mailsbuddy/mail.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    if (entry.path().extension() != ".eml") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string message{std::istreambuf_iterator<char>(in), {}};
    const auto made = mailsbuddy::to_seven_bit(message);
    std::filesystem::path path = entry.path();
    path.replace_extension(made ? ".seven" : ".refused");
    std::ofstream(path, std::ios::binary) << (made ? *made : made.error().detail);
  }
  return 0;
}
