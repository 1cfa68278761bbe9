#include "bounce/report_signs.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

struct Row {
  Sign sign;
  std::string_view phrases;  // Folded, separated by "|".
};

constexpr Row kRows[] = {
    {Sign::kFailure,
     "could not be delivered|couldn't be delivered|cannot be delivered|can not be delivered|can't be delivered|was not "
     "delivered|wasn't delivered|were not delivered|not been delivered|not delivered|undeliverable|undelivered|unable "
     "to deliver|wasn't able to deliver|not able to deliver|couldn't deliver|could not deliver|cannot "
     "deliver|can't deliver|failed permanently|delivery has failed|delivery failed|delivery failure|delivery "
     "error|delivery to the following|did not reach the following|the following addresses had|following "
     "addresses failed|following address failed|following address(es) failed|had delivery|permanent fatal errors|error "
     "delivering your mail|error has occurred while attempting to deliver|error occurred while trying to "
     "deliver|could not be sent|could not be completed|did not receive this message|did not receive "
     "your message|non-deliverable|nondeliverable|returned to sender|returned mail|returned to "
     "you|unrecoverable error|has failed due to|rejected your message|message was rejected|mail was rejected|message "
     "has been rejected|message rejected|message has been blocked|was blocked by|incorrectly constructed|transcript of "
     "session|failure reasons|failed to deliver|failed to send|failed to reach|permanent error|problem "
     "delivering|problems delivering|not listed in|address not found|message not "
     "delivered|message blocked|reason for failure|failed recipient|failed addresses|delivery "
     "attempts|being returned|bounced|did not go through|invalid user|invalid recipient|invalid "
     "address|user unknown|unknown user|no such user|unknown recipient|recipient unknown|no such recipient|mailbox "
     "unavailable|mailbox is full|over quota|user not found|not a valid|no valid recipients|not a member|not "
     "member|reject mail|bounce notification|was rejected|recipient rejected|not accepting mail|automatically "
     "rejected|did not receive a copy|was aborted|delivery problems|could not be reached|"
     // German
     "nicht zugestellt|unzustellbar|nicht \xc3\xbc"
     "bermittelt|konnte nicht ausgeliefert|zustellung fehlgeschlagen|"
     // French
     "pas pu \xc3\xaatre|impossible de remettre|impossible de distribuer|non remis|\xc3\xa9"
     "chec de la remise|n'a pas "
     "\xc3\xa9t\xc3\xa9 remis|"
     // Spanish, Portuguese, Italian
     "no se pudo entregar|no ha podido entregar|no se ha podido entregar|no pudo ser entregado|no se puede "
     "entregar|no se entreg\xc3\xb3|n\xc3\xa3o foi poss\xc3\xadvel entregar|n\xc3\xa3o p\xc3\xb4"
     "de ser "
     "entregue|n\xc3\xa3o pode ser entregue|n\xc3\xa3o foi entregue|falha na entrega|possibile recapitare|impossibile "
     "recapitare|mancata consegna|non \xc3\xa8 stato recapitato|mancato recapito|"
     // Dutch, Danish, Norwegian, Swedish, Finnish
     "niet worden afgeleverd|niet worden bezorgd|niet afgeleverd|niet bezorgd|kunne ikke leveres|ikke levert|ikke "
     "leveret|kunde inte levereras|inte levererats|ei voitu toimittaa|"
     // Polish, Czech, Hungarian, Turkish
     "nie mo\xc5\xbcna dostarczy\xc4\x87|nie zosta\xc5\x82"
     "a dostarczona|nie uda\xc5\x82o si\xc4\x99 "
     "dostarczy\xc4\x87|nie mog\xc5\x82"
     "a zosta\xc4\x87 dostarczona|nelze doru\xc4\x8dit|nebylo mo\xc5\xben\xc3\xa9 "
     "doru\xc4\x8dit|nedoru\xc4\x8d|nem k\xc3\xa9zbes\xc3\xadthet\xc5\x91|teslim edilemedi|iletilemedi|"
     // Russian
     "\xd0\xbd\xd0\xb5 \xd0\xbc\xd0\xbe\xd0\xb6\xd0\xb5\xd1\x82 \xd0\xb1\xd1\x8b\xd1\x82\xd1\x8c "
     "\xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xbb\xd0\xb5\xd0\xbd|\xd0\xbd\xd0\xb5 "
     "\xd1\x83\xd0\xb4\xd0\xb0\xd0\xbb\xd0\xbe\xd1\x81\xd1\x8c \xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xb8"
     "|\xd0\xbd\xd0\xb5\xd0\xb2\xd0\xbe\xd0\xb7\xd0\xbc\xd0\xbe\xd0\xb6\xd0\xbd\xd0\xbe "
     "\xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xb8|\xd0\xbd\xd0\xb5 "
     "\xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xbb\xd0\xb5\xd0\xbd|\xd0\xbd\xd0\xb5\xd0\xb4\xd0\xbe\xd1\x81"
     "\xd1\x82\xd0\xb0\xd0\xb2\xd0\xbb\xd0\xb5\xd0\xbd|"
     // Japanese
     "\xe9\x85\x8d\xe4\xbf\xa1\xe3\x81\xa7\xe3\x81\x8d|\xe9\x85\x8d\xe9\x80\x81\xe3\x81\xa7\xe3\x81\x8d|"
     "\xe9\x80\x81\xe4"
     "\xbf\xa1\xe3\x81\xa7\xe3\x81\x8d\xe3\x81\xbe\xe3\x81\x9b|\xe5\xb1\x8a\xe3\x81\x91\xe3\x82\x89\xe3\x82\x8c\xe3\x81"
     "\xbe\xe3\x81\x9b|\xe3\x81\x8a\xe5\xb1\x8a\xe3\x81\x91\xe3\x81\xa7\xe3\x81\x8d|"
     "\xe9\x85\x8d\xe4\xbf\xa1\xe4\xb8\x8d"
     "\xe8\x83\xbd|\xe9\x85\x8d\xe4\xbf\xa1\xe3\x81\xab\xe5\xa4\xb1\xe6\x95\x97|"
     "\xe3\x83\xaa\xe3\x82\xb9\xe3\x83\x88\xe3"
     "\x81\xab\xe3\x81\x82\xe3\x82\x8a\xe3\x81\xbe\xe3\x81\x9b|\xe5\xad\x98\xe5\x9c\xa8\xe3\x81\x97\xe3\x81\xaa\xe3\x81"
     "\x84|"
     // Chinese, Korean
     "\xe6\x97\xa0\xe6\xb3\x95\xe6\x8a\x95\xe9\x80\x92|\xe6\x97\xa0\xe6\xb3\x95\xe9\x80\x81\xe8\xbe\xbe|"
     "\xe9\x80\x80\xe4"
     "\xbf\xa1|\xe6\x8a\x95\xe9\x80\x92\xe5\xa4\xb1\xe8\xb4\xa5|\xe7\x84\xa1\xe6\xb3\x95\xe5\x82\xb3\xe9\x80\x81|"
     "\xec\xa0"
     "\x84\xeb\x8b\xac\xed\x95\xa0 \xec\x88\x98|\xeb\xb0\x98\xec\x86\xa1"},
    {Sign::kFailureTitle,
     "failure notice|failure delivery|mail system error|delivery status notification|delivery notification|delivery "
     "report|delivery status|delivery problem|mail failure|mail delivery fail|message delivery fail|mail delivery "
     "problem|mail error|message you sent blocked|failed mail|undeliver|returned message|notification d'|mail "
     "delivery status|status notification|error sending|delivery notice|mail status report|mail delivery "
     "error|nondelivery|non-delivery|"
     "not member article|reject mail|loop alert|loop back warning|security alert|bounce notification|postmaster "
     "notify|warning: could not send|notice: mail delivery status|unbekannte|mailzustellung|deferred mail"},
    {Sign::kDelay,
     "warning message only|warning only|just a warning|has been postponed|advisory-only|no action is required on your "
     "part|has been delayed|is delayed|delayed mail|still being retried|will be "
     "retried|be retried until|will continue to try|will keep trying|continue trying|will retry|keep trying to "
     "deliver|not yet been delivered|not yet delivered|could not send message for past|(delay)|delivery "
     "delayed|delivery delay|message delayed|delayed for more than|temporarily delayed|delivery attempts will "
     "continue|could not be delivered immediately|delayed delivery|delivery is delayed|delivery incomplete|not been "
     "delivered yet|verz\xc3\xb6gert|retard\xc3\xa9|retrasad|demorad|\xe9\x81\x85\xe5\xbb\xb6"},
    {Sign::kFinal,
     "given up|giving up|permanent error|failed permanently|permanent fatal errors|permanent failure|no further "
     "attempts|will "
     "not be retried|not going to try again|could not be delivered for"},
    {Sign::kSuccess,
     "successfully delivered|delivered successfully|successful mail delivery|(success)|successful delivery|delivery "
     "successful|was successfully|has been successfully|successfully relayed|was delivered to|has been delivered "
     "to|relayed "
     "to the following|successfully sent"},
    {Sign::kAutoReply,
     "out of office|out of the office|out-of-office|ooo:|automatic reply|auto reply|auto-reply|autoreply|auto "
     "response|auto-response|autoresponse|autoresponder|auto-responder|automated reply|automated response|automatic "
     "response|automatically generated reply|vacation|holiday notification|on holiday|annual leave|on leave|away from "
     "my mail|away from the office|away from office|i am away|absence|"
     "abwesenheit|abwesend|automatische antwort|automatische antwort|urlaub|nicht im b\xc3\xbcro|automatische "
     "reaktie|automatisch antwoord|automatisch bericht|afwezig|niet aanwezig|r\xc3\xa9ponse automatique|absence "
     "du bureau|absent du bureau|message d'absence|en cong\xc3\xa9|respuesta autom\xc3\xa1tica|fuera de la "
     "oficina|fuera de oficina|ausente|de vacaciones|resposta autom\xc3\xa1tica|fora do escrit\xc3\xb3rio|aus\xc3\xaa"
     "ncia|em f\xc3\xa9rias|risposta automatica|fuori sede|fuori ufficio|assente|automatyczna "
     "odpowied|odpowied\xc5\xba automatyczna|autoodpowied|poza biurem|nieobecno|automatick\xc3\xa1 "
     "odpov|nep\xc5\x99\xc3\xadtomn|mimo kancel|automatiskt svar|autosvar|fr\xc3\xa5nvaro|automatisk svar|ikke "
     "p\xc3\xa5 "
     "kontoret|frav\xc3\xa6r|poissaolo|automaattinen vastaus|otomatik yan\xc4\xb1t|automatikus v\xc3\xa1lasz|r\xc4\x83s"
     "puns automat|"
     // Russian: autoreply, automatic reply, out of office
     "\xd0\xb0\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82|\xd0\x90\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbe"
     "\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82|\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbc\xd0\xb0\xd1\x82\xd0\xb8\xd1\x87\xd0\xb5\xd1\x81"
     "\xd0\xba\xd0\xb8\xd0\xb9 "
     "\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82|\xd0\x90\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbc\xd0\xb0"
     "\xd1\x82\xd0\xb8\xd1\x87\xd0\xb5\xd1\x81\xd0\xba\xd0\xb8\xd0\xb9 "
     "\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82|\xd0\xb2"
     "\xd0\xbd\xd0\xb5 \xd0\xbe\xd1\x84\xd0\xb8\xd1\x81\xd0\xb0|"
     // Greek, Hebrew
     "\xce\xb1\xcf\x85\xcf\x84\xcf\x8c\xce\xbc\xce\xb1\xcf\x84\xce\xb7 \xce\xb1\xcf\x80\xce\xac\xce\xbd\xcf\x84\xce\xb7"
     "\xcf\x83\xce\xb7|\xd7\xaa\xd7\xa9\xd7\x95\xd7\x91\xd7\x94 "
     "\xd7\x90\xd7\x95\xd7\x98\xd7\x95\xd7\x9e\xd7\x98\xd7\x99"
     "\xd7\xaa|"
     // Japanese, Chinese, Korean: automatic reply, automatic answer, absent
     "\xe8\x87\xaa\xe5\x8b\x95\xe8\xbf\x94\xe4\xbf\xa1|\xe8\x87\xaa\xe5\x8b\x95\xe5\xbf\x9c\xe7\xad\x94|"
     "\xe4\xb8\x8d\xe5"
     "\x9c\xa8|\xe8\x87\xaa\xe5\x8a\xa8\xe5\x9b\x9e\xe5\xa4\x8d|\xe8\x87\xaa\xe5\x8a\xa8\xe7\xad\x94\xe5\xa4\x8d|"
     "\xe8\x87"
     "\xaa\xe5\x8b\x95\xe5\x9b\x9e\xe8\xa6\x86|\xec\x9e\x90\xeb\x8f\x99 "
     "\xed\x9a\x8c\xec\x8b\xa0|\xeb\xb6\x80\xec\x9e\xac"
     "\xec\xa4\x91"},
    {Sign::kAutoReplyText,
     "i am out of the office|i'm out of the office|i am currently out of|i will be out of|i am on vacation|i'm on "
     "vacation|i am on leave|i am currently away|i will be away|i am away from|this is an automated response|this is "
     "an "
     "automatic reply|this is an automated reply|this is an auto-reply|this is an autoreply|this is an auto-generated "
     "response|automated response to your|ich bin bis|ich bin derzeit nicht|ich bin zurzeit nicht|ich bin vom|je suis "
     "absent|je serai absent|actuellement absent|estar\xc3\xa9 fuera|estoy fuera|estarei ausente|sono "
     "assente|sar\xc3\xb2 "
     "assente|ik ben afwezig|jestem nieobecn|b\xc4\x99"
     "d\xc4\x99 nieobecn"},
    {Sign::kChallenge,
     "challenge/response|challenge-response|confirm that you sent|verification of your message|awaiting "
     "verification|requires you to verify|you are a real person|you are human|prove you are|is being held "
     "until|message "
     "is being held|boxbe|spamarrest|spam arrest|tmda|sender verification|verify your email so|to deliver your message "
     "please|please confirm your message|please confirm your email to|confirm your e-mail so|mailinblack|whitelist "
     "request|not yet been accepted|approved senders|allowed senders|earthlink spamblocker|spamblocker|knowspam|click "
     "the link below to complete the verification|authorize yourself"},
    {Sign::kUnsubscribe,
     "unsubscribe|remove|remove me|please remove|opt-out|opt out|stop|take me "
     "off|abmelden|abmeldung|abbestellen|austragen|"
     "d\xc3\xa9sinscription|d\xc3\xa9sinscrire|d\xc3\xa9sabonner|se "
     "d\xc3\xa9sabonner|desabonner|desinscription|baja|dar "
     "de baja|darme de baja|cancelar suscripci\xc3\xb3n|desuscribir|cancelar "
     "inscri\xc3\xa7\xc3\xa3o|descadastrar|remover|"
     "annulla iscrizione|disiscrizione|disiscrivimi|cancellami|afmelden|uitschrijven|wypisz|rezygnacja|odhl\xc3\xa1sit|"
     "avregistrera|avsluta prenumeration|afmeld|avmeld|peruuta tilaus|abonelikten|leiratkoz|dezabonare|"
     "\xd0\xbe\xd1\x82\xd0\xbf\xd0\xb8\xd1\x81|\xd0\x9e\xd1\x82\xd0\xbf\xd0\xb8\xd1\x81|"
     "\xe9\x85\x8d\xe4\xbf\xa1\xe5\x81"
     "\x9c\xe6\xad\xa2|\xe9\x80\x80\xe8\xae\xa2|\xe9\x80\x80\xe8\xa8\x82|"
     "\xec\x88\x98\xec\x8b\xa0\xea\xb1\xb0\xeb\xb6\x80"},
};

// A line that, its dashes off, begins with one of these. "$": and nothing follows but dashes, colons and dots.
constexpr std::string_view kOriginalFollows =
    "below this line is a copy|below the next line is a copy|original message follows|original "
    "message$|original message headers|original message header|original mail follows|original mail$|enclosed are "
    "the original|enclosed is a copy|enclosed is the original|this is a copy of|the header of the original|the headers "
    "of the original|the body of the "
    "original|the original message follows|the original message is|message header follows|message headers "
    "follow|message header$|message headers$|unsent message|original headers|returned message|message text "
    "follows|text of message follows|your message follows|your original message|the first |old message$|session "
    "transcript$|below is a copy|included is "
    "a "
    "copy|a copy of your message|a copy of the original|a copy of the message|the text of your message|text of your "
    "message|message contents|contents of your message|start of returned message|header of returned "
    "message|undelivered message|rejected message|failed message|copy of the message|copy of original|original "
    "text follows|original text$|message body|message follows|your message$ |header follows|headers follow|beginning "
    "of "
    "original|begin original|attached is your|attached is a copy|the following is a copy|the message you "
    "sent was|urspr\xc3\xbcngliche nachricht|mensaje original|message d'origine|mensagem original|messaggio originale|"
    "oprindelig meddelelse|oorspronkelijk bericht|\xd0\xba\xd0\xbe\xd0\xbf\xd0\xb8\xd1\x8f";
// The beginning of a header section of a message that was on its way.
constexpr std::string_view kTraceFields =
    "received: |return-path: |x-received: |dkim-signature: |delivered-to: |x-originalarrivaltime: ";

// Phrases by their first three bytes.
class PhraseIndex {
 public:
  void insert(std::string_view phrases, std::uint8_t id) {
    while (!phrases.empty()) {
      const std::string_view phrase = phrases.substr(0, phrases.find('|'));
      if (phrase.size() >= 3) buckets_[bucket(phrase)].push_back({phrase, id});
      phrases.remove_prefix(std::min(phrases.size(), phrase.size() + 1));
    }
  }

  // Calls `on(phrase, id)` for each phrase that `text` begins with.
  template <class On>
  void starts(std::string_view text, On on) const {
    if (text.size() < 3) return;
    for (const Entry& entry : buckets_[bucket(text)]) {
      if (text.starts_with(entry.phrase.ends_with('$') ? entry.phrase.substr(0, entry.phrase.size() - 1)
                                                       : entry.phrase)) {
        on(entry.phrase, entry.id);
      }
    }
  }

 private:
  struct Entry {
    std::string_view phrase;
    std::uint8_t id;
  };
  static std::size_t bucket(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(text[i])); };
    return (byte(0) * 61 + byte(1) * 31 + byte(2)) % kBuckets;
  }
  static constexpr std::size_t kBuckets = 1021;
  std::array<std::vector<Entry>, kBuckets> buckets_;
};

const PhraseIndex& sign_index() {
  static const PhraseIndex index = [] {
    PhraseIndex made;
    for (const Row& row : kRows) made.insert(row.phrases, static_cast<std::uint8_t>(row.sign));
    return made;
  }();
  return index;
}

const PhraseIndex& original_index() {
  static const PhraseIndex index = [] {
    PhraseIndex made;
    made.insert(kOriginalFollows, 0);
    made.insert(kTraceFields, 1);
    return made;
  }();
  return index;
}

bool is_word(char c) noexcept { return ascii::is_alnum(c) || c == '\''; }
bool is_decoration(char c) noexcept { return std::string_view("-=_*#>~+<|. \t").find(c) != std::string_view::npos; }

}  // namespace

std::string folded(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (const char c : text) {
    if (!ascii::is_space(c)) {
      lower += ascii::to_lower(c);
    } else if (!lower.empty() && lower.back() != ' ') {
      lower += ' ';
    }
  }
  return lower;
}

Signs signs_in(std::string_view text) {
  Signs signs;
  const PhraseIndex& index = sign_index();
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (is_word(text[at]) && at > 0 && is_word(text[at - 1])) continue;
    if (text[at] == ' ') continue;
    index.starts(text.substr(at), [&](std::string_view, std::uint8_t id) { signs.set(id); });
  }
  return signs;
}

bool begins_with_sign(std::string_view text, Sign sign) {
  bool found = false;
  sign_index().starts(text, [&](std::string_view phrase, std::uint8_t id) {
    const bool ends = text.size() == phrase.size() || !is_word(text[phrase.size()]) || !is_word(phrase.back());
    found = found || (ends && id == static_cast<std::uint8_t>(sign));
  });
  return found;
}

bool announces_original(std::string_view line) {
  while (!line.empty() && is_decoration(line.front())) line.remove_prefix(1);
  constexpr std::size_t kLookedAt = 64;
  const std::string start = folded(line.substr(0, kLookedAt));
  bool found = false;
  original_index().starts(start, [&](std::string_view phrase, std::uint8_t) {
    if (!phrase.ends_with('$')) {
      found = true;
      return;
    }
    const std::string_view rest = std::string_view(start).substr(phrase.size() - 1);
    found = found || std::ranges::all_of(rest, [](char c) { return is_decoration(c) || c == ':'; });
  });
  return found;
}

}  // namespace mailsbuddy::bounce
