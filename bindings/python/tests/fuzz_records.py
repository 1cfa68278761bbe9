"""fuzz_records.py spf|dmarc [LIBFUZZER-ARGUMENT...]: the readers of DNS records under Atheris, from the seeds beside this file.

scripts/fuzz runs it, as targets python_spf and python_dmarc; test_parts.py runs the seeds."""

import pathlib
import sys

from mailsbuddy import InvalidArgument, dmarc, spf

SEEDS = pathlib.Path(__file__).parent / "seeds"


def _text(term):
    """A term as it is published."""
    if term.name in ("redirect", "exp") or term.name not in spf._MECHANISMS:
        return f"{term.name}={term.value}"
    return f"{term.qualifier}{term.name}{':' if term.value else ''}{term.value}{term.cidr}"


def judge_spf(text):
    problems = spf.check(text)
    try:
        record = spf.parse(text)
    except InvalidArgument as refusal:
        assert any(each.name not in spf._UNWISE and each.detail in str(refusal) for each in problems), problems
        return
    assert all(each.name in spf._UNWISE for each in problems), problems
    ends = [f"redirect={record.redirect}"] if record.redirect else []
    again = " ".join(["v=spf1", *map(_text, record.terms), *ends])
    assert spf.parse(again) == record and again.isascii() and again.isprintable(), again
    assert len(again) <= len(text) + len(record.terms), again  # Nothing but the "+" that may be left out.


def judge_dmarc(text):
    problems = dmarc.check(text)
    try:
        record = dmarc.parse(text)
    except InvalidArgument as refusal:
        assert problems and all(each.detail in str(refusal) for each in problems), problems
        return
    assert not problems and 0 <= record.percent <= 100, record
    again = record.text()
    assert dmarc.parse(again) == record and again.isascii() and again.isprintable(), again


JUDGES = {"spf": judge_spf, "dmarc": judge_dmarc}


def main():
    import atheris

    judge = JUDGES[sys.argv.pop(1)]
    for module in (spf, dmarc):  # Their branches are what the fuzzer looks for.
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") == module.__name__ and callable(value) and not isinstance(value, type):
                setattr(module, name, atheris.instrument_func(value))
    atheris.Setup(sys.argv, lambda data: judge(data.decode("utf-8", "replace")))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
