#!/bin/sh
# Makes sure that PostgreSQL's programs are on this machine, and on Linux strace. The tests start a server of
# their own with them; none has to run, and none is started or configured here.
set -eu

# The tests let a disk fail with it; there is none elsewhere, and there are no such tests.
if [ "$(uname)" = Linux ] && ! command -v strace >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing strace with apt-get" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends strace
    else
        cat >&2 <<'TEXT'
The tests let a disk fail with strace, and there is none. Type:
    Debian, Ubuntu   sudo apt-get install strace
    Fedora           sudo dnf install strace
    Arch             sudo pacman -S strace
and again: make test
TEXT
        exit 1
    fi
fi

# In the places where `tests/src/postgres.rs` looks.
found() {
    { command -v initdb && command -v postgres; } >/dev/null 2>&1 && return 0
    for bin in /usr/lib/postgresql/*/bin /usr/local/opt/postgresql*/bin /opt/homebrew/opt/postgresql*/bin \
        /usr/pgsql/bin /usr/local/pgsql/bin; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && return 0
    done
    return 1
}

found && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing PostgreSQL's server programs with apt-get" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends postgresql-common
    # Debian would create a cluster and start it. Nobody asked for one.
    sed -i 's/^#\{0,1\}create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    apt-get install -y -qq --no-install-recommends postgresql
    found && exit 0
fi

cat >&2 <<'TEXT'
The tests start a PostgreSQL server of their own and need its programs `initdb` and `postgres`. Type:
    Debian, Ubuntu   sudo apt-get install postgresql
    Fedora           sudo dnf install postgresql-server
    Arch             sudo pacman -S postgresql
    macOS            brew install postgresql@17
and again: make test
It need not run, and nothing of it has to be configured.
TEXT
exit 1
