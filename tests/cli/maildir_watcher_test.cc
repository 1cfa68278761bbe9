// The maildir watcher: each message once, none lost, whatever lies in the folder.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "services/cli/maildir_watcher.h"

using namespace mailsbuddy;
using namespace mailsbuddy::cli;
namespace fs = std::filesystem;

namespace {

struct World {
  fs::path folder;
  std::vector<std::string> taken;
  std::vector<std::string> said;
  Handled answer = Handled::kSeen;
  std::optional<MaildirWatcher> watcher;

  World() {
    std::string name = (fs::temp_directory_path() / "mailsbuddy-maildir-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    fs::create_directory(folder / "new");
    open();
  }
  ~World() { fs::remove_all(folder); }

  void open() {
    auto opened = MaildirWatcher::open(
        folder.string(),
        [this](std::string_view message) {
          taken.emplace_back(message);
          return answer;
        },
        [this](const std::string& word) { said.push_back(word); });
    BOOST_REQUIRE(opened.has_value());
    watcher = *std::move(opened);
  }

  void write(const fs::path& name, std::string_view text) { std::ofstream(folder / name, std::ios::binary) << text; }

  std::set<std::string> names(const char* part) const {
    std::set<std::string> out;
    if (!fs::exists(folder / part)) return out;
    for (const auto& entry : fs::directory_iterator(folder / part)) out.insert(entry.path().filename().string());
    return out;
  }

  std::size_t scan_twice() {
    watcher->scan();
    return watcher->scan();
  }
};

using Names = std::set<std::string>;

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_message_is_taken_at_the_second_sight_and_moved, World) {
  write("new/1.a", "one");
  BOOST_TEST(watcher->scan() == 0U);
  BOOST_TEST(taken.empty());
  BOOST_TEST(watcher->scan() == 1U);
  BOOST_TEST(watcher->scan() == 0U);
  BOOST_TEST(taken == std::vector<std::string>{"one"}, boost::test_tools::per_element());
  BOOST_TEST((names("new") == Names{}));
  BOOST_TEST((names("cur") == Names{"1.a:2,S"}));
}

BOOST_FIXTURE_TEST_CASE(what_is_for_a_person_stays_unseen, World) {
  answer = Handled::kUnseen;
  write("new/1.a", "hello");
  BOOST_TEST(scan_twice() == 1U);
  BOOST_TEST((names("cur") == Names{"1.a:2,"}));
}

BOOST_FIXTURE_TEST_CASE(messages_come_in_the_order_of_their_names, World) {
  for (const char* name : {"new/3.c", "new/1.a", "new/2.b"}) write(name, name);
  BOOST_TEST(scan_twice() == 3U);
  const std::vector<std::string> expected{"new/1.a", "new/2.b", "new/3.c"};
  BOOST_TEST(taken == expected, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(a_file_that_still_grows_is_waited_for, World) {
  write("new/1.a", "one");
  watcher->scan();
  write("new/1.a", "one and");
  BOOST_TEST(watcher->scan() == 0U);
  write("new/1.a", "one and more");
  BOOST_TEST(watcher->scan() == 0U);
  BOOST_TEST(watcher->scan() == 1U);
  BOOST_TEST(taken == std::vector<std::string>{"one and more"}, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_handled_now_stays_and_comes_again, World) {
  answer = Handled::kLater;
  write("new/1.a", "one");
  BOOST_TEST(scan_twice() == 0U);
  BOOST_TEST((names("new") == Names{"1.a"}));
  answer = Handled::kSeen;
  BOOST_TEST(watcher->scan() == 1U);
  BOOST_TEST(taken.size() == 2U);
  BOOST_TEST((names("cur") == Names{"1.a:2,S"}));
}

// A crash after the message was handled and before it was moved: it comes again, and is not lost.
BOOST_FIXTURE_TEST_CASE(a_message_that_was_handled_but_not_moved_comes_again, World) {
  answer = Handled::kLater;
  write("new/1.a", "one");
  scan_twice();
  open();
  answer = Handled::kSeen;
  BOOST_TEST(scan_twice() == 1U);
  BOOST_TEST(taken.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(new_may_come_later_and_cur_is_made, World) {
  fs::remove(folder / "new");
  BOOST_TEST(fs::is_directory(folder / "cur"));
  BOOST_TEST(scan_twice() == 0U);
  fs::create_directory(folder / "new");
  write("new/1.a", "one");
  BOOST_TEST(scan_twice() == 1U);
  BOOST_TEST(said.empty());
}

BOOST_FIXTURE_TEST_CASE(nothing_is_written_over, World) {
  write("cur/1.a:2,S", "old");
  write("new/1.a", "new");
  BOOST_TEST(scan_twice() == 1U);
  BOOST_TEST((names("cur") == Names{"1.a:2,S", "1.1.a:2,S"}));
  std::ostringstream old;
  old << std::ifstream(folder / "cur/1.a:2,S").rdbuf();
  BOOST_TEST(old.str() == "old");
}

BOOST_FIXTURE_TEST_CASE(hidden_files_are_left_alone, World) {
  write("new/.nfs1", "x");
  BOOST_TEST(scan_twice() == 0U);
  BOOST_TEST((names("new") == Names{".nfs1"}));
}

BOOST_FIXTURE_TEST_CASE(bad_files_are_set_aside_with_a_word_and_the_others_go_on, World) {
  fs::create_directory(folder / "new/1.folder");
  fs::create_symlink("/etc/hostname", folder / "new/2.link");
  BOOST_REQUIRE(::mkfifo((folder / "new/3.pipe").c_str(), 0600) == 0);
  write("new/4.good", "good");
  BOOST_TEST(scan_twice() == 1U);
  BOOST_TEST(taken == std::vector<std::string>{"good"}, boost::test_tools::per_element());
  BOOST_TEST((names("bad") == Names{"1.folder", "2.link", "3.pipe"}));
  BOOST_TEST((names("new") == Names{}));
  BOOST_REQUIRE(said.size() == 3U);
  BOOST_TEST(said[0].find("1.folder: not a file; it is set aside in bad/") != std::string::npos, said[0]);
  watcher->scan();
  BOOST_TEST(said.size() == 3U);
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_moved_is_said_once, World) {
  fs::remove(folder / "cur");
  write("cur", "a file in the way");
  write("new/1.a", "one");
  for (int i = 0; i < 5; ++i) watcher->scan();
  BOOST_TEST(taken.size() == 1U);
  BOOST_TEST(said.size() == 1U);
  BOOST_TEST((names("new") == Names{"1.a"}));
}

BOOST_FIXTURE_TEST_CASE(of_a_giant_the_beginning_is_read, World) {
  write("new/1.a", std::string(MaildirWatcher::kMessageBytesMax + 5, 'x'));
  BOOST_TEST(scan_twice() == 1U);
  BOOST_REQUIRE(taken.size() == 1U);
  BOOST_TEST(taken[0].size() == MaildirWatcher::kMessageBytesMax);
}

BOOST_AUTO_TEST_CASE(a_maildir_must_be_a_folder) {
  const auto handle = [](std::string_view) { return Handled::kSeen; };
  const auto say = [](const std::string&) {};
  for (const char* path : {"/nonexistent/maildir", "/etc/hostname", ""}) {
    const auto opened = MaildirWatcher::open(path, handle, say);
    BOOST_REQUIRE(!opened.has_value());
    BOOST_TEST((opened.error().code == ErrorCode::kIo));
  }
}
