/* Inside of the json room: parsing a part of a larger text. */
#ifndef NR_JSON_READ_H
#define NR_JSON_READ_H

#include "json/json.h"

struct json_part {
    struct nr_bytes in;
    size_t base;      /* offset of in.p in the whole text */
    size_t depth_max; /* at most NR_JSON_DEPTH_MAX */
    bool bom;         /* a byte order mark may lead it */
};

/* A NULL: check only, no tree; *OUT is then not written. */
enum nr_err json_parse_part(struct nr_arena *a, const struct json_part *part,
    const struct nr_json **out, struct nr_diag *d) NR_MUST_USE;

#endif
