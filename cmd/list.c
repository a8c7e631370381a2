#include "list.h"

#include "warn.h"

#include "base/mem.h"
#include "feed/feed.h"
#include "observable/observable.h"

#include <stdlib.h>

struct list {
    struct nr_watchlist *w;
    struct nr_indicator *all;      /* owned array; views of W */
    const struct nr_indicator **v; /* owned array */
    size_t n;
};

/* What a list held and the answer will not speak of. */
static void
tell(const struct cli *cli, const struct nr_feed_stats *st)
{
    if (st->refused)
        cli_warn(cli,
            "%llu values of the lists are no indicators (noroshi import "
            "--notes names them)",
            (unsigned long long)st->refused);
    if (st->unmatchable)
        cli_warn(cli,
            "%llu indicators of the lists are of kinds that log lines cannot "
            "answer (noroshi import --notes names them)",
            (unsigned long long)st->unmatchable);
}

static enum nr_err
spread(struct list *l, struct nr_diag *d)
{
    l->n = nr_watchlist_count(l->w);
    l->all = calloc(l->n + 1, sizeof(*l->all));
    l->v = calloc(l->n + 1, sizeof(struct nr_indicator *));
    if (!l->all || !l->v)
        return nr_fail(d, NR_ENOMEM, 0, "list: no memory");
    nr_mem_large(l->all, l->n * sizeof(*l->all));
    nr_mem_large(l->v, l->n * sizeof(struct nr_indicator *));
    for (size_t i = 0; i < l->n; i++) {
        l->all[i] = nr_watchlist_bare(l->w, i);
        l->v[i] = &l->all[i];
    }
    return NR_OK;
}

enum nr_err
list_load(const struct cli *cli, const char *const *paths, size_t n,
    struct list **out, struct nr_diag *d)
{
    struct list *l = calloc(1, sizeof(*l));
    struct nr_warnlists *warn = NULL;
    struct nr_feed_stats st = { 0 };
    struct nr_feed_conf conf = { 0 };
    enum nr_err err;

    if (!l)
        return nr_fail(d, NR_ENOMEM, 0, "list: no memory");
    err = cli->env.random(cli->env.ctx, &conf.seed, sizeof(conf.seed));
    if (err)
        (void)nr_fail(d, err, 0, "list: no random octets");
    else
        err = warn_load(cli, NULL, &warn, d);
    conf.warn = warn;
    if (!err)
        err = nr_feed_load_list(paths, n, &conf, nr_env_now_s(&cli->env), &l->w,
            &st, d);
    if (!err)
        warn_of_judges(cli, paths[0], nr_watchlist_warn_version(l->w),
            nr_warn_version(warn));
    nr_warn_destroy(warn);
    if (!err)
        err = spread(l, d);
    if (err) {
        list_free(l);
        return err;
    }
    tell(cli, &st);
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
list_spell(struct list *l, size_t i)
{
    l->all[i].value = nr_watchlist_get(l->w, i).value;
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
