/* A run as it may lie on a disk. Its checksums are made to hold first, so that
 * what they would keep out is read, too: opened, looked up in and verified, no
 * segment is told that it does not cover. */
#include "archive/run.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define OCTETS_MAX ((size_t)1 << 20)
#define TOLD_MAX   ((uint64_t)1 << 20) /* segments told, all in all */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put(uint8_t *p, uint64_t v)
{
    for (size_t i = 0; i < 8; i++, v >>= 8)
        p[i] = (uint8_t)(v & 0xff);
}

static uint64_t
get(const uint8_t *p)
{
    uint64_t v = 0;

    for (size_t i = 8; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static void
mend(uint8_t *p, size_t n)
{
    uint64_t sums_at = get(p + n - RUN_TRAILER + 32), page = 0;

    put(p + 24, nr_xxh64((struct nr_bytes){ p, 24 }, 0));
    put(p + n - RUN_TRAILER + 40, n);
    if (sums_at < RUN_HEADER || sums_at > n - RUN_TRAILER)
        return;
    for (uint64_t at = RUN_HEADER; at < sums_at; at += RUN_PAGE, page++) {
        uint64_t end = sums_at - at > RUN_PAGE ? at + RUN_PAGE : sums_at;

        if (sums_at + page * 8 + 8 > n - RUN_TRAILER)
            return;
        put(p + sums_at + page * 8,
            nr_xxh64((struct nr_bytes){ p + at, end - at }, 0));
    }
    put(p + n - 8,
        nr_xxh64((struct nr_bytes){ p + sums_at, n - 8 - sums_at }, 0));
}

static void
told(void *ctx, uint32_t ordinal)
{
    if (ordinal >= run_covers(*(struct run **)ctx))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *r = NULL;
    uint8_t *p;

    if (size < RUN_HEADER + RUN_TRAILER || size > OCTETS_MAX)
        return 0;
    p = malloc(size);
    if (!p)
        return 0;
    memcpy(p, data, size);
    mend(p, size);
    if (run_open_mem((struct nr_bytes){ p, size }, "fuzz", &r, NULL) == NR_OK) {
        for (unsigned c = 0; c < SEG_CLASSES; c++) {
            struct run_place at = { 0 };

            for (uint64_t k = 1; k != 0; k <<= 3)
                if (run_look(r, c, &at, k, k | k >> 1, told, &r, NULL) != NR_OK)
                    break;
            if (run_keys(r, c) * run_covers(r) < TOLD_MAX &&
                run_look(r, c, &at, 0, UINT64_MAX, told, &r, NULL) != NR_OK)
                break;
        }
        if (run_verify(r, NULL) == NR_ENOMEM)
            abort();
    }
    run_close(r);
    free(p);
    return 0;
}
