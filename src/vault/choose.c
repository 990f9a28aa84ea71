/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/choose.h"

enum fit choose_fit(const struct wish *w, enum key_kind kind)
{
    return kind == KEY_RSA ? w->rsa : kind == KEY_ECDSA ? w->ecdsa : w->ed25519;
}

enum chain_verdict choose_certificate(const struct candidate *c, size_t count, const struct wish *w,
                                      bool old_versions, size_t *number)
{
    enum chain_verdict verdict = CHAIN_NO_SUCH_NAME;
    enum fit best = FIT_NONE;

    for (size_t i = 0; i < count; i++) {
        enum fit fit = choose_fit(w, c[i].kind);
        if (!c[i].for_name)
            continue;
        if (verdict == CHAIN_NO_SUCH_NAME)
            verdict = CHAIN_NONE_FITS;
        if (fit > best || (fit == best && fit != FIT_NONE && c[i].kind != KEY_RSA) ||
            (verdict != CHAIN_GIVEN && old_versions)) {
            verdict = CHAIN_GIVEN;
            best = fit;
            *number = i;
        }
    }
    return verdict;
}

enum other choose_explain(const struct candidate *chosen, const struct candidate *other,
                          const struct wish *w)
{
    enum fit fit = choose_fit(w, other->kind);

    if (!other->for_name)
        return OTHER_NAMES;
    if (fit == choose_fit(w, chosen->kind))
        return other->kind == KEY_RSA ? OTHER_SLOWER : OTHER_FITS;
    return fit == FIT_NONE ? OTHER_UNFIT : OTHER_LEGACY;
}
