/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/strict.h"

const char *strict_strength(const struct certificate *one, bool leaf)
{
    if (one->weak_signature && (leaf || !one->self_issued))
        return "signed with SHA-1 or MD5";
    if (one->rsa_bits != 0 && one->rsa_bits < RSA_BITS_MIN)
        return "an RSA key of less than 2048 bits";
    return NULL;
}

const char *strict_use(const struct certificate *one, bool leaf)
{
    if (one->version != 3)
        return STRICT_NOT_VERSION_3;
    if (leaf && one->is_ca)
        return "a CA's certificate, not a client's (CA:TRUE)";
    if (leaf && !one->may_sign)
        return "its key must not sign (keyUsage without digitalSignature)";
    if (!one->for_clients)
        return "not meant for clients (extendedKeyUsage without clientAuth)";
    return NULL;
}
