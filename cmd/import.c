/* noroshi import: lists of others into one compiled list. */
#include "cmds.h"
#include "feed_print.h"

#include "base/date.h"
#include "observable/observable.h"

#include <stdio.h>

#define NOTES_SHOWN ((size_t)20)

static const char usage[] = "[--notes] " FEED_TAKE_USAGE "\n"
                            "       -o LIST FILE...";

int
cmd_import(struct cli *cli, int argc, char **argv)
{
    struct feed_options o = { .valid_from_s = NR_TIME_NONE,
        .valid_until_s = NR_TIME_NONE };
    const char *out = NULL;
    bool notes = false;
    const struct cli_option table[] = {
        { "output", 'o', CLI_TEXT, &out },
        FEED_TAKE_OPTIONS(o),
        { "home", 0, CLI_TEXT, &cli->home },
        { "notes", 0, CLI_FLAG, &notes },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_watchlist_defaults defaults;
    enum nr_feed_format format;
    struct nr_warnlists *w = NULL;
    struct nr_feed *f = NULL;
    struct nr_feed_stats st = { 0 };
    struct nr_diag d = { 0 };
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (!out || n < 1)
        return cli_usage(cli, usage);
    if (!feed_options_read(cli, &o, &format, &defaults))
        return CLI_ERROR;
    err = feed_open_as(cli, &o, &defaults, &w, &f, &d);
    for (int i = 0; i < n && !err; i++)
        err = nr_feed_add_path(f, argv[i], format, &d);
    if (!err) {
        nr_feed_stats(f, &st);
        feed_print(cli, f, notes ? SIZE_MAX : NOTES_SHOWN);
        if (!st.indicators)
            err = nr_fail_name(&d, NR_EFORMAT,
                "import: no indicator found, nothing is written", argv[0]);
    }
    if (!err)
        err = nr_feed_write(f, out, nr_env_now_s(&cli->env), &d);
    nr_feed_destroy(f);
    nr_warn_destroy(w);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}
