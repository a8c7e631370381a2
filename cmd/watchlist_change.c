/* noroshi watchlist add, rm, merge: a list changes at the cost of the change. */
#include "watchlist.h"

#include "feed_print.h"
#include "warn.h"

#include "alert/alert.h"
#include "base/date.h"
#include "observable/observable.h"

#include <stdio.h>
#include <string.h>

#define NOTES_SHOWN ((size_t)20)
#define OUT_MAX     ((size_t)1 << 16)
#define MERGE_PART \
    ((size_t)4) /* deltas of a quarter of the base are worth it */

static const char add_usage[] = "add LIST [--notes] [--json] " FEED_TAKE_USAGE
                                "\n       FILE...";
static const char rm_usage[] =
    "rm LIST [--notes] [--json] [--format FORM] FILE...";

struct wanted {
    struct cli *cli;
    struct feed_options take;
    bool notes, json, remove;
};

static void
print(const struct wanted *o, const struct nr_feed_stats *st,
    const struct nr_watchlist_change *c)
{
    const struct nr_figure v[] = {
        { "values", st->values },
        { "taken", st->taken },
        { "flagged", st->flagged },
        { "not_matchable", st->unmatchable },
        { "refused", st->refused },
        { "added", c->added },
        { "changed", c->changed },
        { "removed", c->removed },
        { "absent", c->absent },
        { "deltas", c->deltas },
        { "delta_indicators", c->delta_n },
        { "base_indicators", c->base_n },
    };
    struct nr_buf out;

    nr_buf_init(&out, OUT_MAX);
    if (o->json)
        nr_figures_print(v, sizeof(v) / sizeof(*v), true, &out);
    for (size_t i = 0; !o->json && i < sizeof(v) / sizeof(*v); i++)
        nr_buf_printf(&out, "%s\t%llu\n", v[i].name,
            (unsigned long long)v[i].value);
    (void)fwrite(out.p, 1, out.n, stdout); /* cli_main looks */
    nr_buf_fini(&out);
    if (c->delta_n > c->base_n / MERGE_PART && c->base_n > 0)
        cli_warn(o->cli,
            "%zu indicators stand beside the list of %zu; noroshi watchlist "
            "merge makes one file of it",
            c->delta_n, c->base_n);
}

/* Before the files are read: is there a list, and who judged it? */
static enum nr_err
look(const struct wanted *o, const char *list, const struct nr_warnlists *warn,
    struct nr_diag *d)
{
    struct nr_watchlist *w = NULL;
    enum nr_err err = nr_watchlist_open(list, &w, d);

    if (err != NR_OK)
        return err;
    if (!o->remove)
        warn_of_judges(o->cli, list, nr_watchlist_warn_version(w),
            nr_warn_version(warn));
    nr_watchlist_close(w);
    return NR_OK;
}

static int
change(struct wanted *o, const char *list, char **files, int n)
{
    struct nr_watchlist_change done = { 0 };
    struct nr_watchlist_defaults defaults;
    struct nr_warnlists *warn = NULL;
    struct nr_feed_stats st = { 0 };
    enum nr_feed_format format;
    struct nr_feed *f = NULL;
    struct nr_diag d = { 0 };
    enum nr_err err;

    if (!feed_options_read(o->cli, &o->take, &format, &defaults))
        return CLI_ERROR;
    err = feed_open_as(o->cli, &o->take, &defaults, &warn, &f, &d);
    if (err == NR_OK)
        err = look(o, list, warn, &d);
    for (int i = 0; i < n && err == NR_OK; i++)
        err = nr_feed_add_path(f, files[i], format, &d);
    if (err == NR_OK) {
        nr_feed_stats(f, &st);
        feed_print_notes(o->cli, f, o->notes ? SIZE_MAX : NOTES_SHOWN);
        if (st.indicators == 0)
            err = nr_fail_name(&d, NR_EFORMAT,
                "watchlist: no indicator found, nothing is changed", files[0]);
    }
    if (err == NR_OK)
        err = nr_feed_update(f, list, o->remove, nr_env_now_s(&o->cli->env),
            &done, &d);
    if (err == NR_OK)
        print(o, &st, &done);
    nr_feed_destroy(f);
    nr_warn_destroy(warn);
    return err == NR_OK ? CLI_NOTHING : cli_fail(o->cli, &d);
}

int
watchlist_add(struct cli *cli, int argc, char **argv)
{
    struct wanted o = { .cli = cli,
        .take = { .valid_from_s = NR_TIME_NONE,
            .valid_until_s = NR_TIME_NONE } };
    const struct cli_option table[] = {
        FEED_TAKE_OPTIONS(o.take),
        { "notes", 0, CLI_FLAG, &o.notes },
        { "json", 0, CLI_FLAG, &o.json },
        { "home", 0, CLI_TEXT, &cli->home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    int n;

    if (!cli_parse(cli, table, add_usage, argc, argv, &n))
        return CLI_ERROR;
    if (n < 2)
        return cli_usage(cli, add_usage);
    return change(&o, argv[0], argv + 1, n - 1);
}

int
watchlist_rm(struct cli *cli, int argc, char **argv)
{
    struct wanted o = { .cli = cli,
        .remove = true,
        .take = { .warninglists = "none",
            .valid_from_s = NR_TIME_NONE,
            .valid_until_s = NR_TIME_NONE } };
    const struct cli_option table[] = {
        { "format", 0, CLI_TEXT, &o.take.format },
        { "notes", 0, CLI_FLAG, &o.notes },
        { "json", 0, CLI_FLAG, &o.json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    int n;

    if (!cli_parse(cli, table, rm_usage, argc, argv, &n))
        return CLI_ERROR;
    if (n < 2)
        return cli_usage(cli, rm_usage);
    return change(&o, argv[0], argv + 1, n - 1);
}

int
watchlist_merge(struct cli *cli, int argc, char **argv)
{
    const struct cli_option table[] = {
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    uint64_t key[2];
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, "merge LIST", argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, "merge LIST");
    err = cli->env.random(cli->env.ctx, key, sizeof(key));
    if (err != NR_OK)
        (void)nr_fail(&d, err, 0, "watchlist: no random octets");
    else
        err = nr_watchlist_merge(argv[0], key, nr_env_now_s(&cli->env), &d);
    return err == NR_OK ? CLI_NOTHING : cli_fail(cli, &d);
}
