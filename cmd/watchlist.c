/* noroshi watchlist: stat, ls, get, verify, add, rm, merge. */
#include "watchlist.h"

#include "cmds.h"

#include "alert/alert.h"
#include "base/date.h"

#include <stdio.h>
#include <string.h>

static const char ls_usage[] =
    "ls LIST [--kind KIND] [--source NAME] [--at TIME] [--json]";
static const char get_usage[] = "get LIST [--kind KIND] [--json] VALUE...";

static const struct cli_command subs[] = {
    { "stat", watchlist_stat, "LIST [--json]" },
    { "ls", watchlist_ls,
        "LIST [--kind KIND] [--source NAME] [--at TIME] [--json]" },
    { "get", watchlist_get, "LIST [--kind KIND] [--json] VALUE..." },
    { "verify", watchlist_verify, "LIST [--json]" },
    { "add", watchlist_add, "LIST [options of import] [--json] FILE..." },
    { "rm", watchlist_rm, "LIST [--format FORM] [--notes] [--json] FILE..." },
    { "merge", watchlist_merge, "LIST" },
    { NULL, NULL, NULL },
};

int
cmd_watchlist(struct cli *cli, int argc, char **argv)
{
    for (const struct cli_command *s = subs; argc > 0 && s->name; s++)
        if (strcmp(argv[0], s->name) == 0)
            return s->run(cli, argc - 1, argv + 1);
    if (argc > 0)
        (void)cli_error(cli, "%s: no such word", argv[0]);
    for (const struct cli_command *s = subs; s->name; s++)
        (void)fprintf(stderr, "%s %s watchlist %s %s\n",
            s == subs ? "usage:" : "      ", cli->program, s->name, s->help);
    return CLI_ERROR;
}

/* --- ls --- */

struct wanted {
    const char *kind_name, *source;
    int64_t at_s;
    bool json;
};

/* Is S one of those who say indicator I? */
static bool
is_said_by(const struct nr_watchlist *w, size_t i, const struct nr_indicator *x,
    struct nr_str s)
{
    if (nr_str_eq(x->said.source, s))
        return true;
    for (size_t k = 1; k < x->n_claims; k++)
        if (nr_str_eq(nr_watchlist_claim(w, i, k).source, s))
            return true;
    return false;
}

static bool
is_wanted(const struct wanted *o, const struct nr_watchlist *w, size_t i,
    const struct nr_indicator *x)
{
    return (!o->kind_name ||
               nr_str_eq(nr_str_of(nr_kind_name(x->kind)),
                   nr_str_of(o->kind_name))) &&
        (o->at_s == NR_TIME_NONE ||
            nr_indicator_valid_at(x, o->at_s * NR_US_PER_S) != NR_VALID_NO) &&
        (!o->source || is_said_by(w, i, x, nr_str_of(o->source)));
}

static bool
is_kind(const struct cli *cli, const char *name)
{
    enum nr_kind kind;

    if (!name || nr_kind_from_name(nr_str_of(name), &kind))
        return true;
    (void)cli_error(cli, "--kind: no kind of observable: %s", name);
    return false;
}

static bool
print_all(const struct wanted *o, const struct nr_watchlist *w, bool *damaged)
{
    struct watchlist_rows r;
    bool ok = true;

    watchlist_rows_init(&r, w, o->json);
    for (size_t i = 0; i < nr_watchlist_count(w) && ok; i++) {
        struct nr_indicator x = nr_watchlist_read(w, i, &r.text);

        if (nr_str_eq(x.value, NR_STR(NR_WATCHLIST_DAMAGED)))
            *damaged = true;
        else if (is_wanted(o, w, i, &x))
            ok = watchlist_rows_put(&r, NULL, i, &x);
    }
    return watchlist_rows_fini(&r) && ok;
}

int
watchlist_ls(struct cli *cli, int argc, char **argv)
{
    struct wanted o = { .at_s = NR_TIME_NONE };
    const struct cli_option table[] = {
        { "kind", 0, CLI_TEXT, &o.kind_name },
        { "source", 0, CLI_TEXT, &o.source },
        { "at", 0, CLI_TIME, &o.at_s },
        { "json", 0, CLI_FLAG, &o.json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_watchlist *w = NULL;
    struct nr_diag d = { 0 };
    bool damaged = false, ok;
    int n;

    if (!cli_parse(cli, table, ls_usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, ls_usage);
    if (!is_kind(cli, o.kind_name))
        return CLI_ERROR;
    if (nr_watchlist_open(argv[0], &w, &d) != NR_OK)
        return cli_fail(cli, &d);
    ok = print_all(&o, w, &damaged);
    nr_watchlist_close(w);
    if (!ok)
        return cli_error(cli, "standard output: cannot be written");
    if (damaged)
        (void)cli_error(cli,
            "%s: damaged: some indicators cannot be read (noroshi watchlist "
            "verify names the places)",
            argv[0]);
    return damaged ? CLI_INCOMPLETE : CLI_NOTHING;
}

/* --- get --- */

struct question {
    struct watchlist_rows rows;
    const struct nr_watchlist *w;
    struct nr_buf key;
    enum nr_kind kind;
    bool seen;
};

static enum nr_err
put(struct question *q, const char *why, size_t i, struct nr_diag *d)
{
    struct nr_indicator x = nr_watchlist_read(q->w, i, &q->rows.text);

    q->seen = true;
    return watchlist_rows_put(&q->rows, why, i, &x)
        ? NR_OK
        : nr_fail(d, NR_ESYS, 0, "standard output: cannot be written");
}

/* What a line with the value says besides: names above it, ranges around it,
 * its URL without scheme, its host. */
static enum nr_err
put_covers(struct question *q, const size_t *exact, struct nr_diag *d)
{
    struct nr_tokens t;
    struct nr_matches m;
    struct nr_buf line;
    enum nr_err err;

    nr_tokens_init(&t, nr_watchlist_scan_flags(q->w));
    nr_matches_init(&m);
    nr_buf_init(&line, NR_KEY_MAX * 4);
    nr_canon_print(q->kind, nr_buf_bytes(&q->key), &line);
    err = line.err;
    if (err == NR_OK)
        err = nr_scan(nr_buf_bytes(&line), &t);
    if (err == NR_OK)
        err = nr_watchlist_match(q->w, &t, &m);
    if (err != NR_OK)
        err = nr_fail(d, err, 0, "watchlist: out of memory");
    for (size_t i = 0; i < m.n && err == NR_OK; i++)
        if (!exact || m.v[i].indicator != *exact)
            err = put(q, "covers", m.v[i].indicator, d);
    nr_buf_fini(&line);
    nr_matches_fini(&m);
    nr_tokens_fini(&t);
    return err;
}

static enum nr_err
answer(struct question *q, const char *kind, const char *value,
    struct nr_diag *d)
{
    struct nr_str text = nr_str_of(value);
    enum nr_err err;
    bool there;
    size_t i;

    nr_buf_reset(&q->key);
    err = kind ? nr_canon_named(nr_str_of(kind), text, &q->kind, &q->key, d)
               : nr_canon_guess(text, &q->kind, &q->key, d);
    if (err != NR_OK) {
        nr_diag_add_name(d, value);
        return err;
    }
    there = nr_watchlist_find(q->w, q->kind, nr_buf_bytes(&q->key), &i);
    if (there)
        err = put(q, "listed", i, d);
    return err == NR_OK ? put_covers(q, there ? &i : NULL, d) : err;
}

int
watchlist_get(struct cli *cli, int argc, char **argv)
{
    const char *kind = NULL;
    bool json = false;
    const struct cli_option table[] = {
        { "kind", 0, CLI_TEXT, &kind },
        { "json", 0, CLI_FLAG, &json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct question q = { 0 };
    struct nr_watchlist *w = NULL;
    struct nr_diag d = { 0 };
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, get_usage, argc, argv, &n))
        return CLI_ERROR;
    if (n < 2)
        return cli_usage(cli, get_usage);
    err = nr_watchlist_open(argv[0], &w, &d);
    if (err != NR_OK)
        return cli_fail(cli, &d);
    q.w = w;
    watchlist_rows_init(&q.rows, w, json);
    nr_buf_init(&q.key, NR_KEY_MAX);
    for (int i = 1; i < n && err == NR_OK; i++)
        err = answer(&q, kind, argv[i], &d);
    if (!watchlist_rows_fini(&q.rows) && err == NR_OK)
        err = nr_fail(&d, NR_ESYS, 0, "standard output: cannot be written");
    nr_buf_fini(&q.key);
    nr_watchlist_close(w);
    if (err != NR_OK)
        return cli_fail(cli, &d);
    return q.seen ? CLI_SEEN : CLI_NOTHING;
}
