#!/bin/sh
# What people meet at the command line: exit codes, one clear line for each mistake, and the main
# job on small inputs. usage: test_cli.sh DIRECTORY-OF-PROGRAMS
set -u
bin=$(cd "$1" && pwd) || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
PATH=$bin:$PATH
export PATH
failures=0

fail() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    sed 's/^/  out: /' out | head -n 5
    sed 's/^/  err: /' err | head -n 20
}

# check CODE TEXT-IN-ERRORS COMMAND...
check() {
    code=$1
    text=$2
    shift 2
    "$@" >out 2>err </dev/null
    got=$?
    if [ "$got" != "$code" ]; then
        fail "$* exits with $got, not $code"
    elif [ -n "$text" ] && ! grep -qF -- "$text" err; then
        fail "$* does not say '$text'"
    elif grep -q 'Sanitizer\|runtime error' err; then
        fail "$* has a sanitizer's report"
    fi
}

# says TEXT: the last command's output holds it.
says() {
    grep -qF -- "$1" out || fail "the output lacks '$1'"
}

# ---- usage
check 2 '' thresh
says 'usage: thresh VERB'
check 0 '' thresh help
check 0 '' thresh --help
check 0 '' thresh help run
says 'usage: thresh run'
check 0 '' thresh feed --help
check 0 '' thresh version
says 'thresh '
check 0 '' thresh --version
check 2 "did you mean 'status'?" thresh statsu
check 2 'to process it: thresh run https://example.com/' thresh https://example.com/
check 2 "'thresh help' lists them" thresh xyzzyplugh
check 2 "there is no verb 'nothing'" thresh help nothing
check 2 '--gpa' thresh run --gpa 1s page.html
check 2 'Try' thresh run --gap nonsense page.html
check 2 'nothing to do' thresh run
check 2 'nothing to feed' thresh feed
check 2 "did you mean 'purge'?" thresh dead pruge
check 2 'say which' thresh dead retry
check 2 "takes no argument" thresh status now
check 2 "takes no argument" thresh collect out.jsonl
check 2 'not a number of results' thresh collect --count none
check 2 'choose one' thresh run --ephemeral --state s page.html
check 2 'a count such as 10' thresh run --fail-on many page.html

# ---- inputs and outputs that are not there
check 2 "cannot read 'missing.html': no such file or directory" thresh run missing.html
check 2 "write 'https://example.com/page'" thresh run example.com/page
check 2 'only http:// and https://' thresh run ftp://example.com/
check 2 "cannot read 'missing.urls'" thresh run --list missing.urls
printf '<title>T</title><p>Some words.</p>' >page.html
check 2 'its directory does not exist' thresh run page.html --output no/such/out.jsonl
check 2 'it is a directory; name a file in it' thresh run page.html --output .
check 2 "--state 'page.html' is not a directory" thresh run page.html --state page.html
ln -s circle circle
check 2 "cannot read 'circle': no such file" thresh run circle
check 3 'ca-file: cannot read "no.pem"' env TMPDIR="$work" thresh run page.html --ca-file no.pem
check 2 'set TMPDIR to a directory that can be written' env TMPDIR=/nonexistent thresh run page.html
printf 'Dear diary\n' >diary.jsonl
check 2 'holds something else' thresh run page.html --output diary.jsonl
[ "$(cat diary.jsonl)" = 'Dear diary' ] || fail 'a file of somebody else was changed'
check 3 'THRESH_GAP' env THRESH_GAP=never thresh run page.html

# ---- a broker that is not there
for verb in status workers hosts pause resume drain stop dead; do
    check 4 "broker tcp://127.0.0.1:1 did not answer in 200 ms (connection refused); start it with 'thresh broker' or set --broker" \
        thresh $verb --broker-control tcp://127.0.0.1:1 --timeout 200ms
done
check 4 "broker tcp://127.0.0.1:1 did not answer in 200 ms (connection refused); start it with 'thresh broker' or set --broker" \
    thresh feed page.html --broker-feed tcp://127.0.0.1:1 --timeout 200ms
check 4 "broker tcp://127.0.0.1:1 did not answer in 200 ms (connection refused); start it with 'thresh broker' or set --broker" \
    thresh collect --broker-collect tcp://127.0.0.1:1 --timeout 200ms
check 4 "broker ipc://nothing did not answer in 200 ms (No such file or directory)" \
    thresh status --broker-control ipc://nothing --timeout 200ms
check 3 'not an endpoint' thresh status --broker-control gopher://x --timeout 200ms

# ---- the main job on documents
check 0 '1 result in ' thresh run page.html
says '"outcome":"ok"'
says '"title":"T"'
check 0 '' thresh run -q page.html
[ ! -s err ] || fail '-q is not quiet'
mkdir -p docs/sub
printf 'Plain words.\n' >docs/sub/b.txt
cp page.html docs/a.html
check 0 "2 results in " thresh run docs --output out.msgpack
check 0 "written to 'twice.jsonl'" thresh run docs --state s --output twice.jsonl
check 0 '2 known already' thresh run docs --state s --output twice.jsonl
[ "$(wc -l <twice.jsonl)" = 2 ] || fail 'a resumed run wrote a result twice'
printf 'torn' >>twice.jsonl
check 1 "name the same --output as then" thresh run docs --state s --output elsewhere.jsonl
check 0 'ended in the middle of a result (4 bytes were cut off)' thresh run --state s --output twice.jsonl
[ "$(wc -l <twice.jsonl)" = 2 ] || fail 'a torn line was not cut'
printf '{"url":"one","body":"First."}\nnonsense\n{"url":"two","body_base64":"VHdv"}\n' >list.jsonl
check 6 "list.jsonl:2: not an http or https URL" thresh run list.jsonl
[ "$(wc -l <out)" = 2 ] || fail 'the good lines of a list with a bad one were not done'
printf '{"url":"x","body":"From a pipe."}\n' | thresh run -q - >out 2>err || fail 'standard input'
says '"url":"name:x"'
check 12 'more than --fail-on 0 allows' thresh run http://127.0.0.1:1/ --fail-on 0 --attempts-max 1
check 0 '' sh -c 'thresh run -q docs | head -c 1 >/dev/null'

check 0 'are fetched from with --allow-private' thresh run http://127.0.0.1:1/

check 7 'the disk is full; free some space' thresh run page.html --output /dev/full

# ---- interrupted and taken up again: 40 pages of one host that answers nobody, one every 100 ms
i=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    echo "http://127.0.0.1:1/$i"
done >slow.urls
thresh run slow.urls --state slow --output slow.jsonl --gap 100ms --attempts-max 1 --allow-private \
    >out 2>err &
run=$!
while [ ! -s slow.jsonl ]; do
    kill -0 $run 2>/dev/null || break
done
kill -INT $run
wait $run
[ $? = 10 ] || fail 'an interrupted run does not exit with 10'
grep -q 'the same command goes on from here' err || fail 'it is not said how to resume'
[ "$(wc -l <slow.jsonl)" -lt 40 ] || fail 'the interrupted run was over already'
check 0 '40 results' thresh run slow.urls --state slow --output slow.jsonl --gap 0 --attempts-max 1 \
    --allow-private
[ "$(grep -o '"task":"[^"]*"' slow.jsonl | sort -u | wc -l)" = 40 ] || fail 'the resumed run is not whole'

# ---- the daemons and the other verbs
thresh broker --listen-feed ipc://f --listen-work ipc://w --listen-collect ipc://c \
    --listen-control ipc://k --store store --gap 0 --attempts-max 1 2>broker.log &
broker=$!
thresh worker --broker-work ipc://w --allow-private 2>worker.log &
worker=$!
control='--broker-control ipc://k'
printf 'http://127.0.0.1:1/\nhttp://bad host/\n' >some.urls
check 6 'http://bad host/: not accepted' thresh feed some.urls page.html --wait --broker-feed ipc://f
check 0 '2 results written' thresh collect --until-done --output c.jsonl --broker-collect ipc://c
check 0 '0 results written' thresh collect --until-done --output c.jsonl --broker-collect ipc://c
check 0 '' thresh dead $control
says 'connect_failed'
check 0 '' thresh dead list --host elsewhere $control
says 'no dead letters'
check 0 '1 dead letter retried' thresh dead retry --host 127.0.0.1 $control
check 0 '1 results written' thresh collect --count 1 --output c.jsonl --broker-collect ipc://c
check 2 '1 of the tasks named are no dead letters' thresh dead retry nonsense $control
check 0 '1 dead letter purged' thresh dead purge --all $control
check 0 '' thresh status --json $control
says '"accepted": 3'
check 0 '' thresh pause $control
check 0 '' thresh status $control
says 'PAUSED'
check 0 '' thresh resume $control
check 0 '' thresh workers $control
says 'here'
check 0 '' thresh hosts $control
says '127.0.0.1'
thresh collect --broker-collect ipc://c >out 2>err &
collect=$!
until thresh status $control | grep -q 'position [0-9]*, 0 behind, connected'; do
    kill -0 $collect 2>/dev/null || break
done
kill -INT $collect
wait $collect
[ $? = 0 ] || fail 'an interrupted collector does not exit with 0'

# ---- a drain, until it is resumed: who feeds is told, waits, and loses nothing
check 0 '' thresh drain $control
printf 'Late.\n' >late.txt
thresh feed late.txt --broker-feed ipc://f >feed.out 2>feed.err &
feed=$!
until grep -q 'waiting for it' feed.err; do
    kill -0 $feed 2>/dev/null || break
done
grep -q 'the broker takes nothing now (the broker is draining until it is told to resume)' feed.err ||
    fail 'who feeds a draining broker is not told'
check 0 '' thresh status $control
says 'draining'
check 0 '' thresh resume $control
wait $feed
[ $? = 0 ] || fail 'a resumed broker did not take what waited'
kill $worker
wait $worker
check 0 '' thresh stop $control
wait $broker
[ $? = 0 ] || fail "the broker did not stop in order: $(tail -n 3 broker.log)"
if grep -l 'Sanitizer\|runtime error' ./*.log s/*.log slow/*.log; then
    fail 'a daemon has a report of a sanitizer'
fi

[ "$failures" = 0 ] || exit 1
echo ok
