# shellcheck shell=bash
# The images that a cluster needs and a machine without a registry can't pull. Sourced after binaries.sh.
#
# What the cluster itself is made of (busybox, CoreDNS, the provisioner of volumes), and stand-ins for postgres:17 and
# rabbitmq:4-management, made of Debian packages and loaded under those names. Each is kept in the cache as an OCI
# archive, in a file named after what it is made from.

PAUSE_IMAGE=localhost/busybox:1
postgres_image=docker.io/library/postgres:17
rabbitmq_image=docker.io/library/rabbitmq:4-management

# provide_images: builds those that are missing, and sets `archives`.
provide_images() {
    local coredns provisioner
    archives=()
    coredns=$(tool_folder coredns)/coredns
    provisioner=$(tool_folder local-path-provisioner)/local-path-provisioner
    provide_image "$PAUSE_IMAGE" busybox
    provide_image "localhost/coredns:1" program "$coredns"
    provide_image "localhost/local-path-provisioner:1" program "$provisioner"
    provide_image "$postgres_image" postgres
    provide_image "$rabbitmq_image" rabbitmq
}

# provide_image NAME RECIPE [PROGRAM]: adds the image's archive to `archives`, and builds it if it is not there.
provide_image() {
    local name=$1 recipe=$CLUSTER_FILES/images/$2 program=${3:-} key archive work
    key=$({
        cat "$recipe"/* "$CLUSTER_FILES"/images/debian.sh
        # The folder of a program has the hash of what it was built from in its name.
        printf '%s' "$name${program%/*}"
    } | sha256sum)
    archive=$TOOLS_CACHE/images/$(basename "${name%:*}")-${key:0:16}.tar
    if [[ ! -f $archive ]]; then
        say "building the image $name (once for this machine)"
        work=$(mktemp -d "$TOOLS_CACHE/image.XXXXXX")
        if ! build_image "$name" "$recipe" "$program" "$work" >>"$LOG_DIR/images.log" 2>&1 9>&- 3>&-; then
            rm -rf --one-file-system "$work"
            fail "building $name: $(last_log_line images) (log: $LOG_DIR/images.log)"
        fi
        mkdir -p "$TOOLS_CACHE/images"
        mv "$work/archive.tar" "$archive"
        rm -rf --one-file-system "$work"
    fi
    archives+=("$archive")
}

# build_image NAME RECIPE PROGRAM WORK: leaves it in WORK/archive.tar. A recipe is a Containerfile, what it copies, and
# a script `rootfs` that makes rootfs.tar if there is one. In namespaces of its own, so that no mount outlives it.
build_image() {
    local context=$4/context
    mkdir "$context"
    cp "$2"/* "$CLUSTER_FILES/images/debian.sh" "$context/"
    [[ -z $3 ]] || cp "$3" "$context/program"
    # shellcheck disable=SC2016 # the inner shell has these
    unshare --mount bash -euo pipefail -c '
        context=$1 work=$2 name=$3
        cd "$context"
        [[ ! -e rootfs ]] || ./rootfs
        buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver "${BUILDAH_STORAGE_DRIVER:-overlay}" "$@"; }
        buildah build --isolation chroot --layers=false --timestamp 0 --file Containerfile --tag "$name" .
        buildah push "$name" "oci-archive:$work/archive.tar:$name"
    ' build_image "$context" "$4" "$1"
}

# load_archives ARCHIVE...: into the cluster, whichever it is.
load_archives() {
    local archive error
    for archive; do
        [[ -f $archive ]] || fail "there is no image archive $archive"
        if runs_in_kind; then
            error=$("$CLUSTER_DIR/bin/kind" load image-archive "$archive" --name "$(kind_name)" 2>&1) ||
                fail "loading $archive: $(tail -n 1 <<<"$error")"
        else
            error=$(ctr images import "$(realpath "$archive")" 2>&1) || fail "loading $archive: $(tail -n 1 <<<"$error")"
        fi
    done
}

# load_meanwhile ARCHIVE...: the large ones take longer than anything else at the start of a cluster.
load_meanwhile() {
    load_archives "$@" 3>&- &
    loading=$!
}

archives_are_loaded() { wait "$loading" || exit 1; }
