#include "hunt_summary.h"

#include "archive/coverage.h"

#include <stdio.h>

#define SENTENCE_MAX ((size_t)1 << 16)

enum nr_err
hunt_summary(const struct nr_archive *a, struct nr_clickhouse *c,
    const struct nr_answer *v, size_t n, struct nr_diag *d)
{
    static const enum nr_lang langs[] = { NR_LANG_JA, NR_LANG_EN };
    struct nr_archive *far = NULL;
    enum nr_err err = NR_OK;
    struct nr_buf b;

    if (!a && c) {
        err = nr_clickhouse_presence(c, &far, d);
        a = far;
    }
    nr_buf_init(&b, SENTENCE_MAX);
    for (size_t i = 0; !err && i < sizeof(langs) / sizeof(langs[0]); i++) {
        nr_buf_reset(&b);
        nr_coverage_sentence(a, v, n, NULL, langs[i], &b);
        if (nr_buf_cstr(&b))
            (void)fprintf(stderr, "%s\n", nr_buf_cstr(&b));
        else
            err = nr_fail(d, b.err, 0, "hunt: no memory for the summary");
    }
    nr_buf_fini(&b);
    nr_archive_close(far);
    return err;
}
