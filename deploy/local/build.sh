# shellcheck shell=bash
# How our programs are built: the same everywhere, so that the start script, the tests, the benchmarks and the images have
# the same binaries, and nothing is built twice. Sourced after processes.sh and packages.sh, with `root` set.

# The commands below run in the checkout, wherever the user stands.
[[ -z ${CARGO_TARGET_DIR:-} ]] || CARGO_TARGET_DIR=$(realpath --canonicalize-missing -- "$CARGO_TARGET_DIR")

# host_target: this machine, as Rust calls it, which .cargo/config.toml names as the target.
host_target() { rustc --print host-tuple; }

# release_folder TARGET: where the programs are when they are built.
release_folder() { printf '%s/%s/release' "${CARGO_TARGET_DIR:-$root/target}" "$1"; }

# find_cargo: puts Rust's programs on the PATH, which its installer leaves to the next login.
find_cargo() {
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    command -v cargo >/dev/null || fail 'cargo is missing: install Rust (https://rustup.rs)'
}

# build_release ARGUMENT...: with cargo's arguments, as `--bin NAME`. In the checkout, since cargo looks for its
# configuration from the working directory upwards; with the features that the whole workspace asks for, so that no
# dependency is built twice.
build_release() {
    find_cargo
    (cd "$root" && cargo build --release --locked --workspace "$@" 9>&-) || fail 'the build failed'
}
