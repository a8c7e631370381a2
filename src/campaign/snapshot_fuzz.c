/* Behind the sum: a snapshot whose sum is made to hold, loaded and used. */
#include "campaign/snapshot.h"
#include "campaign/synth.h"

#include "base/hash.h"

#define MEMORY ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use(struct nr_campaigns *c)
{
    struct nr_campaign_item items[8];
    struct nr_campaign_pair pair;
    struct nr_campaign_bridge bridge;
    struct nr_campaign_question q[4];
    struct nr_campaign_view v;
    uint32_t n;

    for (uint32_t i = 0; i + 1 < 20; i++)
        (void)!nr_campaign_why(c, i, i + 1, items, 8, &pair);
    for (uint32_t k = 0; k < 20; k++) {
        (void)!nr_campaign_view(c, k, &v);
        (void)!nr_campaign_bridge(c, k, &bridge);
    }
    if (nr_campaign_settle(c, 0, NULL, NULL) == NR_OK)
        (void)!nr_campaign_questions(c, q, 4, &n);
    (void)!nr_campaign_rebuild(c, 19000, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    struct nr_campaigns *c;
    uint8_t *p = malloc(size + 8);
    uint64_t sum = 0;

    if (!p)
        return 0;
    if (size > 0)
        memcpy(p, data, size);
    for (size_t at = 0; at < size; at += SNAP_CHUNK) {
        size_t n = size - at < SNAP_CHUNK ? size - at : SNAP_CHUNK;

        sum = nr_xxh64((struct nr_bytes){ p + at, n }, sum);
    }
    for (size_t i = 0; i < 8; i++)
        p[size + i] = (uint8_t)(sum >> (8 * i) & 0xff);
    if (nr_campaign_load((struct nr_bytes){ p, size + 8 }, &mint, MEMORY, &c,
            NULL) == NR_OK) {
        use(c);
        nr_campaign_destroy(c);
    }
    free(p);
    return 0;
}
