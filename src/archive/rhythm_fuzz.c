/* Rows of section RHYTHM as they may lie on a disk or come from a server: read,
 * judged and looked at; what is reported must lie in the archive. */
#include "archive/coverage.h"
#include "archive/segment.h"
#include "logline/logline.h"

#include <stdlib.h>

#define NOW INT64_C(157766400) /* 1975: few hours, many runs */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_stream(const struct nr_archive *a, size_t i)
{
    struct nr_stream s = nr_coverage_stream(a, i);
    int64_t before = INT64_MIN;

    for (size_t j = 0; j < s.n_gaps; j++) {
        const struct nr_gap *g = &s.gaps[j];

        if (g->from_s >= g->to_s || g->from_s < before || g->from_s < s.first_s)
            abort();
        before = g->to_s;
    }
    for (size_t j = 0; j < s.n_unsure; j++)
        if (s.unsure[j].from_s >= s.unsure[j].to_s)
            abort();
    if (s.hours > 0 && s.first_s >= s.last_s)
        abort();
    for (int64_t day = -2; day < 40; day++)
        (void)nr_coverage_stream_day(a, i, s.first_s / NR_S_PER_DAY + day);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_archive *a = nr_archive_blank();
    enum nr_err err;

    if (!a)
        return 0;
    err = nr_archive_mark_rows(a, (struct nr_bytes){ data, size });
    if (err != NR_OK && err != NR_EFORMAT && err != NR_ETRUNC &&
        err != NR_ENOMEM)
        abort();
    if (nr_coverage_find(a, NOW, NULL) == NR_OK)
        for (size_t i = 0; i < nr_coverage_streams(a) && i < 8; i++)
            check_stream(a, i);
    nr_archive_close(a);
    return 0;
}
