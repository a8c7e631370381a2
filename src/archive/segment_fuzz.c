/* Behind the checksums: a segment whose sums are believed, walked whole. */
#include "archive/segment.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk_keys(struct segment *s, struct nr_arena *a)
{
    for (unsigned c = 0; c < SEG_CLASSES; c++) {
        struct seg_posting p;
        struct seg_key k;
        uint64_t at, n = segment_keys(s, c);

        for (uint64_t i = 0; i < n && i < 1000; i++)
            if (segment_key(s, c, i, &k, NULL) ||
                segment_seek(s, c, 0, k, &at, NULL) ||
                segment_posting(s, c, i, a, &p, NULL))
                break;
        if (segment_key(s, c, n, &k, NULL) == NR_OK)
            abort(); /* there is no such key */
    }
}

static void
walk_blocks(struct segment *s)
{
    struct seg_text t;

    seg_text_init(&t);
    for (uint32_t i = 0; i < segment_blocks(s) && i < 100; i++) {
        struct seg_block b;
        int64_t prev = 0;

        if (segment_block(s, i, &b, NULL) == NR_OK &&
            segment_read(s, &b, &t, NULL) == NR_OK) {
            struct nr_cur c = nr_cur(t.meta);

            while (nr_cur_left(&c) > 0 && !c.err)
                (void)seg_meta_next(&c, &prev);
        }
    }
    seg_text_fini(&t);
}

static void
walk_streams(struct segment *s)
{
    struct seg_stream x;
    struct nr_cur c;

    if (segment_rhythm_begin(s, &c, NULL) != NR_OK)
        return;
    while (segment_rhythm_next(&c, &x)) {
        struct nr_cur runs = nr_cur(x.runs), jumps = nr_cur(x.jumps);
        struct seg_jump jump;
        struct seg_run run;
        int64_t at = 0;
        size_t n = 0;

        for (; seg_run_next(&runs, &at, &run); n++)
            if (run.to < run.from || run.to >= SEG_HOURS)
                abort();
        if (n != x.n_runs || runs.err)
            abort(); /* what a row promises was checked */
        for (n = 0; seg_jump_next(&jumps, &jump); n++)
            if (jump.to_s >= jump.from_s)
                abort();
        if (n != x.n_jumps || jumps.err)
            abort();
    }
}

static void
walk_replaced(struct segment *s)
{
    struct seg_replaced r;

    for (uint64_t i = 0; i < segment_replaced_count(s) && i < 100; i++)
        if (segment_replaced(s, i, &r, NULL) == NR_OK &&
            r.seq >= segment_info(s)->seq)
            abort(); /* nothing is replaced by what is older */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned flags = 0; flags <= SEG_UNCHECKED; flags++) {
        struct segment *s = NULL;
        struct seg_file *files;
        struct seg_presence p;
        struct nr_arena a;
        struct nr_cur c;
        size_t n;

        if (segment_open_mem((struct nr_bytes){ data, size }, flags, &s, NULL))
            continue;
        nr_arena_init(&a, (size_t)1 << 24);
        if (segment_files(s, &a, &files, &n, NULL) == NR_OK && n > 0)
            (void)memchr(files[0].name.p, 0, files[0].name.n);
        if (segment_presence_begin(s, &c, NULL) == NR_OK)
            while (segment_presence_next(&c, &p))
                continue;
        walk_streams(s);
        walk_replaced(s);
        walk_keys(s, &a);
        walk_blocks(s);
        if (segment_verify(s, NULL) == NR_ESYS)
            abort(); /* nothing is asked of the system */
        nr_arena_fini(&a);
        segment_close(s);
    }
    return 0;
}
