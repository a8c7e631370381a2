#include "list.h"

#include "base/arena.h"
#include "base/file.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

struct list {
    struct nr_watchlist *w;
    struct nr_watchlist_builder *b;
    struct nr_arena text;
    struct nr_indicator *all;      /* owned array; views of W */
    const struct nr_indicator **v; /* owned array */
    size_t n;
};

/* A compiled list or text "kind<TAB>value"; into the builder. */
static enum nr_err
load_file(const struct cli *cli, struct list *l, const char *path,
    struct nr_diag *d)
{
    struct nr_text_load got = { 0 };
    struct nr_bytes in;
    char why[512];
    enum nr_err err = nr_file_read(&l->text, path, NR_WATCHLIST_LIST_MAX, &in,
        d);

    if (!err)
        err = nr_watchlist_load_text(l->b, in, nr_str_of(path), NULL, &got, d);
    nr_diag_add_name(d, err ? path : NULL);
    if (!err && got.refused > 0) {
        nr_diag_print(&got.why, why, sizeof(why));
        cli_warn(cli, "%s: %zu lines are no indicators; line %zu: %s", path,
            got.refused, got.refused_line, why);
    }
    return err;
}

enum nr_err
list_load(const struct cli *cli, const char *const *paths, size_t n,
    struct list **out, struct nr_diag *d)
{
    struct list *l = calloc(1, sizeof(*l));
    uint64_t seed = 0;
    enum nr_err err;

    if (!l)
        return nr_fail(d, NR_ENOMEM, 0, "list: no memory");
    nr_arena_init(&l->text, NR_WATCHLIST_LIST_MAX * 2);
    err = cli->env.random(cli->env.ctx, &seed, sizeof(seed));
    l->b = err ? NULL : nr_watchlist_builder_create(seed);
    if (!l->b)
        err = nr_fail(d, NR_ENOMEM, 0, "list: no memory");
    for (size_t i = 0; !err && i < n; i++)
        err = load_file(cli, l, paths[i], d);
    if (!err)
        err = nr_watchlist_build(l->b, nr_env_now_s(&cli->env), &l->w, d);
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
    nr_watchlist_builder_destroy(l->b);
    nr_arena_fini(&l->text);
    free(l);
}
