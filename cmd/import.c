/* noroshi import: lists of others into one compiled list. */
#include "cmds.h"
#include "feed_print.h"

#include "observable/observable.h"

#include <stdio.h>

#define NOTES_SHOWN ((size_t)20)

static const char usage[] =
    "[--format auto|stix|misp|csv|text|compiled] [--notes]\n"
    "       [--warninglists DIR|none] [--home DIR] -o LIST FILE...";

int
cmd_import(struct cli *cli, int argc, char **argv)
{
    const char *format_name = "auto", *out = NULL, *lists = NULL;
    bool notes = false;
    const struct cli_option table[] = {
        { "format", 0, CLI_TEXT, &format_name },
        { "output", 'o', CLI_TEXT, &out },
        { "warninglists", 0, CLI_TEXT, &lists },
        { "home", 0, CLI_TEXT, &cli->home },
        { "notes", 0, CLI_FLAG, &notes },
        { NULL, 0, CLI_FLAG, NULL },
    };
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
    if (!nr_feed_format_from_name(nr_str_of(format_name), &format))
        return cli_error(cli,
            "--format: none of auto, stix, misp, csv, text, "
            "compiled: %s",
            format_name);
    err = feed_open(cli, lists, &w, &f, &d);
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
