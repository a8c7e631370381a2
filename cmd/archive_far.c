#include "archive_far.h"

#include "logline/logline.h"

#include <stdio.h>

static const char *
day(int64_t s, char *buf)
{
    return s == NR_TIME_NONE ? "-" : nr_day_print(nr_day_of(s), buf);
}

int
archive_far_stat(struct cli *cli, const char *address)
{
    struct nr_archive_presence days[NR_LOG_KINDS];
    struct nr_clickhouse *c = NULL;
    struct nr_archive_stat st;
    struct nr_diag d = { 0 };
    char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];
    enum nr_err err = nr_clickhouse_open(address, false, &c, &d);

    if (!err)
        err = nr_clickhouse_stat(c, &st, days, &d);
    nr_clickhouse_close(c);
    if (err)
        return cli_fail(cli, &d);
    (void)printf("files\t%llu\nlines\t%llu\noctets\t%llu\nfirst\t%s\n"
                 "last\t%s\n",
        (unsigned long long)st.files, (unsigned long long)st.lines,
        (unsigned long long)st.text, day(st.first_s, from), day(st.last_s, to));
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        int64_t span = days[k].range.to - days[k].range.from + 1;

        if (days[k].days == 0)
            continue;
        (void)printf("days %s\t%llu\t%.3f\t%s\t%s\n", nr_log_kind_name(k),
            (unsigned long long)days[k].days,
            (double)days[k].days / (double)span,
            nr_day_print(days[k].range.from, from),
            nr_day_print(days[k].range.to, to));
    }
    return CLI_NOTHING;
}
