/* Warninglists in memory; inside of the room. */
#ifndef NR_OBSERVABLE_WARN_H
#define NR_OBSERVABLE_WARN_H

#include "base/arena.h"
#include "base/table.h"
#include "observable/observable.h"

#include <regex.h>

enum nr_warn_type {
    NR_WARN_CIDR,
    NR_WARN_HOSTNAME,
    NR_WARN_STRING,
    NR_WARN_SUBSTRING,
    NR_WARN_REGEX,
};

struct nr_warn_list {
    struct nr_str name, title;
    enum nr_warn_type type;
    unsigned kinds; /* bit 1 << kind: it judges this kind */
    bool allowed;   /* switched off by nr_warn_allow() */
};

/* One entry; entries with equal keys are chained. */
struct nr_warn_entry {
    struct nr_str text;    /* as in the list */
    struct nr_bytes plain; /* substring: what to look for, lower case */
    struct nr_warn_list *list;
    bool below;                 /* names below it count too */
    regex_t *regex;             /* of a regex entry, else NULL */
    struct nr_warn_entry *next; /* same key, or next of its linear list */
};

/*
 * Most values are in no list. Bits that say so at once; a bit that is set says
 * nothing. Names are hashed octet by octet from their end on, so that one pass
 * over a text gives the hash of each of its suffixes.
 */
#define NR_WARN_GRAM      ((size_t)4) /* octets by which substrings are found */
#define NR_WARN_LONG_GRAM ((size_t)6) /* and those that are not shorter */
#define NR_WARN_WORDS     ((size_t)1 << 14) /* of a filter: 128 KiB */

struct nr_warn_filter {
    /* two bits in one word for each: names, names that hold for all below them,
     * short and long grams, ranges */
    uint64_t whole[NR_WARN_WORDS], below[NR_WARN_WORDS];
    uint64_t grams[2][NR_WARN_WORDS];
    uint64_t ranges[NR_WARN_WORDS];
    uint64_t nets[1 << 18]; /* a bit for each /24 of IPv4 */
    bool ends[256];         /* the last octet of a name */
    /* bit 1 << kind: one of them judges it */
    unsigned name_kinds, gram_kinds[2], linear_kinds;
};

struct nr_warnlists {
    struct nr_arena arena;
    struct nr_warn_filter *filter; /* in the arena; NULL: no entries */
    struct nr_table names;         /* lower-case text -> entry */
    struct nr_table nets;          /* canonical CIDR -> entry */
    struct nr_table grams[2];      /* first octets of a substring -> entry */
    struct nr_warn_entry *linear;  /* short substrings, regular expressions */
    struct nr_warn_list *lists[NR_WARN_LISTS_MAX];
    size_t n_lists, n_entries;
    uint64_t version; /* sum of the hashes of all that was taken */
    bool has_len4[33], has_len6[129];
    /* what the home excepts */
    struct nr_table allowed_names, allowed_nets;
    bool allowed_len4[33], allowed_len6[129];
};

/* A copy of B in the arena; p NULL: out of memory. */
struct nr_bytes nr_warn_keep(struct nr_warnlists *w, struct nr_bytes b);

/* TEXT, a list or an exception NAME, has a part in the version. */
void nr_warn_count_in(struct nr_warnlists *w, struct nr_str name,
    struct nr_bytes text);

/* Entry E is there: NAME, in lower case; its first NR_WARN_GRAM octets; a
 * canonical range. */
void nr_warn_mark_name(struct nr_warnlists *w, const struct nr_warn_entry *e,
    struct nr_bytes name);
void nr_warn_mark_gram(struct nr_warnlists *w, const struct nr_warn_entry *e);
void nr_warn_mark_net(struct nr_warnlists *w, struct nr_bytes net);

/* Put entry TEXT into LIST. NR_EFORMAT, NR_ELIMIT, NR_ENOMEM. */
enum nr_err nr_warn_put(struct nr_warnlists *w, struct nr_warn_list *list,
    struct nr_str text, struct nr_diag *d);

#endif
