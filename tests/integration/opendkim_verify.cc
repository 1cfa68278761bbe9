// opendkim_verify KEYS MESSAGE... - verifies the DKIM signatures of message files with libopendkim.
//
// KEYS is a file of key records, a line each: name, tab, text of the TXT record. It is what DNS said; this program asks
// no server. Each MESSAGE is as on the wire, with CRLF. Prints a line for each message: its file, tab, "ok" or why not.
// Exit status: 0 when all are ok, 1 when not, 2 when the run itself went wrong.
#include <sys/types.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

extern "C" {
#define _Bool bool  // The header is C's.
#include <dkim.h>
#undef _Bool
}

namespace {

std::map<std::string, std::string> keys;  // libopendkim's callback has no room for context here.

std::string tag(DKIM_SIGINFO* signature, const char* name) {
  std::string copy(name);  // The library takes its names as writable.
  const auto* value = dkim_sig_gettagvalue(signature, false, reinterpret_cast<u_char*>(copy.data()));
  return value == nullptr ? "" : reinterpret_cast<const char*>(value);
}

DKIM_CBSTAT look_up(DKIM*, DKIM_SIGINFO* signature, u_char* out, size_t size) noexcept {
  const auto key = keys.find(tag(signature, "s") + "._domainkey." + tag(signature, "d"));
  if (key == keys.end()) return DKIM_CBSTAT_NOTFOUND;
  if (key->second.size() >= size) return DKIM_CBSTAT_ERROR;
  std::memcpy(out, key->second.c_str(), key->second.size() + 1);
  return DKIM_CBSTAT_CONTINUE;
}

bool read_keys(const char* path) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (const auto tab = line.find('\t'); tab != std::string::npos) keys[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return !keys.empty();
}

// Empty: it verifies.
std::string why_not(DKIM_LIB* library, const std::string& message) {
  DKIM_STAT status = DKIM_STAT_OK;
  DKIM* const dkim = dkim_verify(library, reinterpret_cast<const u_char*>("test"), nullptr, &status);
  if (dkim == nullptr) return dkim_getresultstr(status);
  std::string bytes = message;
  status = dkim_chunk(dkim, reinterpret_cast<u_char*>(bytes.data()), bytes.size());
  if (status == DKIM_STAT_OK) status = dkim_chunk(dkim, nullptr, 0);
  bool test_key = false;
  if (status == DKIM_STAT_OK) status = dkim_eom(dkim, &test_key);
  std::string reason;
  DKIM_SIGINFO* const signature = dkim_getsignature(dkim);
  if (status != DKIM_STAT_OK) {
    const char* const more = dkim_geterror(dkim);
    reason = std::string(dkim_getresultstr(status)) + (more == nullptr ? "" : std::string(": ") + more);
  } else if (signature == nullptr || !DKIM_SIG_CHECK(signature)) {
    reason = "the signature or the body hash does not match";
  }
  dkim_free(dkim);
  return reason;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || !read_keys(argv[1])) {
    std::fputs("opendkim_verify KEYS MESSAGE...: no keys or no messages\n", stderr);
    return 2;
  }
  DKIM_LIB* const library = dkim_init(nullptr, nullptr);
  if (library == nullptr || dkim_set_key_lookup(library, look_up) != DKIM_STAT_OK) return 2;
  bool all = true;
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string message{std::istreambuf_iterator<char>(file), {}};
    const std::string reason = file ? why_not(library, message) : "cannot be read";
    std::printf("%s\t%s\n", argv[i], reason.empty() ? "ok" : reason.c_str());
    all = all && reason.empty();
  }
  dkim_close(library);
  return all ? 0 : 1;
}
