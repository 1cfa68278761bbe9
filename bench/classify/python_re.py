"""python_re.py REPLIES SECONDS RULES.json: the same rules, compiled with Python's re, tried one after another."""

import json
import re
import sys
import time


def parse(line):
    found = re.match(r"(\d{3})[ -]?", line)
    code = int(found[1]) if found else 0
    text = line[found.end():] if found else line
    status = re.search(rf"(?<![\w.]){code // 100 or 5}\.(\d{{1,3}})\.(\d{{1,3}})(?![\w.]\d)", text)
    return code or 599, code == 0, (int(status[1]), int(status[2])) if status else None, text


def decide(rules, reply):
    code, codeless, status, text = reply
    for rule, provider, first, last, needs_none, subject, detail_first, detail_last, regex in rules:
        if provider != "-" or (needs_none and not codeless) or (first and not first <= code <= last):
            continue
        if subject >= 0 and not (status and status[0] == subject and detail_first <= status[1] <= detail_last):
            continue
        if regex is None or regex.search(text):
            return rule
    return ""


def main():
    replies_file, seconds, rules_file = sys.argv[1:]
    with open(rules_file, encoding="utf-8") as file:
        rules = [(*rule[:-1], re.compile(rule[-1], re.IGNORECASE) if rule[-1] else None) for rule in json.load(file)]
    with open(replies_file, encoding="utf-8") as file:
        replies = [parse(line.rstrip("\n")) for line in file]
    begun, judged, spent = time.process_time(), 0, 0.0
    while spent < float(seconds):
        decided = [decide(rules, reply) for reply in replies]
        judged += len(replies)
        spent = time.process_time() - begun
    print(json.dumps({"replies": judged, "cpu_seconds": spent, "decided": decided}))


if __name__ == "__main__":
    main()
