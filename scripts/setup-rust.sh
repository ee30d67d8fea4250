#!/bin/sh
# Makes sure that Rust can compile for this machine and for WebAssembly. Says what to type where it may not.
set -eu
cd "$(dirname "$0")/.."

target=wasm32-wasip2

if ! command -v cargo >/dev/null; then
    cat >&2 <<'TEXT'
Rust is missing. Type:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
and open a new terminal.
TEXT
    exit 1
fi

if ! command -v cc >/dev/null && ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then
    cat >&2 <<'TEXT'
A C compiler is missing; Rust links with it, and SQLite is compiled with it. Type:
    Debian, Ubuntu   sudo apt-get install build-essential
    Fedora           sudo dnf install gcc
    macOS            xcode-select --install
TEXT
    exit 1
fi

# The standard library of the target, where the toolchain of rust-toolchain.toml keeps it.
installed() {
    libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null) && [ -d "$libraries" ]
}

installed && exit 0
if command -v rustup >/dev/null; then
    rustup target add "$target"
fi
if ! installed; then
    echo "Rust's target $target is missing, and without rustup it cannot be added: see https://rustup.rs" >&2
    exit 1
fi
