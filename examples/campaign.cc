// Sends a campaign to a thousand recipients of one domain, rendered and DKIM-signed one by one as they leave:
// example_campaign DNS_SERVER PORT DOMAIN.
#include <mailsbuddy/engine.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace mb = mailsbuddy;

// Rows may come from anywhere; these are counted out.
class Subscribers : public mb::RowSource {
 public:
  explicit Subscribers(std::string domain) : domain_(std::move(domain)) {}
  std::span<const std::string> columns() const override { return columns_; }
  mb::Result<std::optional<mb::RowView>> next() override {
    if (number_ == 1000) return std::optional<mb::RowView>();
    ++number_;
    address_ = "user" + std::to_string(number_) + "@" + domain_;
    name_ = "Reader " + std::to_string(number_);
    values_ = {name_};
    return std::optional<mb::RowView>({.number = number_, .address = address_, .values = values_});
  }

 private:
  std::vector<std::string> columns_{"name"};
  std::string domain_;
  std::uint64_t number_ = 0;
  std::string address_;
  std::string name_;
  std::vector<std::string_view> values_;
};

template <class T>
T value_or_exit(mb::Result<T> result) {
  if (!result) std::exit((std::fprintf(stderr, "%s\n", result.error().detail.c_str()), 1));
  return *std::move(result);
}

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: %s DNS_SERVER PORT DOMAIN\n", argv[0]), 2;
  auto keys = std::make_shared<mb::dkim::KeyRing>();
  auto key = value_or_exit(mb::dkim::PrivateKey::generate_rsa());
  if (!keys->add(value_or_exit(mb::dkim::Signer::make("brand.example", "s1", key)))) return 1;

  mb::EngineOptions options{.egress = {{.address = "127.0.0.1", .ehlo_name = "mail.brand.example"}}, .keys = keys};
  options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  options.runtime_options.resolver.servers = {value_or_exit(mb::net::Endpoint::parse(argv[1], 53))};
  auto settings = std::make_shared<mb::warming::Settings>(mb::warming::Settings::shipped());
  if (!settings->add("* ip messages_per_second=0", "example")) return 1;
  options.settings = settings;
  auto engine = value_or_exit(mb::Engine::open(std::move(options)));

  auto content = value_or_exit(mb::make_campaign_content(
      {.headers = {{"Subject", "Spring is here, {{ name }}"}}, .text = {}, .html = "<p>Hello {{ name }}</p>", .attachments = {}},
      {.unsubscribe_url = "https://brand.example/u/{{ mb_token }}", .list_id = "spring.brand.example"}));
  Subscribers rows(argv[3]);
  value_or_exit(engine->start({.id = "spring",
                               .account = "brand",
                               .content = content,
                               .from = value_or_exit(mb::NamedAddress::parse("News <news@brand.example>")),
                               .return_path_domain = "bounce.brand.example"},
                              rows));
  if (!engine->drain(std::chrono::seconds(50))) return 1;
  const auto status = value_or_exit(engine->status("spring"));
  std::printf("%llu of %llu delivered\n", static_cast<unsigned long long>(status.of(mb::spool::State::kDelivered)),
              static_cast<unsigned long long>(status.total));
  return status.of(mb::spool::State::kDelivered) == status.total ? 0 : 1;
}
