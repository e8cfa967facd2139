# shellcheck shell=bash
# Certificates for the gRPC between the services of one machine: an authority of the folder's own, and a certificate for
# each service by which it is known to those that it calls and to those that call it. As in a cluster, where the operator
# makes them (operator/src/certificates.rs). Sourced after processes.sh; needs openssl.
#
# A service reads its files when it starts, and they are renewed here, at a start of the shop, half way through their
# life: one that runs for half a year without a pause is still well.

CERTIFICATE_DAYS=365
AUTHORITY_DAYS=3650
DAY=86400

# certificates_create DIR SERVICE...: DIR/ca.crt and, for each service, DIR/SERVICE.crt and DIR/SERVICE.key, for nobody else
# to read. DIR/ca.key, with which others can be made, no service is told of.
certificates_create() {
    local dir=$1 service
    shift
    install -d -m 700 "$dir" || return 1
    authority_create "$dir" || return 1
    for service; do
        certificate_is_good "$dir" "$service" || certificate_create "$dir" "$service" || return 1
    done
}

# Renewed with the key that it has, the authority is the same to all that know its old certificate.
authority_create() {
    local dir=$1
    if [[ ! -s $dir/ca.key ]]; then
        rm -f "$dir/ca.crt"
        private_key "$dir/ca.key" || return 1
    fi
    ! lasts "$dir/ca.crt" $((AUTHORITY_DAYS / 2)) || return 0
    certificate_tool req -new -x509 -key "$dir/ca.key" -days "$AUTHORITY_DAYS" -out "$dir/ca.crt.new" -config <(
        printf '%s\n' '[req]' 'distinguished_name = name' 'prompt = no' 'x509_extensions = authority' \
            '[name]' 'CN = shop' \
            '[authority]' 'basicConstraints = critical, CA:TRUE, pathlen:0' \
            'keyUsage = critical, keyCertSign, cRLSign' 'subjectKeyIdentifier = hash'
    ) && mv "$dir/ca.crt.new" "$dir/ca.crt"
}

# certificate_create DIR SERVICE: its name as a URI is what it is known by to those that it calls (chassis::tls::spiffe_id).
certificate_create() {
    local file=$1/$2 service=$2
    private_key "$file.key" &&
        certificate_tool req -new -key "$file.key" -out "$file.csr" -config <(
            printf '%s\n' '[req]' 'distinguished_name = name' 'prompt = no' '[name]' "CN = $service"
        ) &&
        certificate_tool x509 -req -in "$file.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -days "$CERTIFICATE_DAYS" \
            -set_serial "0x$(openssl rand -hex 16)" -out "$file.crt.new" -extfile <(
            printf '%s\n' 'basicConstraints = critical, CA:FALSE' 'keyUsage = critical, digitalSignature' \
                'extendedKeyUsage = serverAuth, clientAuth' 'authorityKeyIdentifier = keyid' \
                "subjectAltName = URI:spiffe://shop/$service, DNS:localhost, IP:127.0.0.1, IP:::1"
        ) &&
        mv "$file.crt.new" "$file.crt" && rm "$file.csr"
}

# certificate_is_good DIR SERVICE: of this authority, with its key, and not for another half of its life to come.
certificate_is_good() {
    [[ -s $1/$2.key ]] && lasts "$1/$2.crt" $((CERTIFICATE_DAYS / 2)) &&
        openssl verify -CAfile "$1/ca.crt" "$1/$2.crt" >/dev/null 2>&1
}

# lasts FILE DAYS: the certificate is there, and valid for so long.
lasts() { [[ -s $1 ]] && openssl x509 -in "$1" -noout -checkend $(($2 * DAY)) >/dev/null 2>&1; }

private_key() { certificate_tool genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.new" && mv "$1.new" "$1"; }

# certificate_tool ARGUMENT...: openssl, whose files are for nobody else to read, and whose words go to a log.
certificate_tool() { (umask 077 && openssl "$@" >>"$LOG_DIR/certificates.log" 2>&1); }
