/* Keys in order, by their octets: a comparison of two costs a miss of the
 * branch predictor, a million keys cost twenty million of them. */
#include "archive/order.h"

#include <stdlib.h>

#define FEW ((size_t)256) /* below it counting octets does not pay */

static int
by_key(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    return seg_key_cmp(x->key, y->key);
}

/* By octets [FROM, TO) of the lower half, the least significant first. */
static void
by_octets(struct order *v, struct order *spare, size_t n, unsigned from,
    unsigned to)
{
    for (unsigned at = from; at < to; at++) {
        size_t start[257] = { 0 };

        for (size_t i = 0; i < n; i++)
            start[(v[i].key.lo >> 8 * at & 0xff) + 1]++;
        for (size_t i = 1; i < 256; i++)
            start[i] += start[i - 1];
        for (size_t i = 0; i < n; i++)
            spare[start[v[i].key.lo >> 8 * at & 0xff]++] = v[i];
        memcpy(v, spare, n * sizeof(*v));
    }
}

void
order_sort(enum seg_class c, struct order *v, struct order *spare, size_t n)
{
    if (n < 2)
        return;
    if (c == SEG_V6 || n < FEW)
        qsort(v, n, sizeof(*v), by_key);
    else if (c == SEG_V4)
        by_octets(v, spare, n, 0, 4);
    else
        by_octets(v, spare, n, 8 - SEG_NAME_OCTETS, 8);
}
