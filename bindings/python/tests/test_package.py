"""The package itself: versions, the error tree, what is refused before anything is opened."""

import pathlib
import pickle
import subprocess
import sys
import traceback

import mailsbuddy as mb
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_version_is_that_of_the_library():
    assert f"project(mailsbuddy VERSION {mb.__version__} " in (ROOT / "CMakeLists.txt").read_text()
    info = mb.build_info()
    assert info["version"] == mb.__version__
    assert str(info["python"]).startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert str(info["openssl"]).startswith("OpenSSL 3")


def test_the_module_says_what_it_was_built_with():
    run = subprocess.run([sys.executable, "-m", "mailsbuddy"], capture_output=True, text=True, check=False, timeout=60)
    lines = dict(line.split(": ", 1) for line in run.stdout.splitlines())
    assert lines["mailsbuddy"] == mb.__version__ and lines["rocksdb"] and "Python 3." in lines["runs on"], run.stderr
    wrong = subprocess.run([sys.executable, "-m", "mailsbuddy", "send"], capture_output=True, text=True, check=False, timeout=60)
    assert wrong.returncode == 2 and "unrecognized arguments: send" in wrong.stderr


def test_errors_are_one_tree():
    with pytest.raises(mb.InvalidArgument) as raised:
        mb.Address("ann..lee@example.net")
    error = raised.value
    assert isinstance(error, (mb.Error, ValueError))
    assert error.code == "invalid_argument" and error.remedy
    assert "dot" in error.detail and error.detail in str(error)
    subclasses = mb.Error.__subclasses__()
    assert len({each.code for each in subclasses}) == len(subclasses) == 9


def test_a_traceback_names_the_class_as_people_do_and_ends_with_the_remedy():
    for error in (mb.IoError("spool: no room"), mb.NotFound("no x", remedy="Look elsewhere."), pickle.loads(pickle.dumps(mb.Closed("the engine is closed")))):
        lines = "".join(traceback.format_exception_only(error)).splitlines()
        assert lines[0] == f"mailsbuddy.{type(error).__name__}: {error}"
        assert lines[1:] == ([error.remedy] if sys.version_info >= (3, 11) else [])


def test_repr_names_nobody():
    address = mb.Address("ann@example.net")
    assert str(address) == "ann@example.net" and "ann" not in repr(address)
    assert "ann" not in repr(mb.NotFound("no job for ann@example.net"))


def test_addresses_compare_as_their_text():
    assert mb.Address("ann@EXAMPLE.net") == mb.Address("ann@example.net")
    assert len({mb.Address("ann@example.net"), mb.Address("ann@example.net"), mb.Address("bob@example.net")}) == 2
    assert mb.Address("ann@example.net") != "ann@example.net"


def test_a_key_that_is_none(tmp_path):
    with pytest.raises(mb.IoError, match="No such file"):
        mb.KeyRing({"brand.example": ("s1", tmp_path / "none.pem")})
    with pytest.raises(mb.InvalidArgument, match="brand.example"):
        mb.KeyRing({"brand.example": ("s1", b"no key at all")})


def test_a_template_says_where_it_is_wrong():
    with pytest.raises(mb.InvalidArgument, match="text:1:"):
        mb.Template.parse_eml("Subject: Hello\n\n{% if name %}never closed\n")
    template = mb.Template.parse_eml("Subject: Hello {{ name }}\n\nDear {{ name }} of {{ city }}\n")
    assert sorted(template.field_names) == ["city", "name"]


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_subinterpreters_are_refused(kind):
    if sys.version_info >= (3, 13):
        code = f"""if True:
            import _interpreters as s
            failed = s.run_string(s.create({kind!r}), 'import mailsbuddy')
            sys.exit(failed and failed.formatted)"""
    else:
        code = f"import _xxsubinterpreters as s; s.run_string(s.create(isolated={kind == 'isolated'}), 'import mailsbuddy')"
    run = subprocess.run([sys.executable, "-c", "import sys\n" + code], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 1 and "ImportError" in run.stderr and "in subinterpreters" in run.stderr, run.stderr
