/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/alert.h"

#include <stddef.h>

static const struct {
    int code;
    const char *name;
    const char *meaning;
} alerts[] = {
    {0, "close_notify", "it closed the connection"},
    {10, "unexpected_message", "it got a message that it did not expect"},
    {20, "bad_record_mac", "a record was damaged on its way, or the client is broken"},
    {22, "record_overflow", "a record was too long for it"},
    {40, "handshake_failure",
     "it found nothing that both sides can do: look at --ciphers, --groups "
     "and --tls-min"},
    {42, "bad_certificate",
     "it rejected our certificate: damaged, or, with some clients, for another name or by an "
     "issuer that it does not trust"},
    {43, "unsupported_certificate", "it can't use our certificate: another key type may help"},
    {44, "certificate_revoked", "it rejected our certificate: revoked by its issuer"},
    {45, "certificate_expired", "it rejected our certificate: expired, or its clock is wrong"},
    {46, "certificate_unknown",
     "it rejected our certificate: often a name that does not match, or "
     "an issuer that it does not trust"},
    {47, "illegal_parameter", "it found a value in our messages out of range"},
    {48, "unknown_ca",
     "it rejected our certificate: it does not trust the issuer, or an "
     "intermediate certificate is missing in --cert"},
    {49, "access_denied", "it will not go on, for a reason of its own"},
    {50, "decode_error", "it could not decode a message of ours"},
    {51, "decrypt_error", "it could not verify our signature: key and certificate may not match"},
    {70, "protocol_version", "it does not speak the TLS version that was chosen: see --tls-min"},
    {71, "insufficient_security", "it wants stronger cipher suites or keys than ours"},
    {80, "internal_error", "it has a problem of its own"},
    {86, "inappropriate_fallback", "it fell back to a lower TLS version without need"},
    {90, "user_canceled", "its user cancelled"},
    {100, "no_renegotiation", "it will not renegotiate"},
    {109, "missing_extension", "it misses an extension in our answer"},
    {110, "unsupported_extension", "it did not ask for an extension in our answer"},
    {112, "unrecognized_name", "it expects another server name"},
    {113, "bad_certificate_status_response", "it rejected our OCSP response"},
    {116, "certificate_required", "it requires a certificate"},
    {120, "no_application_protocol", "no ALPN protocol is shared"},
};

static size_t find(int code)
{
    size_t i = 0;

    while (i < sizeof alerts / sizeof alerts[0] && alerts[i].code != code)
        i++;
    return i;
}

const char *alert_name(int code)
{
    size_t i = find(code);

    return i < sizeof alerts / sizeof alerts[0] ? alerts[i].name : "unknown";
}

const char *alert_meaning(int code)
{
    size_t i = find(code);

    return i < sizeof alerts / sizeof alerts[0] ? alerts[i].meaning : "it gave no known reason";
}
