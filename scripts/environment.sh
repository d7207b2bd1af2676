# Sourced by scripts/harden and scripts/test: makes the kit's virtual environment once, then stays out of the way.
#
#   prepare EXTRAS     e.g. prepare tools, prepare tools,dev; sets $python
#
# Safe to run twice at once (a lock), again after an interruption (a stamp is written last, and an environment that
# was never finished is made anew), and from any folder. Never deletes a folder that it did not make.

say() { printf 'harden: %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 2; }

# Prints the newest suitable interpreter; the version test is the interpreter's own.
find_python() {
    local candidate
    for candidate in "${HARDEN_PYTHON:-python3}" python3.13 python3.12 python3.11 python3.10 python3.14; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
        [ -n "${HARDEN_PYTHON:-}" ] && break
    done
    local found=
    if command -v "${HARDEN_PYTHON:-python3}" >/dev/null 2>&1; then
        found=$("${HARDEN_PYTHON:-python3}" --version 2>&1 | head -n 1 || true)
    fi
    fail "Python 3.10 or newer is needed, ${HARDEN_PYTHON:-python3} is: ${found:-not there};" \
        "install one, or name it with HARDEN_PYTHON=/path/to/python3"
}

is_ours() { [ -e "$1/.harden-made" ]; }
was_interrupted() { is_ours "$1" && ! compgen -G "$1/.harden-tools*" >/dev/null; }

start_folder() { # start_folder FOLDER
    if [ -e "$1" ] && [ -n "$(ls -A "$1" 2>/dev/null || echo unreadable)" ] && ! is_ours "$1"; then
        fail "$1 is there and was not made by harden; remove it, or set HARDEN_VENV to a folder that does not exist"
    fi
    rm -rf "$1"
    mkdir "$1" && : >"$1/.harden-made"
}

make_venv() { # make_venv PYTHON FOLDER
    start_folder "$2"
    say "making $2 with $("$1" --version)"
    local output
    if output=$("$1" -m venv "$2" 2>&1); then return; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        local package
        package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        say "installing $package with apt-get"
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$package"; } >/dev/null 2>&1 || true
        start_folder "$2"
        if output=$("$1" -m venv "$2" 2>&1); then return; fi
    fi
    rm -rf "$2"
    fail "cannot make a virtual environment in $2: $(printf '%s' "$output" | tail -n 1);" \
        "install python3-venv, or set HARDEN_VENV to a folder you can write to"
}

# Runs a command with its output in a file, showing on a terminal that something goes on.
with_dots() { # with_dots LOG COMMAND...
    local log=$1 job
    shift
    "$@" >"$log" 2>&1 </dev/null &
    job=$!
    trap 'kill $job 2>/dev/null; exit 130' INT TERM
    if [ -t 2 ]; then
        while kill -0 $job 2>/dev/null; do
            sleep 0.5
            printf '.' >&2
        done
        printf '\n' >&2
    fi
    local code=0
    wait $job || code=$?
    trap - INT TERM
    return $code
}

# Prints the requirements of setup.cfg, of the kit itself and of the extras.
requirements() { # requirements PYTHON EXTRAS
    "$1" - "$root/setup.cfg" "$2" <<'PY'
import configparser, sys
config = configparser.ConfigParser()
config.read(sys.argv[1])
lists = [config["options"]["install_requires"]]
lists += [config["options.extras_require"][extra] for extra in sys.argv[2].split(",")]
print("\n".join(line.strip() for text in lists for line in text.splitlines() if line.strip()))
PY
}

install_into() { # install_into VENV EXTRAS STAMP
    local base log wanted
    base=$(find_python)
    log="$1.log"
    if was_interrupted "$1" ||
        ! "$1/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        make_venv "$base" "$1"
    fi
    wanted=$(requirements "$base" "$2")
    say "installing $(printf '%s\n' "$wanted" | wc -l) packages and what they need (once; under a minute)"
    # shellcheck disable=SC2086 -- one word a requirement
    with_dots "$log" "$1/bin/python" -m pip install --disable-pip-version-check $wanted ||
        fail "pip could not install the kit's packages: $(grep -i error "$log" | tail -n 1) (log: $log)"
    rm -f "$log"
    local extras
    for extras in "$2" "${2%%,*}"; do printf '%s\n' "$3" >"$1/.harden-$extras"; done # tools,dev has all of tools
}

is_ready() { # is_ready EXTRAS STAMP
    [ -x "$python" ] && [ "$(cat "$venv/.harden-$1" 2>/dev/null)" = "$2" ]
}

prepare() { # prepare EXTRAS
    local venv stamp
    venv=${HARDEN_VENV:-$root/.venv}
    while [ "$venv" != / ] && [ "$venv" != "${venv%/}" ]; do venv=${venv%/}; done
    python=$venv/bin/python
    stamp="$root $(cksum <"$root/setup.cfg")"
    is_ready "$1" "$stamp" && return
    [[ $OSTYPE == linux* ]] || fail "this needs Linux (it reads /proc); on $OSTYPE run it in a Linux container or VM"
    mkdir -p "$(dirname "$venv")" 2>/dev/null || fail "cannot write to $(dirname "$venv"); set HARDEN_VENV to a folder you can write to"
    (: >>"$venv.lock") 2>/dev/null || fail "cannot write to $(dirname "$venv"); set HARDEN_VENV to a folder you can write to"
    exec 9>>"$venv.lock"
    flock -n 9 || { say "waiting for another start to finish its set-up"; flock 9; }
    if ! is_ready "$1" "$stamp"; then
        install_into "$venv" "$1" "$stamp"
    fi
    exec 9>&-
}
