"""Words of hygiene.py: providers' domains, functions that have mailboxes, slips of the hand."""

#: Where a slip is suggested to be one of these, the likelier first.
SUGGESTED_DOMAINS = (
    "gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "googlemail.com", "comcast.net", "verizon.net",
    "sbcglobal.net", "bellsouth.net", "hotmail.co.uk", "yahoo.co.uk", "hotmail.fr", "yahoo.fr", "hotmail.de", "yahoo.de",
    "outlook.de", "outlook.fr", "hotmail.it", "yahoo.it", "libero.it", "orange.fr", "wanadoo.fr", "laposte.net", "t-online.de",
    "freenet.de", "yahoo.es", "hotmail.es", "yahoo.co.in", "yahoo.com.br", "btinternet.com", "protonmail.com", "yandex.ru",
    "rambler.ru",
)

#: Short or like one another: right as they stand, and never suggested.
KNOWN_DOMAINS = frozenset(SUGGESTED_DOMAINS) | {
    "aol.com", "att.net", "me.com", "mac.com", "msn.com", "live.com", "live.co.uk", "live.fr", "live.nl", "mail.com", "email.com",
    "ymail.com", "gmx.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de", "free.fr", "sfr.fr", "mail.ru", "bk.ru", "list.ru",
    "inbox.ru", "ya.ru", "qq.com", "163.com", "126.com", "sina.com", "naver.com", "daum.net", "cox.net", "fastmail.com", "hey.com",
    "proton.me", "pm.me", "zoho.com", "tiscali.it", "virgilio.it", "alice.it", "seznam.cz", "wp.pl", "o2.pl", "onet.pl",
    "interia.pl", "uol.com.br", "bol.com.br", "terra.com.br", "yahoo.ca", "yahoo.co.jp", "yahoo.com.au", "yahoo.com.mx",
    "yahoo.com.ar", "hotmail.ca", "hotmail.nl", "hotmail.be", "outlook.es", "outlook.it", "rocketmail.com", "rediffmail.com",
    "bigpond.com", "optusnet.com.au", "sky.com", "talktalk.net", "ntlworld.com", "rogers.com", "shaw.ca", "telus.net",
    "sympatico.ca", "bluewin.ch", "ziggo.nl", "kpnmail.nl", "planet.nl", "telenet.be", "skynet.be", "charter.net",
    "earthlink.net", "juno.com", "optonline.net", "frontier.com", "windstream.net", "tutanota.com", "posteo.de", "mailbox.org",
}

#: No such top-level domains, or such as are hardly ever meant.
TOP_LEVEL_TYPOS = {"con": "com", "cmo": "com", "ocm": "com", "comm": "com", "coom": "com", "vom": "com", "xom": "com", "cim": "com",
                   "copm": "com", "nte": "net", "ner": "net", "nett": "net", "rog": "org", "ogr": "org"}

#: Local parts of RFC 2142, and others that are read by nobody, or by many.
ROLES = frozenset((
    "abuse", "accounting", "accounts", "admin", "administrator", "all", "billing", "board", "career", "careers", "compliance",
    "contact", "customerservice", "devnull", "dns", "enquiries", "everyone", "feedback", "finance", "ftp", "hello", "help",
    "helpdesk", "hostmaster", "hr", "info", "inquiries", "investorrelations", "invoice", "invoices", "it", "jobs", "kontakt",
    "legal", "list", "list-request", "mail", "mailer-daemon", "maildaemon", "marketing", "media", "news", "newsletter", "no-reply",
    "noc", "noreply", "null", "office", "orders", "payroll", "phish", "phishing", "postmaster", "press", "privacy", "purchasing",
    "recruiting", "registrar", "root", "sales", "security", "service", "services", "spam", "staff", "subscribe", "support",
    "sysadmin", "tech", "undisclosed-recipients", "unsubscribe", "usenet", "uucp", "webmaster", "www",
))
