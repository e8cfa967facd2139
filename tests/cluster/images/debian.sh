# shellcheck shell=bash
# A small Debian as rootfs.tar. Sourced by the recipes.

# debian_rootfs PACKAGES BEFORE AFTER [PATTERN...]: a Debian 13 with these packages (comma-separated), but without files
# that match a PATTERN. BEFORE and AFTER are shell commands that run before and after the packages are installed, with
# the new root as $1.
debian_rootfs() {
    local pattern exclusions=()
    for pattern in '/usr/share/'{doc,man,locale,info}'/*' "${@:4}"; do
        exclusions+=(--dpkgopt="path-exclude=$pattern")
    done
    mmdebstrap --mode=root --variant=apt --include="$1" --essential-hook="$2" --customize-hook="$3" \
        "${exclusions[@]}" --skip=output/dev --skip=cleanup/run trixie rootfs.tar "$(debian_mirror)"
}

# debian_mirror: the one that this machine has its own packages from.
debian_mirror() {
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1 | grep . || {
        printf 'no Debian mirror in the sources of apt\n' >&2
        return 1
    }
}
