#include "feed_print.h"

#include "warn.h"

#include <stdio.h>

static const char *const note_names[] = {
    [NR_FEED_REFUSED] = "refused",
    [NR_FEED_UNMATCHABLE] = "not-matchable",
    [NR_FEED_FLAGGED] = "flagged",
};

/* Foreign text on a terminal: control characters show as '?'. */
static void
put_text(FILE *to, struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        (void)fputc((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i],
            to);
}

static void
put_note(FILE *to, const struct nr_feed_note *n)
{
    (void)fprintf(to, "%s\t", note_names[n->kind]);
    put_text(to, n->file);
    if (n->line)
        (void)fprintf(to, ":%llu", (unsigned long long)n->line);
    else
        (void)fprintf(to, "@%llu", (unsigned long long)n->at);
    (void)fputc('\t', to);
    put_text(to, n->value);
    (void)fputc('\t', to);
    put_text(to, n->why);
    (void)fputc('\n', to);
}

void
feed_print(const struct cli *cli, const struct nr_feed *f, size_t show)
{
    const struct nr_feed_note *v;
    struct nr_feed_stats st;
    size_t n;

    v = nr_feed_notes(f, &n);
    for (size_t i = 0; i < n && i < show; i++)
        put_note(stderr, &v[i]);
    if (n > show)
        cli_warn(cli,
            "%zu more values were flagged, refused or cannot be matched "
            "(noroshi import --notes names all)",
            n - show);
    nr_feed_stats(f, &st);
    {
        const struct {
            const char *name;
            uint64_t value;
        } rows[] = {
            { "sources", st.sources },
            { "values", st.values },
            { "taken", st.taken },
            { "flagged", st.flagged },
            { "not-matchable", st.unmatchable },
            { "refused", st.refused },
            { "other-objects", st.others },
            { "indicators", st.indicators },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            printf("%s\t%llu\n", rows[i].name,
                (unsigned long long)rows[i].value);
    }
}

enum nr_err
feed_open(const struct cli *cli, const char *warninglists,
    struct nr_warnlists **w, struct nr_feed **out, struct nr_diag *d)
{
    struct nr_feed_conf conf = { 0 };
    enum nr_err err = warn_load(cli, warninglists, w, d);

    if (err)
        return err;
    conf.warn = *w;
    err = cli->env.random(cli->env.ctx, &conf.seed, sizeof(conf.seed));
    if (err)
        return nr_fail(d, err, 0, "feed: no random octets");
    *out = nr_feed_create(&conf);
    return *out ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
}
