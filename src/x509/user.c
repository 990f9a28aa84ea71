/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x509/user.h"

#include "x509/dn.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Tags of GeneralName (RFC 5280 section 4.2.1.6). */
#define OTHER_NAME 0xa0
#define EMAIL_NAME 0x81
#define DNS_NAME 0x82
#define UTF8_STRING 0x0c

void identity_name(char *text, size_t size, struct der name)
{
    char whole[2048];

    if (dn_text(whole, sizeof whole, name) < 0)
        (void)snprintf(whole, sizeof whole, "(a name that is too long or damaged)");
    if (whole[0] == '\0')
        (void)snprintf(whole, sizeof whole, "(no name)");
    size_t len = strlen(whole);
    if (len < size) {
        memcpy(text, whole, len + 1);
        return;
    }
    len = size - 4;
    while (len > 0 && ((unsigned char)whole[len] & 0xc0) == 0x80) /* never splits a character */
        len--;
    (void)snprintf(text, size, "%.*s...", (int)len, whole);
}

/* Makes a text that did not fit empty, and its error 0. */
static int take_text(int rc, char *text)
{
    if (rc == -ENOSPC)
        *text = '\0';
    return rc == -ENOSPC ? 0 : rc;
}

static void take_serial(char *text, size_t size, struct der serial)
{
    while (serial.len > 1 && *serial.at == 0) {
        serial.at++;
        serial.len--;
    }
    *text = '\0';
    if (serial.len * 2 >= size)
        return;
    for (size_t i = 0; i < serial.len; i++)
        (void)snprintf(text + 2 * i, 3, "%02X", serial.at[i]);
}

/* Copies the name to `user` if facts_is_user() accepts it; else makes `user` empty. */
static void take_user(char user[], const char *name)
{
    user[0] = '\0';
    if (facts_is_user(name))
        memcpy(user, name, strlen(name) + 1);
}

/* Does as take_user() for a name out of subjectAltName. */
static void take_alt_user(char user[], struct der name)
{
    char text[FACTS_USER_MAX + 1];

    user[0] = '\0';
    if (name.len >= sizeof text || memchr(name.at, '\0', name.len) != NULL)
        return;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    take_user(user, text);
}

/* True if an otherName is a user principal name, which Microsoft's certificates have. */
static bool is_principal(struct der other, struct der *name)
{
    static const uint8_t principal[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03};
    struct der oid, wrapped;

    return der_take(&other, DER_OID, &oid) == 0 && oid.len == sizeof principal &&
           memcmp(oid.at, principal, oid.len) == 0 &&
           der_take(&other, DER_CONTEXT_0, &wrapped) == 0 &&
           der_take(&wrapped, UTF8_STRING, name) == 0;
}

/* Takes the user from subjectAltName if that holds exactly one name. */
static int take_only_name(char user[], struct der names)
{
    struct der name;
    int tag = der_next(&names, &name);

    if (tag < 0)
        return -EBADMSG;
    if (names.len > 0)
        return 0;
    if (tag == EMAIL_NAME || tag == DNS_NAME || (tag == OTHER_NAME && is_principal(name, &name)))
        take_alt_user(user, name);
    return 0;
}

/* Takes the user from subjectAltName if that holds exactly one mail address. Returns their number or -EBADMSG. */
static int take_only_email(char user[], struct der names)
{
    struct der name;
    int count = 0;

    while (names.len > 0) {
        int tag = der_next(&names, &name);
        if (tag < 0)
            return -EBADMSG;
        if (tag != EMAIL_NAME)
            continue;
        count++;
        take_alt_user(user, name);
    }
    if (count > 1)
        user[0] = '\0';
    return count;
}

/* Takes the user from the subject if that holds exactly one attribute of this type. */
static int take_only_attribute(char user[], struct der subject, enum dn_type type)
{
    char text[FACTS_USER_MAX + 1];
    struct dn_value value;
    int count = dn_find(subject, type, &value);

    if (count == 1 && dn_value_text(text, sizeof text, &value) == 0)
        take_user(user, text);
    return count < 0 ? count : 0;
}

static int take_email(char user[], const struct certificate *c)
{
    int count = c->alt_names.at != NULL ? take_only_email(user, c->alt_names) : 0;

    if (count == 0)
        count = take_only_attribute(user, c->subject, DN_EMAIL);
    if (strchr(user, '@') == NULL)
        user[0] = '\0';
    return count < 0 ? count : 0;
}

int identity_take(struct client_facts *f, const struct certificate *c, enum client_name part)
{
    struct dn_value name;
    int rc = take_text(dn_text(f->subject, sizeof f->subject, c->subject), f->subject);

    f->common_name[0] = f->user[0] = '\0';
    if (rc == 0)
        rc = take_text(dn_text(f->issuer, sizeof f->issuer, c->issuer), f->issuer);
    if (rc == 0)
        rc = dn_find(c->subject, DN_COMMON_NAME, &name);
    if (rc > 0)
        rc = take_text(dn_value_text(f->common_name, sizeof f->common_name, &name), f->common_name);
    if (rc < 0)
        return rc;
    take_serial(f->serial, sizeof f->serial, c->serial);
    switch (part) {
    case CLIENT_NAME_CN:
        return take_only_attribute(f->user, c->subject, DN_COMMON_NAME);
    case CLIENT_NAME_EMAIL:
        return take_email(f->user, c);
    case CLIENT_NAME_SAN:
        return c->alt_names.at != NULL ? take_only_name(f->user, c->alt_names) : 0;
    }
    return -EBADMSG;
}
