#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A certificate authority of one's own, by openssl. It keeps all of it in one folder:
#
#     make-ca.sh DIR ca 'Example mail CA'     ca.pem (ten years), and a first crl.pem
#     make-ca.sh DIR server NAME [NAME...]    servers/NAME/fullchain.pem and privkey.pem (a year)
#     make-ca.sh DIR client USER              clients/USER.pem, USER.key, and USER.p12 for mail programs (a year)
#     make-ca.sh DIR revoke USER              a new crl.pem, in which USER's certificate is
#     make-ca.sh DIR crl                      a new crl.pem (30 days), for a cron job
#
# On the server:
#
#     postern --cert-dir=DIR/servers ...                              for mail programs that have ca.pem
#     postern --client-ca=DIR/ca.pem --crl=DIR/crl.pem ...            users log in by certificate
#
# Better keep DIR on another machine and copy what the server needs: whoever has DIR/private/ca.key can
# make certificates for everybody. The password of USER.p12 is asked for, or taken from P12_PASSWORD.

set -eu
umask 077
[ $# -ge 2 ] || { sed -n 's/^#     \(make-ca.*\)/\1/p' "$0" >&2; exit 64; }
dir=$1 what=$2
shift 2

config() {
    cat <<END
[ca]
default_ca = ours
[ours]
database = $dir/private/index
new_certs_dir = $dir/private
rand_serial = yes
crlnumber = $dir/private/crlnumber
certificate = $dir/ca.pem
private_key = $dir/private/ca.key
default_md = sha256
default_days = 365
default_crl_days = 30
unique_subject = no
policy = any
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = $1
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
}

# openssl talks much: what it says is shown only if it fails.
quietly() {
    said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; exit 70; }
}

new_key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'

# The certificate $2 for the common name $1, and its key $3; its other extensions are in $4.
issue() {
    { config "$1"; echo "$4"; } >"$dir/private/openssl.cnf"
    quietly openssl req -new $new_key -config "$dir/private/openssl.cnf" -keyout "$3" -out "$dir/private/request"
    quietly openssl ca -batch -config "$dir/private/openssl.cnf" -extensions leaf -notext -in "$dir/private/request" \
        -out "$2"
}

# To another name first: a postern that reads it meanwhile must not see half a list.
crl() {
    config x >"$dir/private/openssl.cnf"
    quietly openssl ca -gencrl -config "$dir/private/openssl.cnf" -out "$dir/crl.new"
    chmod 644 "$dir/crl.new"
    mv "$dir/crl.new" "$dir/crl.pem"
}

case $what in
    ca)
        mkdir -p "$dir/private" "$dir/servers" "$dir/clients"
        [ ! -e "$dir/private/ca.key" ] || { echo "make-ca.sh: $dir has a CA already" >&2; exit 73; }
        : >"$dir/private/index"
        echo 01 >"$dir/private/crlnumber"
        config "$1" >"$dir/private/openssl.cnf"
        quietly openssl req -x509 $new_key -days 3650 -config "$dir/private/openssl.cnf" -extensions authority \
            -keyout "$dir/private/ca.key" -out "$dir/ca.pem"
        chmod 755 "$dir"
        chmod 644 "$dir/ca.pem"
        crl ;;
    server)
        names=
        for name in "$@"; do names="$names,DNS:$name"; done
        mkdir -p "$dir/servers/$1"
        issue "$1" "$dir/servers/$1/fullchain.pem" "$dir/servers/$1/privkey.pem" \
            "extendedKeyUsage = serverAuth
subjectAltName = ${names#,}" ;;
    client)
        issue "$1" "$dir/clients/$1.pem" "$dir/clients/$1.key" "extendedKeyUsage = clientAuth"
        openssl pkcs12 -export -in "$dir/clients/$1.pem" -inkey "$dir/clients/$1.key" -out "$dir/clients/$1.p12" \
            ${P12_PASSWORD+-passout env:P12_PASSWORD} ;;
    revoke)
        config x >"$dir/private/openssl.cnf"
        quietly openssl ca -config "$dir/private/openssl.cnf" -revoke "$dir/clients/$1.pem"
        crl ;;
    crl)
        crl ;;
    *)
        echo "make-ca.sh: no $what: take ca, server, client, revoke or crl" >&2; exit 64 ;;
esac
