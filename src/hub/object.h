/* A posted STIX object into a fact. Private to the room. */
#ifndef NR_HUB_OBJECT_H
#define NR_HUB_OBJECT_H

#include "hub/gate.h"
#include "json/json.h"

/*
 * Check J, a member of the parsed text TEXT, and describe it as a fact of
 * AUTHOR for the collection: kind object, marking effective, audience by the marking (red: AUTHOR alone, until
 * nr_object_named()). Views borrow from J and TEXT. NR_EFORMAT, NR_ELIMIT: D
 * says which clause.
 */
enum nr_err nr_object_fact(const struct nr_json *j, struct nr_bytes text,
    const struct nr_reader *author, int64_t collection, struct nr_fact *out,
    struct nr_diag *d) NR_MUST_USE;

/* Within a transaction: the audience of a red object, "x_noroshi_audience" of
 * pseudonyms; those unknown to the hub are nobody. */
enum nr_err nr_object_named(struct nr_db *db, struct nr_arena *scratch,
    struct nr_fact *f, struct nr_diag *d) NR_MUST_USE;

#endif
