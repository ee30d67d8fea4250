# The keeper of one private PostgreSQL cluster. It lives as long as its standard input is open, which is
# as long as the process that started it: the kernel closes the pipe however that process ends, SIGKILL
# included. Then the server is stopped and the directory removed.
#
#   $1 directory   $2 port   $3 initdb   $4 postgres   $5 fsync (on|off)   $6… "become the other user"
trap '' INT TERM HUP
dir=$1 port=$2 initdb=$3 postgres=$4 fsync=$5
shift 5
cd "$dir" || exit 1
echo "$$" >keeper.pid

{
    "$@" "$initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C \
        --no-sync --no-instructions >initdb.log 2>&1 &&
        while :; do
            "$@" "$postgres" -D data -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 \
                -c max_connections=100 -c "fsync=$fsync" -c log_min_messages=warning >>server.log 2>&1
            status=$?
            # Whoever knocks the server down and wants it back says so first.
            rm again 2>/dev/null || break
        done
    echo "${status:-1}" >ended
} </dev/null &

cat >/dev/null

# SIGQUIT: no checkpoint, because nobody will read these files again. Asked again until it is over, for
# the process may have died while initdb was still at work.
until [ -e ended ]; do
    # A server that only bootstraps writes its pid negated, which kill would take for a group.
    pid=$(head -n 1 data/postmaster.pid 2>/dev/null)
    case $pid in
    [1-9]*) kill -QUIT "$pid" 2>/dev/null ;;
    esac
    sleep 0.02
done
cd / && rm -rf "$dir"
