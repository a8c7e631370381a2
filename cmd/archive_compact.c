/* noroshi archive compact: small segments become few larger ones. */
#include "archive_keep.h"

#include "archive/compact.h"

#include <stdio.h>

#define HOLDS_MEMORY ((size_t)16 << 20)

static void
merged(void *ctx, const struct nr_compact_merge *m)
{
    (void)ctx;
    if (m->seq > 0)
        (void)printf("merged\t%zu\t%016llx.seg\t%llu\t%llu\t%llu\n",
            m->segments, (unsigned long long)m->seq,
            (unsigned long long)m->text, (unsigned long long)m->from,
            (unsigned long long)m->to);
    else
        (void)printf("would merge\t%zu\t-\t%llu\t%llu\t-\n", m->segments,
            (unsigned long long)m->text, (unsigned long long)m->from);
}

int
archive_compact(struct archive_keep *k)
{
    struct nr_compact_options o = { .now_s = nr_env_now_s(&k->cli->env),
        .memory = k->memory,
        .least = k->least,
        .span_days = k->span_days < INT32_MAX ? (int64_t)k->span_days : 0,
        .dry_run = k->dry_run,
        .merged = merged };
    struct nr_compacted got = { 0 };
    struct nr_archive *a = NULL;
    struct nr_holds holds = { 0 };
    struct nr_arena arena;
    struct nr_diag d = { 0 };
    enum nr_err err = archive_keep_open(k, !k->dry_run, false, &a, &d);

    nr_arena_init(&arena, HOLDS_MEMORY);
    if (!err)
        err = nr_holds_read(k->dir, &arena, &holds, &d);
    o.holds = &holds;
    if (!err)
        err = nr_archive_compact(a, &o, &got, &d);
    if (a)
        (void)printf("%s %zu segments into %zu, removed %zu files replaced "
                     "before, %zu segments %s\n",
            k->dry_run ? "would merge" : "merged", got.segments, got.merges,
            got.removed, got.left, k->dry_run ? "now" : "left");
    if (got.runs > 0)
        (void)
            printf("indexed %zu segments in %zu runs, %llu keys, %llu octets\n",
                got.run_segments, got.runs, (unsigned long long)got.run_keys,
                (unsigned long long)got.run_octets);
    nr_archive_close(a);
    nr_arena_fini(&arena);
    if (err)
        return cli_fail(k->cli, &d);
    return k->failed > 0 ? CLI_INCOMPLETE : CLI_NOTHING;
}
