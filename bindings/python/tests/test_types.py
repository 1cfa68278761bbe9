"""The types: mypy --strict over the package, and the stubs of the native half against what is really there."""

import ast
import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGE = HERE.parent / "mailsbuddy"
STUBS = sorted((PACKAGE / "_core").glob("*.pyi"))


def run(*command, paths=()):
    """Without the sanitizers' libraries, which mypy's own native modules take for an attack."""
    environment = dict(os.environ, MYPYPATH=os.pathsep.join(map(str, (HERE.parent, *paths))))
    if command[0] == "mypy":
        environment.pop("LD_PRELOAD", None)
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, env=environment,
                          timeout=200)


def test_the_package_is_strictly_typed(tmp_path):
    done = run("mypy", "--strict", f"--cache-dir={tmp_path}", "--python-version=3.10", str(PACKAGE))
    assert done.returncode == 0, done.stdout + done.stderr


USERS = {  # Programs as people write them, and how strictly each is looked at. What is wrong on purpose must be refused.
    "tests": ("--warn-unused-ignores", [HERE]),
    "examples": ("--check-untyped-defs", [ROOT / "docs/python/examples", ROOT / "bench/python"]),
}
# Of these packages nothing is read: it takes long, and some have no types.
CONFIGURATION = """[mypy]
[mypy-django.*,matplotlib.*,numpy.*,pandas.*,polars.*,pyarrow.*,pytest.*,_pytest.*,uvloop.*,aiosmtplib.*,atheris.*]
follow_imports = skip
ignore_missing_imports = True
"""


@pytest.mark.parametrize("users", USERS)
def test_what_people_write_is_well_typed(users, tmp_path):
    strictness, folders = USERS[users]
    files = [str(each) for folder in folders for each in folder.glob("*.py") if each.name != "workload.py"]  # Of another package.
    (tmp_path / "mypy.ini").write_text(CONFIGURATION)
    done = run("mypy", strictness, f"--config-file={tmp_path / 'mypy.ini'}", f"--cache-dir={tmp_path}", *files, paths=[ROOT / "scripts"])
    assert files and done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_have_what_is_there():
    done = run("mypy.stubtest", "mailsbuddy._core", "--concise")
    # pybind11's metaclass, and the __init__ of classes without a constructor, which raises.
    known = re.compile(r"metaclass differs|__init__ is inconsistent, stub does not have \*args|^$|"
                       r"_pybind11_conduit_v1_|__pybind11_native_enum__")
    wrong = [line for line in (done.stdout + done.stderr).splitlines() if not known.search(line)]
    assert not wrong, "\n".join(wrong)


def stubbed(stub):
    """(class or None, function definition) of each function in a stub."""
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield None, node
        elif isinstance(node, ast.ClassDef):
            yield from ((node.name, each) for each in node.body if isinstance(each, ast.FunctionDef))


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.stem)
def test_the_stubs_have_the_real_parameters(stub):
    """pybind11 writes its signatures into docstrings: the names of parameters there are those of the stubs."""
    module = importlib.import_module("mailsbuddy._core" if stub.stem == "__init__" else f"mailsbuddy._core.{stub.stem}")
    for owner, function in stubbed(stub):
        if any(isinstance(each, ast.Name) and each.id == "property" for each in function.decorator_list):
            continue
        real = getattr(getattr(module, owner) if owner else module, function.name)
        signature = re.match(rf"{re.escape(function.name)}\((.*)\) ->", (real.__doc__ or "").splitlines()[0])
        if not signature or "*args" in signature[1]:
            continue  # Inherited from object, or overloaded.
        there = re.findall(r"(?:^|, )(?:\*, )?(\w+):", signature[1])
        arguments = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        anonymous = [re.sub(r"^arg\d+$", "?", name) for name in there]
        expected = ["?" if got == "?" else want for want, got in zip(arguments, anonymous)] + arguments[len(anonymous):]
        assert [name for name in anonymous if name != "self"] == [name for name in expected if name != "self"], \
            f"{stub.stem}.{owner or ''}.{function.name}: {signature[0]}"
