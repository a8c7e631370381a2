/* What the files of this room share: the rules that canonical forms and the
 * scanner must have in common, so that they cannot drift apart. */
#ifndef NR_OBSERVABLE_RULES_H
#define NR_OBSERVABLE_RULES_H

#include "base/str.h"
#include "observable/observable.h"

#include <stdbool.h>
#include <stddef.h>

/* Could these octets (lower case) be a top-level domain: two or more letters,
 * digits, hyphens, a letter first, no hyphen last? "com", "xn--p1ai". */
bool nr_tld_is_sound(struct nr_bytes label);

/* A canonical domain: see observable.h. */
bool nr_domain_is_sound(struct nr_bytes d);

/* Octets of a canonical e-mail address' local part. */
bool nr_local_is_sound(struct nr_bytes local);

/* Octets that a URL may contain in a log line (the others end it). */
bool nr_url_octet(uint8_t c);

/* Length of "scheme://" or "//" at the start of U; 0: neither. */
size_t nr_url_head(struct nr_bytes u);

/* The authority of U behind a head of HEAD octets. */
struct nr_bytes nr_url_authority(struct nr_bytes u, size_t head);

/* Does this authority carry a mark of disarming ("[.]", "(dot)", ...)? */
bool nr_is_fanged_off(struct nr_bytes authority);

/* Does U start with "hxxp:" or its like? */
bool nr_scheme_is_disarmed(struct nr_bytes u);

/* The host of an authority, without user and port; brackets of an IPv6
 * literal are off. */
struct nr_bytes nr_authority_host(struct nr_bytes authority);

/* Values of the kinds beyond the hot ones, the whole of B. */
bool nr_is_cve(struct nr_bytes b);     /* any case */
bool nr_is_ja4(struct nr_bytes b);     /* lower case */
bool nr_is_bitcoin(struct nr_bytes b); /* base58check or bech32(m), checked */

#define NR_FILENAME_MAX ((size_t)255) /* octets */

/* Tokens of the kinds beyond the hot ones in the run [AT, END) of BLOCK. */
struct nr_token;
void nr_scan_more(struct nr_bytes block, size_t at, size_t end, uint32_t line,
    struct nr_tokens *out);

/* Append a token; a failure stays in out->keys.err. KEY may be NULL: room for
 * N octets of key is left to the caller at the returned place. */
uint8_t *nr_tokens_put(struct nr_tokens *out, enum nr_kind kind, uint32_t line,
    size_t at, size_t len, const uint8_t *key, size_t n);

/* Append K, whose key is (part of) one that stands in OUT already. */
void nr_tokens_put_shared(struct nr_tokens *out, struct nr_token k);

/* One mark of disarming undone: offset TO of the plain line is offset FROM of
 * the line as it stood, and so on to the next edit. */
struct nr_edit {
    uint32_t to, from;
};

/* Append LINE with every mark of disarming undone, and every disarmed scheme
 * that is not behind a letter or digit; EDITS takes a struct nr_edit for each,
 * ascending. False: there is none, and nothing was appended. */
bool nr_refang_line(struct nr_bytes line, struct nr_buf *out,
    struct nr_buf *edits) NR_MUST_USE;

#endif
