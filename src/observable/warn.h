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

struct nr_warnlists {
    struct nr_arena arena;
    struct nr_table names;        /* lower-case text -> entry */
    struct nr_table nets;         /* canonical CIDR -> entry */
    struct nr_table grams;        /* first 4 octets of a substring -> entry */
    struct nr_warn_entry *linear; /* short substrings, regular expressions */
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

/* Put entry TEXT into LIST. NR_EFORMAT, NR_ELIMIT, NR_ENOMEM. */
enum nr_err nr_warn_put(struct nr_warnlists *w, struct nr_warn_list *list,
    struct nr_str text, struct nr_diag *d);

#endif
