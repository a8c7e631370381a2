#include "feed_print.h"

#include "warn.h"

#include "base/date.h"
#include "stix/stix.h"

#include <stdio.h>
#include <string.h>

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
feed_print_notes(const struct cli *cli, const struct nr_feed *f, size_t show)
{
    size_t n;
    const struct nr_feed_note *v = nr_feed_notes(f, &n);

    for (size_t i = 0; i < n && i < show; i++)
        put_note(stderr, &v[i]);
    if (n > show)
        cli_warn(cli,
            "%zu more values were flagged, refused or cannot be matched "
            "(noroshi import --notes names all)",
            n - show);
}

void
feed_print(const struct cli *cli, const struct nr_feed *f, size_t show)
{
    struct nr_feed_stats st;

    feed_print_notes(cli, f, show);
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

bool
feed_options_read(const struct cli *cli, const struct feed_options *o,
    enum nr_feed_format *format, struct nr_watchlist_defaults *defaults)
{
    enum nr_tlp tlp = NR_TLP_NONE;
    enum nr_pap pap = NR_PAP_NONE;

    *format = NR_FEED_AUTO;
    if (o->format && !nr_feed_format_from_name(nr_str_of(o->format), format)) {
        (void)cli_error(cli,
            "--format: none of auto, stix, misp, csv, text, compiled: %s",
            o->format);
        return false;
    }
    if (o->tlp && !nr_tlp_parse(nr_str_of(o->tlp), &tlp)) {
        (void)cli_error(cli,
            "--tlp: none of clear, green, amber, amber+strict, red: %s",
            o->tlp);
        return false;
    }
    if (o->pap && !nr_pap_parse(nr_str_of(o->pap), &pap)) {
        (void)cli_error(cli, "--pap: none of clear, green, amber, red: %s",
            o->pap);
        return false;
    }
    if (o->source &&
        (!*o->source || strlen(o->source) > NR_WATCHLIST_TEXT_MAX ||
            nr_utf8_valid_len(nr_bytes_of(nr_str_of(o->source))) !=
                strlen(o->source))) {
        (void)cli_error(cli,
            "--source: a name of at most 65535 octets of UTF-8 wanted");
        return false;
    }
    if (o->valid_from_s != NR_TIME_NONE && o->valid_until_s != NR_TIME_NONE &&
        o->valid_until_s <= o->valid_from_s) {
        (void)cli_error(cli, "--valid-until is not behind --valid-from");
        return false;
    }
    *defaults = (struct nr_watchlist_defaults){ o->valid_from_s,
        o->valid_until_s, (uint8_t)tlp, (uint8_t)pap };
    return true;
}

enum nr_err
feed_open_as(const struct cli *cli, const struct feed_options *o,
    const struct nr_watchlist_defaults *defaults, struct nr_warnlists **w,
    struct nr_feed **out, struct nr_diag *d)
{
    struct nr_feed_conf conf = { .source = o->source, .defaults = defaults };
    enum nr_err err = warn_load(cli, o->warninglists, w, d);

    if (err)
        return err;
    conf.warn = *w;
    err = cli->env.random(cli->env.ctx, &conf.seed, sizeof(conf.seed));
    if (err)
        return nr_fail(d, err, 0, "feed: no random octets");
    *out = nr_feed_create(&conf);
    return *out ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
}

enum nr_err
feed_open(const struct cli *cli, const char *warninglists,
    struct nr_warnlists **w, struct nr_feed **out, struct nr_diag *d)
{
    const struct feed_options o = { .warninglists = warninglists };

    return feed_open_as(cli, &o, NULL, w, out, d);
}
