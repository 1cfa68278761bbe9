from mailsbuddy import bounce

verdict = bounce.classify("452 4.2.2 The email account that you tried to reach is over quota", provider="google")
print(verdict.klass, verdict.permanence, verdict.reaction)  # mailbox_full soft retry
assert verdict.klass == "mailbox_full"

# A column at a time, without the GIL: for logs of millions.
verdicts = bounce.classify_many(["550 5.1.1 No such user", "421 4.7.0 Try again later", "250 2.0.0 Ok"])
print(verdicts.columns())
assert len(verdicts) == 3 and verdicts.klass[0] == "user_unknown"
