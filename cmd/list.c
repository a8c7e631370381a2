#include "list.h"

#include "feed/feed.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

struct list {
    struct nr_watchlist *w;
    struct nr_indicator *all;      /* owned array; views of W */
    const struct nr_indicator **v; /* owned array */
    size_t n;
};

static void
warn(const struct cli *cli, const struct nr_feed_stats *st)
{
    if (st->refused > 0)
        cli_warn(cli,
            "list: %llu values are no indicators and were left out "
            "(noroshi import says which)",
            (unsigned long long)st->refused);
    if (st->unmatchable > 0)
        cli_warn(cli,
            "list: %llu indicators are of a kind that log lines "
            "cannot answer yet",
            (unsigned long long)st->unmatchable);
}

enum nr_err
list_load(const struct cli *cli, const char *const *paths, size_t n,
    struct list **out, struct nr_diag *d)
{
    struct nr_feed_conf conf = { 0 };
    struct list *l = calloc(1, sizeof(*l));
    struct nr_feed_stats st = { 0 };
    enum nr_err err;

    if (!l)
        return nr_fail(d, NR_ENOMEM, 0, "list: no memory");
    err = cli->env.random(cli->env.ctx, &conf.seed, sizeof(conf.seed));
    if (err)
        (void)nr_fail(d, err, 0, "list: no random octets");
    if (!err)
        err = nr_feed_load_list(paths, n, &conf, nr_env_now_s(&cli->env), &l->w,
            &st, d);
    if (!err) {
        l->n = nr_watchlist_count(l->w);
        l->all = calloc(l->n + 1, sizeof(*l->all));
        l->v = calloc(l->n + 1, sizeof(struct nr_indicator *));
        if (!l->all || !l->v)
            err = nr_fail(d, NR_ENOMEM, 0, "list: no memory");
    }
    if (err) {
        list_free(l);
        return err;
    }
    for (size_t i = 0; i < l->n; i++) {
        l->all[i] = nr_watchlist_get(l->w, i);
        l->v[i] = &l->all[i];
    }
    warn(cli, &st);
    *out = l;
    return NR_OK;
}

void
list_indicators(const struct list *l, const struct nr_indicator ***v, size_t *n)
{
    *v = l->v;
    *n = l->n;
}

void
list_free(struct list *l)
{
    if (!l)
        return;
    free(l->all);
    free(l->v);
    nr_watchlist_close(l->w);
    free(l);
}
