/* Putting keys in order. Private to the room. */
#ifndef NR_ARCHIVE_ORDER_H
#define NR_ARCHIVE_ORDER_H

#include "archive/segment.h"

/* A key and whose it is. */
struct order {
    struct seg_key key;
    uint32_t of;
};

/* Sort V[0..N) of class C as the index orders them: ascending stored keys.
 * SPARE: room for N more. */
void order_sort(enum seg_class c, struct order *v, struct order *spare,
    size_t n);

#endif
