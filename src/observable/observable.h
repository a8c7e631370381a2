/*
 * Observables: what can be read in a log line and named by an indicator.
 *
 * A kind is a row of one table. Every value has one canonical key (octets), so
 * that equality of two values is equality of (kind, key). The scanner finds in
 * a block of log lines every key that an indicator of a hot kind could have;
 * the meaning of "this line contains this indicator" is that of
 * tests/refmatch.py, line by line.
 *
 * Thread-safety: functions are pure or touch only their arguments.
 */
#ifndef NR_OBSERVABLE_H
#define NR_OBSERVABLE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Kinds. The numbers stand in files (watchlists, archive indexes): they are
 * never changed, new ones are added at the end. The first ten, up to SHA256,
 * are hot: the scanner finds them in log lines.
 *
 * Canonical key by kind:
 *   IPV4         4 octets, network order
 *   CIDR4        4 octets, host bits zero, then 1 octet prefix length 0..32
 *   IPV6         16 octets, network order (RFC 4291)
 *   CIDR6        16 octets, host bits zero, then 1 octet prefix length 0..128
 *   DOMAIN       A-labels, lower case, no final dot, at least two labels
 *   URL          scheme and authority lower case, the rest as written;
 *                without a scheme: "//host/path", standing for http and https
 *   EMAIL        lower case, domain as DOMAIN
 *   MD5..SHA512, JA3   the raw 16, 20, 32, 64, 16 octets
 *   WALLET_BTC   the address; bech32 in lower case
 *   WALLET_ETH   20 octets
 *   JA4          36 octets of text, lower case
 *   FILENAME     the name, ASCII in lower case (1..255 octets, no control, '/'
 *                or '\'): Windows does not tell upper from lower
 *   CVE          "CVE-2017-0199", upper case
 *   ASN          4 octets, network order
 */
enum nr_kind {
    NR_KIND_IPV4 = 0,
    NR_KIND_CIDR4 = 1,
    NR_KIND_CIDR6 = 2,
    NR_KIND_IPV6 = 3,
    NR_KIND_DOMAIN = 4,
    NR_KIND_URL = 5,
    NR_KIND_EMAIL = 6,
    NR_KIND_MD5 = 7,
    NR_KIND_SHA1 = 8,
    NR_KIND_SHA256 = 9,
    NR_KIND_SHA512 = 10,
    NR_KIND_WALLET_BTC = 11,
    NR_KIND_WALLET_ETH = 12,
    NR_KIND_JA3 = 13,
    NR_KIND_JA4 = 14,
    NR_KIND_FILENAME = 15,
    NR_KIND_CVE = 16,
    NR_KIND_ASN = 17,
};

#define NR_KINDS 18 /* number of kinds; numbers from here on name nothing */

#define NR_DOMAIN_MAX ((size_t)253)  /* octets (RFC 1035 2.3.4, as text) */
#define NR_LABEL_MAX  ((size_t)63)   /* octets (RFC 1035 2.3.4) */
#define NR_LOCAL_MAX  ((size_t)64)   /* octets (RFC 5321 4.5.3.1.1) */
#define NR_URL_MAX    ((size_t)8192) /* octets of a URL that an indicator has */
#define NR_KEY_MAX    NR_URL_MAX     /* octets of any canonical key */

/* --- the table of kinds --- */

/* External name ("ipv4", "cidr" for both CIDR kinds, ...); never NULL. */
const char *nr_kind_name(enum nr_kind kind);

/* By external name, also of the forms "wallet" (bitcoin) and "hostname". False
 * if there is none. "cidr" gives NR_KIND_CIDR4; see nr_canon_named(). */
bool nr_kind_from_name(struct nr_str name, enum nr_kind *kind) NR_MUST_USE;

/* Object path in a STIX pattern, "ipv4-addr:value"; "" where STIX has none. */
const char *nr_kind_stix_path(enum nr_kind kind);

/* Does nr_scan() find this kind (or members of it: CIDR)? */
bool nr_kind_is_hot(enum nr_kind kind);

/* Could KEY be a canonical key of KIND (length, alphabet)? For octets that
 * come from a file. KIND may be any number. */
bool nr_key_is_sound(unsigned kind, struct nr_bytes key) NR_MUST_USE;

/* --- canonical forms --- */

/*
 * Append the canonical key of TEXT, white space around it ignored. Defanged
 * text (nr_refang) is understood. NR_EFORMAT with what is wrong, NR_ELIMIT,
 * NR_ENOMEM; OUT is unchanged on failure. Host bits of a CIDR are cleared; a
 * single address is no CIDR. Domains of one label and reserved forms
 * (all-numeric last label) are refused: they would match everything.
 */
enum nr_err nr_canon(enum nr_kind kind, struct nr_str text, struct nr_buf *out,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The short way for values that stand in a list in their canonical form, or as
 * addresses, ranges and hashes do: true, and *KEY is what nr_canon() gives for
 * KIND (nr_canon_guess() for none); it lies in TEXT or in BUF. False says
 * nothing at all: nr_canon() knows. No trimming, no memory.
 */
#define NR_PLAIN_MAX ((size_t)32) /* octets of BUF */
bool nr_canon_plain(enum nr_kind kind, struct nr_bytes text,
    uint8_t buf[NR_PLAIN_MAX], struct nr_bytes *key) NR_MUST_USE;
bool nr_canon_plain_guess(struct nr_bytes text, enum nr_kind *kind,
    uint8_t buf[NR_PLAIN_MAX], struct nr_bytes *key) NR_MUST_USE;

/* As nr_canon for an external name: "cidr" becomes CIDR4 or CIDR6, "wallet"
 * bitcoin or ethereum, "ip" whichever of the four address kinds TEXT is. */
enum nr_err nr_canon_named(struct nr_str name, struct nr_str text,
    enum nr_kind *kind, struct nr_buf *out, struct nr_diag *d) NR_MUST_USE;

/* Kind and key of TEXT by its shape: addresses, CIDR, hashes by length, URL
 * (scheme or a path behind a domain), e-mail, CVE, wallets, JA4, domain.
 * Never JA3, file names nor ASN digits. NR_EFORMAT: no kind fits. */
enum nr_err nr_canon_guess(struct nr_str text, enum nr_kind *kind,
    struct nr_buf *out, struct nr_diag *d) NR_MUST_USE;

/*
 * Append the text of a canonical key: dotted quad, RFC 5952, lower-case hex,
 * "AS64496". nr_canon() of it gives KEY again. KEY must be sound.
 */
void nr_canon_print(enum nr_kind kind, struct nr_bytes key, struct nr_buf *out);

/* Address text, the whole of IN. IPv4: dotted quad without leading zeros.
 * IPv6: RFC 4291 2.2 forms 1 and 2; with EMBEDDED also form 3 (x::1.2.3.4). */
bool nr_ipv4_parse(struct nr_bytes in, uint8_t out[4]) NR_MUST_USE;
bool nr_ipv6_parse(struct nr_bytes in, bool embedded,
    uint8_t out[16]) NR_MUST_USE;
/* RFC 5952. */
void nr_ipv6_print(const uint8_t in[16], struct nr_buf *out);

/* A range of addresses and the fewest addresses and networks it is made of. */
struct nr_range {
    uint8_t first[16], last[16]; /* the rest of it; octets behind are 0 */
    size_t octets;               /* 4 or 16 */
    bool done;
};

/* "192.0.2.3-192.0.2.9", "2001:db8:: - 2001:db8::ff": two addresses of one
 * family, the first not above the last. False: TEXT is none. */
bool nr_range_parse(struct nr_str text, struct nr_range *out) NR_MUST_USE;

/* The next part of R, ascending: IPV4, CIDR4, IPV6 or CIDR6; its key has *N
 * octets. False: there is no more. */
bool nr_range_next(struct nr_range *r, enum nr_kind *kind, uint8_t key[17],
    size_t *n) NR_MUST_USE;

/* --- defanged text --- */

/* Append TEXT with the usual disarmings undone: hxxp(s), fxp, [.] (.) {.} [dot]
 * (dot) \. [:] [://] [at] [@] (at) [/], and an opening "[." never closed. */
void nr_refang(struct nr_str text, struct nr_buf *out);

/* Append the disarmed text of KEY: hxxp, [.] and [@]. Inverse of nr_canon. */
void nr_defang(enum nr_kind kind, struct nr_bytes key, struct nr_buf *out);

/* --- domains --- */

/* Take the first label off *D. False, *D unchanged, when the rest would be a
 * single label. The names under which an indicator can match a DOMAIN token:
 *     do look(d); while (nr_domain_up(&d)); */
static inline bool
nr_domain_up(struct nr_bytes *d)
{
    const uint8_t *dot = d->n ? memchr(d->p, '.', d->n) : NULL;
    size_t skip = dot ? (size_t)(dot - d->p) + 1 : 0;

    if (!dot || skip == d->n || !memchr(dot + 1, '.', d->n - skip))
        return false;
    *d = nr_bytes_sub(*d, skip, d->n);
    return true;
}

/* The registered domain (public suffix plus one label) of a canonical domain,
 * a tail of D; empty if D is itself a public suffix. Public Suffix List as
 * built into libpsl. */
struct nr_bytes nr_domain_registered(struct nr_bytes d);

/* Is the last label a top-level domain that exists (Public Suffix List)? Tells
 * "index.html" from a name; the scanner does not use it. */
bool nr_domain_has_known_tld(struct nr_bytes d);

/* --- the scanner --- */

#define NR_SCAN_BLOCK_MAX ((size_t)64 << 20) /* octets of a block */

/* One observable in one line. */
struct nr_token {
    uint32_t line;   /* index of the line in the block, from 0 */
    uint32_t at;     /* offset of the text in the block */
    uint32_t len;    /* octets of the text as it stands there */
    uint32_t key_at; /* offset of the key in nr_tokens.keys */
    uint32_t key_n;  /* octets of the key */
    uint32_t kind;   /* enum nr_kind */
};

struct nr_tokens {
    struct nr_token *v; /* owned; ascending by line */
    size_t n, cap;
    struct nr_buf keys;
    uint32_t *line_at; /* owned; offset of each line's first octet */
    size_t n_lines, cap_lines;
    unsigned flags;             /* as asked at init */
    struct nr_buf plain, edits; /* the scanner's own, for NR_SCAN_FANGS */
};

/*
 * Options of the scanner. Each one only adds tokens. Without them the tokens
 * are those of tests/refmatch.py; what each adds is written down, in Python,
 * in tests/refrules.py.
 *   MORE        sha512, cve, wallets, ja4 and AS numbers
 *   JA3         an MD5 is a JA3 fingerprint as well
 *   FILES       names of files: words with a dot inside, or behind a slash,
 *               and quoted names with spaces, from their last slash on
 *   IDN         names in U-labels (UTF-8), as DOMAIN in A-labels
 *   FANGS       the line with its disarming undone, read once more
 *   PORTS       tcpdump: "1.2.3.4.443" as 1.2.3.4, "evil.com.443" as evil.com,
 *               "2001:db8::1.443" as 2001:db8::1
 *   RANGES      "10.0.0.1-10.0.0.9" and "10.0.0.1-9": both ends
 *   URL_BARE    a URL also without query and fragment
 *   URL_PREFIX  a URL also up to each border: a head that holds the whole
 *               authority and either ends in one of / ? # & = or is followed
 *               by one of / ? # &; at most NR_URL_HEADS_MAX of them
 */
#define NR_SCAN_MORE       1u
#define NR_SCAN_JA3        2u
#define NR_SCAN_FILES      4u
#define NR_SCAN_IDN        8u
#define NR_SCAN_FANGS      16u
#define NR_SCAN_PORTS      32u
#define NR_SCAN_RANGES     64u
#define NR_SCAN_URL_BARE   128u
#define NR_SCAN_URL_PREFIX 256u

#define NR_URL_HEADS_MAX ((size_t)64) /* shorter readings of one URL */

/* What the sieve (sieve.h) does not look for: under one of these every line is
 * scanned. */
#define NR_SCAN_BEYOND_SIEVE                                      \
    (NR_SCAN_MORE | NR_SCAN_JA3 | NR_SCAN_FILES | NR_SCAN_PORTS | \
        NR_SCAN_RANGES)

/* The options that a list needs which holds KINDS (bit 1 << kind), and names
 * with an "xn--" label (HAS_IDN): of MORE, JA3, FILES and IDN. */
unsigned nr_scan_flags_of(uint32_t kinds, bool has_idn);

void nr_tokens_init(struct nr_tokens *t, unsigned flags);
void nr_tokens_fini(struct nr_tokens *t);

static inline struct nr_bytes
nr_token_key(const struct nr_tokens *t, const struct nr_token *k)
{
    return (struct nr_bytes){ t->keys.p + k->key_at, k->key_n };
}

/*
 * All tokens of BLOCK, which holds whole lines (the last one may lack its line
 * feed); *OUT is emptied first and keeps its memory. The same (kind, key) may
 * come several times for one line. NR_ELIMIT (block longer than
 * NR_SCAN_BLOCK_MAX), NR_ENOMEM.
 *
 * What a token is: an address or hash that stands alone; a DOMAIN is the whole
 * run of letters, digits, '.', '-', '_' in lower case, of which every dotted
 * suffix counts (nr_domain_up; runs longer than NR_DOMAIN_MAX give their
 * longest dotted suffix within it); a run with a last label that cannot be a
 * top-level domain gives none. Behind "%HH", "\n", "\r", "\t" the run without
 * the tail of the escape is a second token. A URL comes as written (scheme and
 * authority lower case, "\/" as "/") and, when it ends in punctuation, once
 * more without it. CIDR indicators match the IPV4 and IPV6 tokens inside.
 */
enum nr_err nr_scan(struct nr_bytes block, struct nr_tokens *out) NR_MUST_USE;

/* A variant of nr_scan(). The scalar one is the definition; a faster one for
 * the machine at hand must give the same tokens in the same order. */
struct nr_scanner {
    const char *name; /* "scalar" */
    enum nr_err (*scan)(struct nr_bytes block, struct nr_tokens *out);
};

/* The fastest variant that this machine and CPU (enum nr_cpu; NR_CPU_ALL for
 * whatever there is) have. */
struct nr_scanner nr_scanner_choose(unsigned cpu);

/* --- the sieve before the scanner --- */

#include "observable/sieve.h"

/* --- warninglists --- */

/*
 * Values that must not raise an alarm nor link two reports, in MISP's
 * warninglist JSON. `matching_attributes` says which kinds a list judges (all
 * when it is missing). `type` says how:
 *   cidr       the address, or the whole range, lies inside an entry
 *   hostname   the name is an entry or stands below one (leading dot or not)
 *   string     equal; an entry with a leading dot: that name or below it
 *   substring  the entry stands somewhere in the text
 *   regex      POSIX extended, without regard to case
 * A URL is judged by its host (cidr, hostname, string) and as a whole text.
 */
struct nr_warnlists;

struct nr_warn_hit {
    struct nr_str list;  /* short name: the file's name without ".json" */
    struct nr_str title; /* "name" of the list */
    struct nr_str entry; /* as it stands in the list */
};

#define NR_WARN_LISTS_MAX   ((size_t)512)
#define NR_WARN_FILE_MAX    ((size_t)64 << 20) /* octets of one list */
#define NR_WARN_ENTRIES_MAX ((size_t)4 << 20)  /* entries of all lists */

/* Load every *.json of DIR. NR_ENOTFOUND (no such directory, or no list in
 * it), NR_EFORMAT naming the file, NR_ELIMIT, NR_ENOMEM, NR_ESYS. */
enum nr_err nr_warn_load(const char *dir, struct nr_warnlists **out,
    struct nr_diag *d) NR_MUST_USE;
void nr_warn_destroy(struct nr_warnlists *w); /* NULL is allowed */

/* Except WHAT from all lists: a CIDR, an address, a domain with everything
 * below it, or a list by its short name. NR_EFORMAT, NR_ENOMEM. */
enum nr_err nr_warn_allow(struct nr_warnlists *w, struct nr_str what,
    struct nr_diag *d) NR_MUST_USE;

/* Is the value listed? *HIT says where; borrowed from W. W may be NULL: no. */
bool nr_warn_check(const struct nr_warnlists *w, enum nr_kind kind,
    struct nr_bytes key, struct nr_warn_hit *hit) NR_MUST_USE;

/* A number for all that decides W's judgements: the octets of its lists, their
 * names, the exceptions, in whatever order. 0 only for W NULL, no lists. */
uint64_t nr_warn_version(const struct nr_warnlists *w);

size_t nr_warn_list_count(const struct nr_warnlists *w);
size_t nr_warn_entry_count(const struct nr_warnlists *w);

#endif
