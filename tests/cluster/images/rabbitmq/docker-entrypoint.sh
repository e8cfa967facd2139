#!/usr/bin/env bash
# As the official image's: the server is not to run as root, and hands its own folder to its user first.
set -euo pipefail
if [[ $1 == rabbitmq* && $EUID == 0 ]]; then
    find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq '{}' +
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups -- "$0" "$@"
fi
exec "$@"
