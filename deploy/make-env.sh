#!/bin/sh
# Writes .env from .env.example, with a random secret for each variable that stands there empty.
set -eu
cd "$(dirname "$0")/.."
umask 077

if [ -e .env ]; then
    echo ".env is there already; move it away first." >&2
    exit 1
fi

secret() {
    LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | dd bs=1 count=40 2>/dev/null
}

while IFS= read -r line; do
    case $line in
        \#*) printf '%s\n' "$line" ;;
        *=) printf '%s%s\n' "$line" "$(secret)" ;;
        *) printf '%s\n' "$line" ;;
    esac
done <.env.example >.env
echo "Wrote .env with random secrets; only you can read it."
