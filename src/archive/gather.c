/* Rhythms of lines that are kept elsewhere, in the archive's own form. */
#include "archive/build.h"
#include "archive/coverage.h"
#include "archive/store.h"

#include <stdlib.h>

struct nr_gather {
    struct build_rhythm rhythm;
};

enum nr_err
nr_gather_new(struct nr_gather **out)
{
    struct nr_gather *g = calloc(1, sizeof(*g));

    if (!g)
        return NR_ENOMEM;
    build_rhythm_file(&g->rhythm, NR_STR(""));
    *out = g;
    return NR_OK;
}

void
nr_gather_free(struct nr_gather *g)
{
    if (!g)
        return;
    build_rhythm_fini(&g->rhythm);
    free(g);
}

enum nr_err
nr_gather_line(struct nr_gather *g, const struct nr_record *r, int64_t time_s)
{
    return build_rhythm_line(&g->rhythm, r, time_s) ? NR_OK : NR_ENOMEM;
}

enum nr_err
nr_gather_end(struct nr_gather *g, struct nr_str path, struct nr_buf *out)
{
    enum nr_err err;

    build_rhythm_file(&g->rhythm, path);
    err = build_rhythm_rows(&g->rhythm, out);
    build_rhythm_fini(&g->rhythm);
    g->rhythm = (struct build_rhythm){ 0 };
    build_rhythm_file(&g->rhythm, NR_STR(""));
    return err;
}

enum nr_err
nr_archive_mark_rows(struct nr_archive *a, struct nr_bytes rows)
{
    struct nr_cur c = nr_cur(rows);
    struct seg_stream row;

    while (segment_rhythm_next(&c, &row)) {
        struct nr_cur runs = nr_cur(row.runs);
        struct seg_run run;
        int64_t at = 0;

        if (streams_row(a, &row))
            return NR_ENOMEM;
        while (seg_run_next(&runs, &at, &run))
            for (int64_t day = run.from / 24; day <= run.to / 24; day++)
                if (nr_archive_mark(a, row.kinds, day))
                    return NR_ENOMEM;
    }
    return c.err;
}
