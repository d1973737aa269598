#!/bin/sh
# Makes .venv from the hash-pinned requirements of one group: sh deploy/local/venv.sh local|dev
set -eu
group=$1

suits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if suits "$name"; then
            echo "$name"
            return
        fi
    done
    echo "InvoUno needs Python 3.11 or newer, and none was found. Install one, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
}

# Debian and Ubuntu keep the part of Python that makes virtual environments in a package of its own.
provide_venv() {
    if "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        return
    fi
    package=$("$1" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $package ..." >&2
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >&2
    else
        echo "This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt install $package" >&2
        exit 1
    fi
}

# An environment whose Python has been upgraded away is made anew.
if ! suits .venv/bin/python; then
    python=$(find_python)
    provide_venv "$python"
    "$python" -m venv --clear .venv
fi

echo "Installing the $group requirements (the first time this takes a minute or two) ..." >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "requirements/$group.txt"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch ".venv/.installed-$group"
if [ "$group" = dev ]; then
    touch .venv/.installed-local
fi
