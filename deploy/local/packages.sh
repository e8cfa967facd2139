# shellcheck shell=bash
# Installing what is missing with Debian's packages. Sourced after processes.sh.

# install_packages PACKAGE...: with apt-get, as root or through sudo; what it says goes to $LOG_DIR/packages.log.
install_packages() {
    local as_root=()
    (($# > 0)) || return 0
    command -v apt-get >/dev/null || fail "missing: $*, and there is no apt-get here to install it with"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "missing: $*; run as root: apt-get install $*"
        [[ -t 0 ]] || sudo -n true 2>/dev/null || fail "missing: $*; sudo needs a password, so run: sudo apt-get install $*"
        as_root=(sudo)
    fi
    say "installing $*"
    apt_get() {
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --yes -o DPkg::Lock::Timeout=120 "$@" \
            >>"$LOG_DIR/packages.log" 2>&1 9>&-
    }
    # An index that is out of date names files that are gone.
    apt_get update || say "apt-get update: $(last_log_line packages)"
    apt_get install --no-install-recommends "$@" || fail "apt-get install $*: $(last_log_line packages)"
}
