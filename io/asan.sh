#!/bin/sh
# Runs the tests of sluice-io, on both drivers, under AddressSanitizer with its leak check. Needs a nightly
# toolchain. The sanitizer checks what this process itself reads, writes, frees and leaks; what the kernel writes
# through a stale pointer it cannot see, only what such a write would spoil.
set -eu
cd "$(dirname "$0")/.."
: "${CARGO_TARGET_DIR:=target}"
export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/asan"
export RUSTFLAGS="-Zsanitizer=address"
export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1"
host="$(rustc -vV | sed -n 's/^host: //p')"
exec cargo +nightly test -p sluice-io --target "$host" --lib --tests "$@"
