"""send_mailsbuddy.py PORT MESSAGES CONNECTIONS [SPOOL]: a campaign through the engine; SPOOL: durable in that folder, else in memory."""

import sys

import mailsbuddy as mb

import mail

EML = f"Subject: {mail.SUBJECT.format('{{ name }}')}\n\n" + mail.text_with("{{ name }}", "{{ city }}", "{{ points }}")


def main():
    port, count, connections, *spool = sys.argv[1:]
    campaign = mb.Campaign("spring", content=mb.Template.parse_eml(EML), sender=f"News <{mail.SENDER}>",
                           return_path_domain="bounce.sender.example", list_id=mail.LIST_ID,
                           unsubscribe_url="https://sender.example/u/{{ mb_token }}")
    limits = f"* ip messages_per_connection=1000000000 messages_per_second=0 connections={connections}"
    with mb.Engine.open(egress=[mb.EgressIp("127.0.0.1", "bench.sender.example")], relays={"*": f"smtp://127.0.0.1:{port}"},
                        tls="none", limits=limits, spool_dir=spool[0] if spool else None) as engine, mail.Clock() as clock:
        handle = engine.start(campaign, mail.rows(int(count)))
        delivered = sum(event.kind == "delivered" for batch in handle.events().batches() for event in batch)
    assert delivered == int(count), f"{delivered} of {count} delivered"
    clock.print()


main()
