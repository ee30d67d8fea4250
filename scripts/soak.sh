#!/bin/sh
# Runs the contract tests again and again until the time is over or one fails. Property tests choose new
# random cases each time, and print the seed of one that fails.
#   $1 minutes
set -eu
cd "$(dirname "$0")/.."

minutes=${1:-30}
end=$(($(date +%s) + minutes * 60))
# Ten times the usual number of cases for each property.
export PROPTEST_CASES="${PROPTEST_CASES:-2560}"

cargo test --locked --release --package mendwright-tests --no-run
round=0
while [ "$(date +%s)" -lt "$end" ]; do
    round=$((round + 1))
    echo "soak: round $round"
    cargo test --locked --release --quiet --package mendwright-tests
done
echo "soak: $round rounds in $minutes minutes, no failure"
