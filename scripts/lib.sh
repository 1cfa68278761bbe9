# What the scripts share. Sourced, never run: `. "$(dirname "$0")/lib.sh"`.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(nproc)}  # Compilers and tests at once.
cd "$ROOT"

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints the comment at the top of the calling script, which is its manual.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" | sed '/^set /d'; }

# Debian's own Python sees Debian's packages; another one may stand before it on the PATH.
if [ -x /usr/bin/python3 ]; then python3() { /usr/bin/python3 "$@"; }; fi

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "needs root to run: $*"
  fi
}

# step "What it does" COMMAND...: says what is being done, does it, says how long it took. Never in a condition or with
# `||`: bash would then go on after an error inside.
step() {
  local what=$1 start=$SECONDS
  shift
  say "==> $what"
  "$@"
  say "    done in $((SECONDS - start)) s"
}

# quietly LOG COMMAND...: on a terminal as it is; elsewhere its output goes to build/logs/LOG, shown if the script fails
# there. Never in a condition, as above.
LOG=
quietly() {
  LOG=$ROOT/build/logs/$1
  shift
  mkdir -p "$(dirname "$LOG")"
  if [ -t 1 ]; then LOG=; "$@"; else "$@" >"$LOG" 2>&1; fi
  LOG=
}

# A script that has something to tidy up or to say at its end, also after an error, defines its own.
at_exit() { :; }
finish() {
  local status=$?
  trap - EXIT
  if [ $status != 0 ] && [ -s "$LOG" ]; then
    tail -n 80 "$LOG"
    say "    FAILED; all of its output: $LOG"
  fi
  at_exit
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# build PRESET [TARGET...]: configures a preset of CMakePresets.json and builds it, or only the targets named.
build() {
  local preset=$1 targets=()
  shift
  [ $# = 0 ] || targets=(--target "$@")
  step "configure: preset $preset, in build/$preset" quietly "configure-$preset.log" cmake --preset "$preset"
  step "build: preset $preset${*:+ ($*)}, $JOBS at once" quietly "build-$preset.log" \
    cmake --build --preset "$preset" --parallel "$JOBS" "${targets[@]}"
}
