/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a client certificate in DER, or a revocation list. */
#include "common.h"

#include "x509/user.h"
#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

/* What the gate takes from it is what the monitor lets pass. */
static void check_facts(const struct facts *f)
{
    static uint8_t buf[FACTS_MESSAGE_MAX];
    struct message_writer w;
    struct message_reader r;
    struct facts got;

    message_begin(&w, buf, sizeof buf, REQ_SESSION);
    facts_put(&w, f);
    CHECK(!w.failed);
    message_parse(&r, buf, w.len);
    facts_get(&r, &got);
    CHECK(message_complete(&r));
    CHECK(strcmp(got.client.subject, f->client.subject) == 0);
    CHECK(strcmp(got.client.user, f->client.user) == 0);
}

static void check_parts(const struct certificate *c)
{
    static const enum client_name parts[] = {CLIENT_NAME_CN, CLIENT_NAME_EMAIL, CLIENT_NAME_SAN};

    for (size_t i = 0; i < 3; i++) {
        struct facts f = {.client = {.verify = CLIENT_VERIFIED}};
        if (identity_take(&f.client, c, parts[i]) < 0)
            continue;
        CHECK(f.client.user[0] == '\0' || facts_is_user(f.client.user));
        check_facts(&f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certificate c;
    struct revocation_list l;
    char name[24], date[16];
    uint8_t *copy = fuzz_copy(data, size);

    if (x509_read(&c, copy, size) == 0) {
        identity_name(name, sizeof name, c.subject);
        CHECK(strlen(name) < sizeof name && utf8_is_clean(name));
        x509_date(date, sizeof date, c.not_after);
        check_parts(&c);
    }
    if (x509_read_crl(&l, copy, size) == 0) {
        identity_name(name, sizeof name, l.issuer);
        CHECK(strlen(name) < sizeof name && utf8_is_clean(name));
    }
    free(copy);
    return 0;
}
