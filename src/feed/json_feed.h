/* One JSON source on its way, inside the room. */
#ifndef NR_FEED_JSON_FEED_H
#define NR_FEED_JSON_FEED_H

#include "base/table.h"
#include "feed/take.h"

/* What the first pass learned of an object that others refer to. */
struct nr_feed_named {
    struct nr_str name;            /* of an identity */
    const struct nr_json *marking; /* a marking-definition */
};

struct nr_json_feed {
    struct nr_feed *f;
    struct nr_arena names;
    struct nr_table by_id; /* id -> struct nr_feed_named * */
};

/* TEXT is the source of J. */
enum nr_err nr_feed_stix_learn(struct nr_json_feed *s, const struct nr_json *j,
    struct nr_bytes text, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_feed_stix_object(struct nr_json_feed *s, const struct nr_json *j,
    struct nr_diag *d) NR_MUST_USE;

#endif
