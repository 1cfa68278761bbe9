// What happened to the recipients of a report: what is said about each, given to the classifier.
#include <algorithm>
#include <string>

#include "bounce/classes.h"
#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {

Verdict verdict_of(Class klass, std::string_view rule) {
  const ClassRow& row = row_of(klass);
  return {row.klass, row.permanence, row.scope, row.reaction, rule};
}

namespace {

// At which command a reply was given, as servers say it in their reports.
Stage stage_in(std::string_view text) {
  constexpr std::pair<std::string_view, Stage> kStages[] = {{"end of data", Stage::kFinalDot},
                                                            {"after i sent the message", Stage::kFinalDot},
                                                            {"data command", Stage::kData},
                                                            {"after data", Stage::kFinalDot},
                                                            {"end-of-data", Stage::kFinalDot},
                                                            {"mail from", Stage::kMailFrom},
                                                            {"sender was rejected", Stage::kMailFrom},
                                                            {"helo", Stage::kEhlo},
                                                            {"ehlo", Stage::kEhlo},
                                                            {"initial server greeting", Stage::kGreeting},
                                                            {"initial connection", Stage::kGreeting},
                                                            {"starttls", Stage::kStartTls}};
  for (const auto& [words, stage] : kStages) {
    if (text.find(words) != std::string_view::npos) return stage;
  }
  return Stage::kRcptTo;
}

ProviderId provider_in(std::string_view host) {
  const bool name = host.find('.') != std::string_view::npos && host.find_first_of("[:") == std::string_view::npos &&
                    !ascii::is_digit(host.front());
  return name ? provider_of(host) : ProviderId{};
}

// The message is out of our hands: nothing is to be tried again, and what is still being tried is not yet anything.
void settle(Verdict& verdict, Action action) {
  if (action == Action::kDelayed) {
    if (verdict.permanence == Permanence::kHard || verdict.permanence == Permanence::kUndetermined)
      verdict.permanence = Permanence::kSoft;
    if (verdict.reaction == Reaction::kSuppress || verdict.reaction == Reaction::kRetry ||
        verdict.reaction == Reaction::kSplit || verdict.reaction == Reaction::kFailMessage)
      verdict.reaction = Reaction::kNone;
  } else if (verdict.reaction == Reaction::kRetry || verdict.reaction == Reaction::kSplit) {
    verdict.reaction = Reaction::kFailMessage;
  }
}

// Some say the cause in the last of many lines, after they said it in the sender's language.
constexpr std::size_t kJudgedMax = 8 * 1024;

// Looking through all paragraphs costs a pass over the words for each recipient.
constexpr std::size_t kParagraphRecipientsMax = 16;

// Google Groups says in some forty languages that a group may not exist, or may take mail of its members only; what is
// the same in all is the address of its help. That is no reason to suppress anybody.
bool is_group_refusal(const Mail& mail) {
  return mail.words.words.find("groups.google.com/support") != std::string_view::npos;
}

bool arrived(Action action) noexcept {
  return action == Action::kDelivered || action == Action::kRelayed || action == Action::kExpanded;
}

// "The account is disabled. <ann@example.net>: 550 User unknown": the reporter knows its users better than its reply
// says.
bool is_kinder(const Verdict& verdict, const Verdict& before) noexcept {
  return verdict.klass == Class::kUserUnknown &&
         (before.klass == Class::kMailboxDisabled || before.klass == Class::kMailboxFull);
}

class Judge {
 public:
  Judge(const Mail& mail, const Classifier& rules, std::size_t recipients)
      : mail_(mail), rules_(rules), recipients_(recipients), statements_(statements(mail.words)) {}

  void judge(ReportedRecipient& recipient) const {
    if (arrived(recipient.action)) {
      recipient.verdict = verdict_of(Class::kDelivered, "delivered");
    } else if (recipient.action == Action::kFailed && is_group_refusal(mail_)) {
      recipient.verdict = verdict_of(Class::kRecipientFiltered, "report.google_group");
    } else {
      find_cause(recipient);
      settle(recipient.verdict, recipient.action);
    }
  }

 private:
  std::string words_about(std::string_view address) const {
    if (address.empty()) return {};
    const auto found = std::ranges::find_if(statements_, [address](const Named& n) {
      return same_address(n.address, address) || same_address(n.final, address);
    });
    if (found != statements_.end() && !found->about.empty()) return found->about;
    return recipients_ <= kParagraphRecipientsMax ? paragraphs_about(mail_.words, address) : std::string();
  }

  // Whether the reply says what happened; if so, the recipient has the verdict.
  bool tell(ReportedRecipient& recipient, Reply reply, const std::optional<EnhancedCode>& status, Stage stage) const {
    if (!reply.enhanced) reply.enhanced = status;
    const Outcome outcome{.stage = stage, .cause = Cause::kReply, .reply = std::move(reply), .detail = {}};
    recipient.verdict = rules_.classify(outcome, provider_in(recipient.remote_mta));
    recipient.matched = recipient.verdict.matched;  // A view into `outcome`, which ends here.
    recipient.verdict.matched = {};
    return recipient.verdict.klass != Class::kUndetermined;
  }

  void find_cause(ReportedRecipient& recipient) const {
    std::string about = words_about(recipient.address);
    if (about.empty()) about = words_about(recipient.final_recipient);
    Reply& diagnostic = recipient.diagnostic;
    if (diagnostic.text.empty() && diagnostic.code == 0 && !about.empty()) diagnostic = reply_in(about);
    const Stage stage = stage_in(folded(diagnostic.text + ' ' + about));
    const bool said = diagnostic.code != 0 || !diagnostic.text.empty();
    bool known = said && tell(recipient, diagnostic, {}, stage);
    known = known || (!about.empty() && tell(recipient, reply_in(about), {}, stage));
    known = known || tell(recipient, diagnostic, recipient.status, stage);
    // A warning's other words are about delays, whatever the cause.
    if (recipients_ == 1 && recipient.action != Action::kDelayed) known = known || find_in_words(recipient, stage);
    if (!known) tell(recipient, diagnostic, recipient.status, stage);
    if (recipients_ == 1) prefer_kinder(recipient, stage);
  }

  bool find_in_words(ReportedRecipient& recipient, Stage stage) const {
    for (const std::string_view text : {mail_.words.words, std::string_view(mail_.subject)}) {
      if (!text.empty() && tell(recipient, reply_in(text, kJudgedMax), recipient.status, stage)) return true;
    }
    return false;
  }

  void prefer_kinder(ReportedRecipient& recipient, Stage stage) const {
    if (recipient.verdict.klass != Class::kUserUnknown) return;
    ReportedRecipient other;
    other.remote_mta = recipient.remote_mta;
    const std::string before = words_before(mail_.words);
    if (before.empty() || !tell(other, {.code = 0, .enhanced = {}, .text = before}, {}, stage)) return;
    if (!is_kinder(recipient.verdict, other.verdict)) return;
    recipient.verdict = other.verdict;
    recipient.matched = std::move(other.matched);
  }

  const Mail& mail_;
  const Classifier& rules_;
  const std::size_t recipients_;
  const std::vector<Named> statements_;
};

}  // namespace

void judge(Report& report, const Mail& mail, const Classifier& rules) {
  const Judge judge(mail, rules, report.recipients.size());
  for (ReportedRecipient& recipient : report.recipients) judge.judge(recipient);
}

}  // namespace mailsbuddy::bounce
