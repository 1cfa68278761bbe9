// The main() of a fuzz target outside the fuzz preset: runs every file of the folders given, once whole and once cut at
// half, in the order of their names.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string seed{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    std::printf("%s, %zu bytes\n", file.filename().c_str(), seed.size());
    std::fflush(stdout);  // Names the seed that crashes.
    for (const std::size_t size : {seed.size(), seed.size() / 2}) {
      const std::vector<std::uint8_t> exact(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size));
      LLVMFuzzerTestOneInput(exact.data(), exact.size());  // Its own allocation, so that a read past the end is seen.
    }
  }
  return files.empty() ? 1 : 0;  // No seeds: nothing was tried.
}
