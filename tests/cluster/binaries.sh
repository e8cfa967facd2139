# shellcheck shell=bash
# The programs of a cluster, and others, built from Go modules once for a machine. Sourced after state.sh, or with GO_TOOLS set.
#
# Each folder of GO_TOOLS is a Go module that names commands as its tools, and go.sum fixes every line that goes into
# them. They are built into the cache, in a folder named after what they are built from.

GO_TOOLS=${GO_TOOLS:-$CLUSTER_FILES/tools}
TOOLS_CACHE=${SHOP_TESTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shop-tests}

# tool_version MODULE PATH: of the module PATH in tools/MODULE/go.mod.
tool_version() {
    sed -nE "s|^(require)?[[:space:]]*$2 (v[^ ]+).*|\2|p" "$GO_TOOLS/$1/go.mod" | head -n 1
}

# tool_folder MODULE: where its programs are, or will be.
tool_folder() {
    local hash
    hash=$(cat "$GO_TOOLS/$1/go.mod" "$GO_TOOLS/$1/go.sum" | sha256sum)
    printf '%s/%s-%s' "$TOOLS_CACHE" "$1" "${hash:0:16}"
}

# lock_cache, unlock_cache: two clusters that start at the same time build once.
lock_cache() {
    mkdir -p "$TOOLS_CACHE" || fail "cannot create $TOOLS_CACHE"
    exec 7>>"$TOOLS_CACHE/cluster.lock"
    flock --nonblock 7 || { say 'waiting for what another command builds' && flock 7; }
}
unlock_cache() { exec 7>&-; }

# build_tool MODULE [COMMAND...]: builds the tools of a module, or those of them whose import paths are given.
build_tool() {
    local module=$1 target name version flags packages=("${@:2}")
    target=$(tool_folder "$module")
    for name in "${packages[@]}"; do target+=-${name##*/}; done
    ((${#packages[@]} > 0)) || packages=(tool)
    if [[ ! -d $target ]]; then
        command -v go >/dev/null || fail 'go is missing: install Go 1.26 or newer (https://go.dev/dl)'
        say "building $module (once for this machine; some minutes)"
        mkdir -p "$TOOLS_CACHE"
        # Half a build is never taken for a whole one.
        local new=$target.new.$$
        rm -rf "$target".new.*
        flags='-s -w'
        if [[ $module == kubernetes ]]; then
            version=$(tool_version kubernetes k8s.io/kubernetes)
            flags+=" -X k8s.io/component-base/version.gitVersion=$version"
            flags+=" -X k8s.io/component-base/version.gitMajor=$(cut -d . -f 1 <<<"${version#v}")"
            flags+=" -X k8s.io/component-base/version.gitMinor=$(cut -d . -f 2 <<<"$version")"
        fi
        mkdir -p "$new"
        (
            cd "$GO_TOOLS/$module"
            CGO_ENABLED=0 GOWORK=off go build -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" \
                -o "$new/" "${packages[@]}" 9>&- 3>&-
        ) >>"$LOG_DIR/build.log" 2>&1 || fail "building $module: $(last_log_line build) (log: $LOG_DIR/build.log)"
        mv -T "$new" "$target"
    fi
    tool_path=$target
}

# provide_node_tools: everything that a cluster of our own needs; sets `programs`, the folders that they are in.
provide_node_tools() {
    local module
    programs=''
    for module in kubernetes containerd helm coredns local-path-provisioner; do
        build_tool "$module"
        programs+=$tool_path:
        link_tools "$tool_path"
    done
    # etcd's package is called server.
    ln -sfn "$(tool_folder kubernetes)/server" "$CLUSTER_DIR/bin/etcd"
}

# provide_kind_tools: where Docker runs the node, only what talks to it.
provide_kind_tools() {
    build_tool kind && link_tools "$tool_path"
    build_tool helm && link_tools "$tool_path"
    build_tool kubernetes k8s.io/kubernetes/cmd/kubectl && link_tools "$tool_path"
}

link_tools() {
    local program
    mkdir -p "$CLUSTER_DIR/bin"
    for program in "$1"/*; do ln -sfn "$program" "$CLUSTER_DIR/bin/${program##*/}"; done
}
