#include <libpsl.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

// Names of MX hosts end in these, from the providers' own DNS. One provider is what counts a sender's connections and
// keeps his reputation in one place, whatever its brands.
struct Suffix {
  std::string_view suffix;
  std::string_view provider;
};
constexpr Suffix kSuffixes[] = {
    // Gmail and Workspace.
    {"google.com", "google"},
    {"googlemail.com", "google"},
    {"smtp.goog", "google"},
    // Microsoft is two: Outlook.com has SNDS, its RP, SC and S codes and a delisting form of its own; Exchange Online
    // has other blocks (5.7.511, 5.7.606) and is delisted elsewhere. Blame from one must not stop mail to the other.
    {"olc.protection.outlook.com", "microsoft"},
    {"hotmail.com", "microsoft"},
    {"protection.outlook.com", "microsoft365"},
    {"mx.microsoft", "microsoft365"},
    {"mail.eo.outlook.com", "microsoft365"},
    {"protection.office365.us", "microsoft365"},
    {"protection.partner.outlook.cn", "microsoft365"},
    // Yahoo carries AOL, Verizon, Frontier, Sky and, by way of prodigy.net, AT&T.
    {"yahoodns.net", "yahoo"},
    {"mx.aol.com", "yahoo"},
    {"prodigy.net", "yahoo"},
    {"mail.icloud.com", "apple"},
    {"mail.me.com", "apple"},
    {"apple.com", "apple"},
    {"comcast.net", "comcast"},
    {"charter.net", "charter"},
    {"rr.com", "charter"},
    {"cox.net", "cox"},
    {"cloudfilter.net", "cloudfilter"},
    // GMX, web.de and mail.com are one house (1&1 Mail & Media); IONOS hosts customers' domains beside them.
    {"gmx.net", "gmx"},
    {"gmx.com", "gmx"},
    {"web.de", "gmx"},
    {"mail.com", "gmx"},
    {"kundenserver.de", "ionos"},
    {"ionos.com", "ionos"},
    {"ionos.de", "ionos"},
    {"ionos.co.uk", "ionos"},
    {"1and1.com", "ionos"},
    {"1and1.co.uk", "ionos"},
    {"perfora.net", "ionos"},
    {"t-online.de", "t-online"},
    {"freenet.de", "freenet"},
    {"rzone.de", "strato"},
    {"strato.de", "strato"},
    {"orange.fr", "orange"},
    {"wanadoo.fr", "orange"},
    {"sfr.fr", "sfr"},
    {"sfr.net", "sfr"},
    {"free.fr", "free"},
    {"laposte.net", "laposte"},
    {"ovh.net", "ovh"},
    {"gandi.net", "gandi"},
    {"libero.it", "libero"},
    {"virgilio.it", "libero"},
    {"aruba.it", "aruba"},
    {"tim.it", "tim"},
    {"seznam.cz", "seznam"},
    {"wp.pl", "wp"},
    {"onet.pl", "onet"},
    {"interia.pl", "interia"},
    {"mail.ru", "mailru"},
    {"yandex.ru", "yandex"},
    {"yandex.net", "yandex"},
    {"yandex.com", "yandex"},
    {"rambler.ru", "rambler"},
    {"qq.com", "qq"},
    {"netease.com", "netease"},
    {"163.com", "netease"},
    {"126.com", "netease"},
    {"yeah.net", "netease"},
    {"sina.com.cn", "sina"},
    {"sina.cn", "sina"},
    {"sohu.com", "sohu"},
    {"mxhichina.com", "alibaba"},
    {"aliyun.com", "alibaba"},
    {"naver.com", "naver"},
    {"daum.net", "kakao"},
    {"kakao.com", "kakao"},
    {"docomo.ne.jp", "docomo"},
    {"au.com", "kddi"},
    {"softbank.ne.jp", "softbank"},
    {"zoho.com", "zoho"},
    {"zoho.eu", "zoho"},
    {"zoho.in", "zoho"},
    {"zohomail.com", "zoho"},
    {"protonmail.ch", "proton"},
    {"messagingengine.com", "fastmail"},
    {"mailbox.org", "mailbox.org"},
    {"emailsrvr.com", "rackspace"},
    {"secureserver.net", "godaddy"},
    {"registrar-servers.com", "namecheap"},
    {"privateemail.com", "namecheap"},
    {"hostinger.com", "hostinger"},
    {"titan.email", "titan"},
    {"amazonaws.com", "amazon"},
    // Filters in front of companies' own servers; they see the sender first, so theirs is the reputation that counts.
    {"pphosted.com", "proofpoint"},
    {"ppe-hosted.com", "proofpoint"},
    {"gpphosted.com", "proofpoint"},
    {"mimecast.com", "mimecast"},
    {"mimecast.co.za", "mimecast"},
    {"barracudanetworks.com", "barracuda"},
    {"messagelabs.com", "symantec"},
    {"iphmx.com", "cisco"},
    {"trendmicro.com", "trendmicro"},
    {"trendmicro.eu", "trendmicro"},
    {"fireeyecloud.com", "trellix"},
    {"mailcontrol.com", "forcepoint"},
    {"hornetsecurity.com", "hornetsecurity"},
    {"antispameurope.com", "hornetsecurity"},
    {"sophos.com", "sophos"},
    {"mailspamprotection.com", "siteground"},
    {"antispamcloud.com", "n-able"},
    {"mxlogic.net", "trellix"},
    {"mx.cloudflare.net", "cloudflare"},
};

constexpr Suffix kBrands[] = {{"gmail", "google"}, {"outlook", "microsoft"}, {"hotmail", "microsoft"},
                              {"office365", "microsoft365"}, {"icloud", "apple"}, {"aol", "yahoo"}};

// One is missing, too many, another, or changes places with the next. The first is right: a host may be called "mail".
bool one_letter_apart(std::string_view a, std::string_view b) noexcept {
  if (a.size() > b.size()) std::swap(a, b);
  if (a.size() < 4 || b.size() - a.size() > 1 || a.front() != b.front()) return false;
  const auto differ = static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
  if (differ == a.size()) return a.size() < b.size();
  if (a.size() < b.size()) return a.substr(differ) == b.substr(differ + 1);
  if (a.substr(differ + 1) == b.substr(differ + 1)) return true;
  return differ + 1 < a.size() && a[differ] == b[differ + 1] && a[differ + 1] == b[differ] &&
         a.substr(differ + 2) == b.substr(differ + 2);
}

// Whole labels only: "notgoogle.com" is not google.com.
bool ends_in(std::string_view host, std::string_view suffix) noexcept {
  if (!host.ends_with(suffix)) return false;
  return host.size() == suffix.size() || host[host.size() - suffix.size() - 1] == '.';
}

}  // namespace

std::string_view provider_of_brand(std::string_view name) noexcept {
  const auto* const brand = std::ranges::find(kBrands, name, &Suffix::suffix);
  return brand == std::end(kBrands) ? std::string_view() : brand->provider;
}

std::string_view meant_provider(std::string_view name) noexcept {
  const auto is = [name](const auto& each) { return each.provider == name; };
  if (name.find_first_of(".:") != std::string_view::npos) return {};
  if (std::any_of(std::begin(kSuffixes), std::end(kSuffixes), is)) return {};
  if (const std::string_view provider = provider_of_brand(name); !provider.empty()) return provider;
  for (const Suffix& brand : kBrands) {
    if (one_letter_apart(brand.suffix, name)) return brand.provider;
  }
  for (const Suffix& each : kSuffixes) {
    if (one_letter_apart(each.provider, name)) return each.provider;
  }
  return {};
}

ProviderId provider_of(std::string_view mx_host) {
  if (mx_host.ends_with('.')) mx_host.remove_suffix(1);
  const std::string host = ascii::to_lower(mx_host);
  const Suffix* longest = nullptr;
  for (const Suffix& row : kSuffixes) {
    if (ends_in(host, row.suffix) && (longest == nullptr || row.suffix.size() > longest->suffix.size())) longest = &row;
  }
  if (longest != nullptr) return {std::string(longest->provider)};
  const bool name = host.find_first_not_of("0123456789.") != std::string::npos && host.find(':') == std::string::npos;
  const char* registrable = name ? psl_registrable_domain(psl_builtin(), host.c_str()) : nullptr;
  return {registrable != nullptr ? registrable : host};
}

}  // namespace mailsbuddy
