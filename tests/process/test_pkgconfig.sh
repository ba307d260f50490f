#!/bin/sh
# The example of libthresh, compiled as a stranger would: installed to a prefix of its own, found by
# pkg-config, run against a real broker and worker. Both the shared and the static library.
# usage: test_pkgconfig.sh BUILD-DIRECTORY SOURCE-DIRECTORY [SANITIZER]
set -eu
build=$1
source=$2
sanitizer=${3:-}
work=$(mktemp -d)
broker=
worker=
finish() {
    for process in $worker $broker; do
        kill "$process" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log" 2>&1 || {
    cat "$work/install.log"
    exit 1
}
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name thresh.pc)")
export PKG_CONFIG_PATH
libraries=$(dirname "$PKG_CONFIG_PATH")
flags=
[ -z "$sanitizer" ] || flags="-fsanitize=$sanitizer"
# shellcheck disable=SC2046,SC2086
cc -std=c11 -Wall -Wextra -Werror $flags "$source/client/example.c" $(pkg-config --cflags --libs thresh) \
    -o "$work/example"
# shellcheck disable=SC2046,SC2086
cc -std=c11 $flags "$source/client/example.c" $(pkg-config --cflags thresh) "$libraries/libthresh.a" \
    $(pkg-config --libs libzmq libxxhash libcjson libidn2 libpsl) -lpthread -o "$work/example-static"

shown=$(nm -D --defined-only "$libraries/libthresh.so" | grep -v ' thresh_\| THRESH_' || true)
[ -z "$shown" ] || {
    echo "libthresh.so shows more than thresh_*: $shown"
    exit 1
}
for file in bin/thresh bin/thresh-broker bin/thresh-worker include/thresh.h; do
    [ -e "$work/prefix/$file" ] || {
        echo "$file was not installed"
        exit 1
    }
done
[ -n "$(find "$work/prefix" -name PROTOCOL.md)" ] || {
    echo "PROTOCOL.md was not installed"
    exit 1
}

"$work/prefix/bin/thresh" broker --listen-feed "ipc://$work/f" --listen-work "ipc://$work/w" \
    --listen-collect "ipc://$work/c" --listen-control "ipc://$work/k" --store "$work/store" \
    2>"$work/broker.log" &
broker=$!
"$work/prefix/bin/thresh" worker --broker-work "ipc://$work/w" 2>"$work/worker.log" &
worker=$!
for program in example example-static; do
    LD_LIBRARY_PATH=$libraries "$work/$program" "ipc://$work/f" "ipc://$work/c" >"$work/out" || {
        cat "$work/broker.log" "$work/worker.log"
        exit 1
    }
    [ "$(grep -c '"outcome":"ok"' "$work/out")" = 3 ] || {
        echo "$program did not give three results:"
        cat "$work/out"
        exit 1
    }
done
echo "ok"
