/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x509/dn.h"

#include "common/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ATTRIBUTES_MAX 64

enum {
    UTF8_STRING = 12,
    NUMERIC_STRING = 18,
    PRINTABLE_STRING = 19,
    T61_STRING = 20,
    IA5_STRING = 22,
    VISIBLE_STRING = 26,
    UNIVERSAL_STRING = 28,
    BMP_STRING = 30,
};

struct attribute {
    struct der type; /* an OID's bytes */
    struct dn_value value;
};

/* Types of attributes: those below 2.5.4 in the order of their last number, then the others in use. */
static const struct {
    const char *name;
    const char *oid;
} types[] = {
    {"CN", "\x55\x04\x03"},
    {"SN", "\x55\x04\x04"},
    {"serialNumber", "\x55\x04\x05"},
    {"C", "\x55\x04\x06"},
    {"L", "\x55\x04\x07"},
    {"ST", "\x55\x04\x08"},
    {"street", "\x55\x04\x09"},
    {"O", "\x55\x04\x0a"},
    {"OU", "\x55\x04\x0b"},
    {"title", "\x55\x04\x0c"},
    {"description", "\x55\x04\x0d"},
    {"businessCategory", "\x55\x04\x0f"},
    {"postalCode", "\x55\x04\x11"},
    {"telephoneNumber", "\x55\x04\x14"},
    {"name", "\x55\x04\x29"},
    {"GN", "\x55\x04\x2a"},
    {"initials", "\x55\x04\x2b"},
    {"generationQualifier", "\x55\x04\x2c"},
    {"dnQualifier", "\x55\x04\x2e"},
    {"pseudonym", "\x55\x04\x41"},
    {"organizationIdentifier", "\x55\x04\x61"},
    {"emailAddress", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"},
    {"unstructuredName", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02"},
    {"UID", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"},
    {"mail", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x03"},
    {"DC", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"},
};

static const char *type_name(struct der oid)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].oid) == oid.len && memcmp(types[i].oid, oid.at, oid.len) == 0)
            return types[i].name;
    return NULL;
}

/* A text under construction. Bytes that do not fit set `full`. */
struct text {
    char *at;
    size_t size;
    size_t len;
    bool full;
};

static void put(struct text *t, const void *bytes, size_t len)
{
    if (t->full || len >= t->size - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = '\0';
}

static void put_word(struct text *t, const char *word)
{
    put(t, word, strlen(word));
}

/* Begins a text in a buffer of `size` bytes; size > 0. */
static struct text begin(char *text, size_t size)
{
    *text = '\0';
    return (struct text){.at = text, .size = size};
}

static int finish(struct text *t)
{
    if (!t->full)
        return 0;
    t->at[0] = '\0';
    return -ENOSPC;
}

static void put_hex(struct text *t, const char *before, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len && !t->full; i++) {
        const char pair[] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        put_word(t, before);
        put(t, pair, sizeof pair);
    }
}

/* Takes one character off a string. Returns false for a byte that is not UTF-8, and takes it, too. */
static bool next_character(int tag, struct der *string, uint32_t *code)
{
    size_t unit = tag == BMP_STRING ? 2 : tag == UNIVERSAL_STRING ? 4 : 1;
    bool good = true;

    *code = 0;
    if (tag == T61_STRING || unit > 1) {
        /* Reads T.61 as Latin-1, as most programs use it. */
        for (size_t i = 0; i < unit; i++)
            *code = *code << 8 | string->at[i];
    } else {
        unit = utf8_next(string->at, string->len, code);
        good = unit > 0;
        if (!good) {
            *code = string->at[0];
            unit = 1;
        }
    }
    string->at += unit;
    string->len -= unit;
    return good;
}

/* True for a string that can be written as text. Strings of 16 and 32 bits must be well-formed. */
static bool is_text(const struct dn_value *value)
{
    struct der rest = value->bytes;
    uint32_t code;

    switch (value->tag) {
    case UTF8_STRING:
    case NUMERIC_STRING:
    case PRINTABLE_STRING:
    case T61_STRING:
    case IA5_STRING:
    case VISIBLE_STRING:
        return true;
    case BMP_STRING:
    case UNIVERSAL_STRING:
        if (rest.len % (value->tag == BMP_STRING ? 2 : 4) != 0)
            return false;
        while (rest.len > 0) {
            (void)next_character(value->tag, &rest, &code);
            if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                return false;
        }
        return true;
    default:
        return false;
    }
}

/* True for a character that must be escaped in a DN (RFC 4514 section 2.4). */
static bool has_meaning(uint32_t code, bool first, bool last)
{
    if (code == ' ')
        return first || last;
    if (code == '#')
        return first;
    return code > 0 && code < 0x80 && strchr("\"+,;<>", (int)code) != NULL;
}

static void put_value(struct text *t, const struct dn_value *value, bool in_dn)
{
    struct der rest = value->bytes;

    if (!is_text(value)) {
        put_word(t, "#");
        put_hex(t, "", value->whole.at, value->whole.len);
        return;
    }
    for (bool first = true; rest.len > 0 && !t->full; first = false) {
        uint32_t code;
        uint8_t bytes[4];
        if (!next_character(value->tag, &rest, &code)) {
            const uint8_t byte = (uint8_t)code;
            put_hex(t, "\\", &byte, 1);
            continue;
        }
        size_t len = utf8_put(bytes, code);
        if (utf8_is_control(code)) {
            put_hex(t, "\\", bytes, len);
            continue;
        }
        if (code == '\\' || (in_dn && has_meaning(code, first, rest.len == 0)))
            put_word(t, "\\");
        put(t, bytes, len);
    }
}

/* Writes an OID (X.690 section 8.19) as numbers with dots between. Returns 0 or -EBADMSG. */
static int put_oid(struct text *t, struct der oid)
{
    uint64_t arc = 0;
    bool first = true;
    char number[48];

    if (oid.len == 0 || (oid.at[oid.len - 1] & 0x80) != 0)
        return -EBADMSG;
    for (size_t i = 0; i < oid.len; i++) {
        if (arc > UINT64_MAX >> 8)
            return -EBADMSG;
        arc = arc << 7 | (oid.at[i] & 0x7f);
        if ((oid.at[i] & 0x80) != 0)
            continue;
        if (first) {
            uint64_t top = arc < 40 ? 0 : arc < 80 ? 1 : 2;
            (void)snprintf(number, sizeof number, "%" PRIu64 ".%" PRIu64, top, arc - 40 * top);
        } else {
            (void)snprintf(number, sizeof number, ".%" PRIu64, arc);
        }
        put_word(t, number);
        first = false;
        arc = 0;
    }
    return 0;
}

static int put_attribute(struct text *t, const struct attribute *a)
{
    const char *name = type_name(a->type);

    if (name != NULL) {
        put_word(t, name);
        put_word(t, "=");
        put_value(t, &a->value, true);
        return 0;
    }
    int rc = put_oid(t, a->type);
    put_word(t, "=#");
    put_hex(t, "", a->value.whole.at, a->value.whole.len);
    return rc;
}

/* Takes one AttributeTypeAndValue off a set of them. */
static int take_attribute(struct der *set, struct attribute *a)
{
    struct der pair;

    if (der_take(set, DER_SEQUENCE, &pair) < 0 || der_take(&pair, DER_OID, &a->type) < 0)
        return -EBADMSG;
    a->value.whole = pair;
    a->value.tag = der_next(&pair, &a->value.bytes);
    return a->value.tag < 0 || pair.len != 0 ? -EBADMSG : 0;
}

int dn_text(char *text, size_t size, struct der name)
{
    struct attribute all[ATTRIBUTES_MAX];
    bool joined[ATTRIBUTES_MAX]; /* the attribute is in one set with the one before it */
    size_t count = 0;
    struct text t = begin(text, size);
    struct der set;
    int rc = 0;

    while (rc == 0 && name.len > 0) {
        rc = der_take(&name, DER_SET, &set);
        if (rc == 0 && set.len == 0)
            rc = -EBADMSG;
        for (bool join = false; rc == 0 && set.len > 0; join = true) {
            if (count == ATTRIBUTES_MAX)
                return -ENOSPC;
            joined[count] = join;
            rc = take_attribute(&set, &all[count++]);
        }
    }
    /* Begins with the last one: RFC 4514 section 2.1. */
    for (size_t i = count; rc == 0 && i-- > 0;) {
        rc = put_attribute(&t, &all[i]);
        if (i > 0)
            put_word(&t, joined[i] ? "+" : ",");
    }
    if (rc < 0) {
        *text = '\0';
        return rc;
    }
    return finish(&t);
}

int dn_value_text(char *text, size_t size, const struct dn_value *value)
{
    struct text t = begin(text, size);

    put_value(&t, value, false);
    return finish(&t);
}

int dn_find(struct der name, enum dn_type type, struct dn_value *first)
{
    static const char *const wanted[] = {[DN_COMMON_NAME] = "CN", [DN_EMAIL] = "emailAddress"};
    struct attribute a;
    struct der set;
    int count = 0;

    while (name.len > 0) {
        if (der_take(&name, DER_SET, &set) < 0)
            return -EBADMSG;
        while (set.len > 0) {
            if (take_attribute(&set, &a) < 0)
                return -EBADMSG;
            const char *found = type_name(a.type);
            if (found == NULL || strcmp(found, wanted[type]) != 0)
                continue;
            if (count == 0)
                *first = a.value;
            count++;
        }
    }
    return count;
}
