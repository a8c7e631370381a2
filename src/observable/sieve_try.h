/* For the tests of the sieve: a list, and text to try it on. */
#ifndef NR_OBSERVABLE_SIEVE_TRY_H
#define NR_OBSERVABLE_SIEVE_TRY_H

#include "observable/observable.h"

#include <stddef.h>

struct try_list;

/* A list of "kind<TAB>value" lines; those that cannot be taken are left out,
 * and so are repetitions. Aborts when out of memory. */
struct try_list *try_list_create(struct nr_str text);
void try_list_destroy(struct try_list *l);

struct nr_sieve_set try_list_set(const struct try_list *l);

struct try_seen {
    size_t lines;         /* with a match, so far */
    struct nr_bytes line; /* without a spot: the line, */
    struct nr_bytes text; /* what matches in it, */
    unsigned kind;        /* and as what */
};

/*
 * Run the sieve of each variant of CPU over BLOCK (slack around it as the
 * contract wants) and the scanner. NULL, or what is wrong: a variant that
 * differs from the scalar one, spots out of order or outside, a line with a
 * match and without a spot (also under the options); *SEEN tells more.
 */
const char *try_block(const struct try_list *l, struct nr_bytes block,
    unsigned cpu, struct try_seen *seen);

#endif
