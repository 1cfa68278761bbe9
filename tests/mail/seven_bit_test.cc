#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/mail.h"

using namespace mailsbuddy;

namespace {

#define MULTI(subtype) "MIME-Version: 1.0\r\nContent-Type: multipart/" subtype "; boundary=b\r\n"
#define UE "\xc3\xbc"

struct Case {
  std::string_view name, before, after;
};

constexpr Case kConverted[] = {
    {"ASCII stays, whatever it says of itself", "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n",
     "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n"},
    {"one text",
     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\na gr" UE
     "n = 1, or so\r\n",
     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
     "quoted-printable\r\n\r\n"
     "a gr=C3=BCn =3D 1, or so\r\n"},
    {"mostly not ASCII: base64", "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" UE UE UE UE,
     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "w7zDvMO8w7w=\r\n"},
    {"no MIME: it becomes MIME", "From: a\r\n\r\nlong enough " UE "\r\n",
     "From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
     "quoted-printable\r\n\r\nlong enough =C3=BC\r\n"},
    {"no MIME and no UTF-8", "From: a\r\n\r\nlong enough \xfc\r\n",
     "From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: "
     "quoted-printable\r\n\r\nlong enough =FC\r\n"},
    {"a folded field, and one that stands twice",
     "MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding:\r\n  8bit\r\nX: "
     "y\r\ncontent-transfer-encoding: "
     "BINARY\r\n\r\nlong enough " UE,
     "MIME-Version: 1.0\r\nContent-Type: a/b\r\nX: y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nlong enough "
     "=C3=BC"},
    {"one part of two, and the multipart says 7bit",
     MULTI("mixed") "Content-Transfer-Encoding: 8bit\r\n\r\npr" UE
                    "\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n--b\r\nContent-Type: text/html; "
                    "charset=utf-8\r\n\r\n<p>gr" UE "n</p>\r\n--b--\r\nep" UE,
     MULTI("mixed") "Content-Transfer-Encoding: 7bit\r\n\r\npr??\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: 7bit\r\n\r\nplain\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>gr=C3=BCn</p>\r\n--b--\r\nep??"},
    {"a message in a message",
     MULTI("mixed") "\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: "
                    "x\r\nMIME-Version: "
                    "1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nlong enough " UE "\r\n--b--\r\n",
     MULTI("mixed") "\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: "
                    "x\r\nMIME-Version: "
                    "1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
                    "quoted-printable\r\n\r\nlong enough "
                    "=C3=BC\r\n--b--\r\n"},
    {"what is signed stays, its neighbour changes",
     MULTI("mixed") "\r\n--b\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Transfer-Encoding: "
                    "8bit\r\n\r\nx\r\n--s\r\n\r\nsignature\r\n--s--\r\n--b\r\nContent-Type: text/plain; "
                    "charset=utf-8\r\n\r\nlong enough " UE "\r\n--b--\r\n",
     MULTI(
         "mixed") "\r\n--b\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Transfer-Encoding: "
                  "8bit\r\n\r\nx\r\n--s\r\n\r\nsignature\r\n--s--\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: quoted-printable\r\n\r\nlong enough =C3=BC\r\n--b--\r\n"},
};

struct Refusal {
  std::string_view name, message, detail;
};

constexpr Refusal kRefused[] = {
    {"a header", "Subject: " UE "\r\n\r\nx", "message: a header field is not ASCII"},
    {"a part's header", MULTI("mixed") "\r\n--b\r\nContent-Description: " UE "\r\n\r\nx\r\n--b--\r\n",
     "part 1: a header field is not ASCII"},
    {"signed", MULTI("signed") "\r\n--b\r\n\r\n" UE "\r\n--b\r\n\r\ns\r\n--b--\r\n",
     "message: octets above 127 in multipart/signed"},
    {"encrypted, inside",
     MULTI("mixed") "\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: multipart/encrypted; boundary=e\r\n\r\n--e\r\n\r\n" UE
                    "\r\n--e--\r\n--b--\r\n",
     "part 2: octets above 127 in multipart/encrypted"},
    {"a delivery report", MULTI("report") "\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" UE "\r\n--b--\r\n",
     "part 1: octets above 127 in message/delivery-status"},
    {"base64 that is none", "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" UE,
     "message: octets above 127 in 'base64'"},
    {"an encoding that nobody knows", "MIME-Version: 1.0\r\nContent-Transfer-Encoding: x-uue\r\n\r\n" UE,
     "message: octets above 127 in 'x-uue'"},
    {"a boundary that is nowhere", MULTI("mixed") "\r\n" UE "\r\n", "message: octets above 127 and no boundary"},
    {"a header in a message in a message",
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: " UE "\r\n\r\nx",
     "message: in it, message: a header field is not ASCII"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(converted) {
  for (const Case& c : kConverted) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto made = to_seven_bit(c.before);
      BOOST_REQUIRE(made.has_value());
      BOOST_TEST(*made == c.after);
    }
  }
}

BOOST_AUTO_TEST_CASE(refused) {
  for (const Refusal& c : kRefused) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto made = to_seven_bit(c.message);
      BOOST_REQUIRE(!made.has_value());
      BOOST_TEST((made.error().code == ErrorCode::kUnsupported));
      BOOST_TEST(made.error().detail == c.detail);
    }
  }
}

BOOST_AUTO_TEST_CASE(limits) {
  std::string nested = "MIME-Version: 1.0\r\n\r\n" UE;
  for (int i = 0; i < 9; ++i) nested = "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + nested;
  BOOST_TEST(!to_seven_bit(nested).has_value());
  BOOST_TEST(to_seven_bit(std::string_view(nested).substr(nested.find("Content-Type", 20) - 19)).has_value());
}
