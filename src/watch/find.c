/*
 * What is there to read, and what of it is known.
 *
 * A file is known by device and inode while its text still begins as it did;
 * failing that (packed, copied, carried elsewhere) by how its text begins,
 * among the files of its group. A file that begins as one that was found is a
 * copy under way (copytruncate before the truncation) and is left alone, as is
 * log.1.gz while log.1 is still there.
 */
#include "watch/engine.h"

#include "base/hash.h"

#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define SEARCH_TRIES 5u   /* when rotation goes on underneath */
#define MISSES_MAX   100u /* searches after which a file is forgotten */

static enum nr_err
nomem(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
}

/* --- groups --- */

static struct group *
group_of(struct nr_watch *w, const char *base, size_t source)
{
    struct nr_bytes key = { (const uint8_t *)base, strlen(base) };
    uint64_t *at = nr_table_get(&w->by_base, key);
    struct group *g;

    if (at)
        return w->groups[*at];
    g = calloc(1, sizeof(*g));
    if (!g || !(g->base = strdup(base)) ||
        !nr_watch_room(&w->groups, &w->cap_groups, w->n_groups, sizeof(g)) ||
        !nr_table_put(&w->by_base,
            (struct nr_bytes){ (const uint8_t *)g->base, key.n }, w->n_groups,
            NULL)) {
        free(g ? g->base : NULL);
        free(g);
        return NULL;
    }
    g->source = source;
    w->groups[w->n_groups++] = g;
    return g;
}

/* The group of PATH: that of the shortest name it may be a rotation of, among
 * the files that are there or were once. */
static struct group *
choose_group(struct nr_watch *w, const char *path, size_t source)
{
    size_t dir = (size_t)(name_of(path) - path), best = SIZE_MAX;
    char *base = malloc(strlen(path) + 1), *chosen = strdup(path);
    struct group *g = NULL;
    struct rank rank;

    if (base && chosen) {
        memcpy(base, path, dir);
        for (unsigned i = 0; nr_name_base(path + dir, i, base + dir); i++) {
            struct nr_bytes key = { (const uint8_t *)base, strlen(base) };

            if (key.n < best &&
                nr_name_is_rotated(path + dir, base + dir, &rank) &&
                (nr_table_get(&w->by_path, key) ||
                    nr_table_get(&w->by_base, key))) {
                memcpy(chosen, base, key.n + 1);
                best = key.n;
            }
        }
        g = group_of(w, chosen, source);
    }
    free(base);
    free(chosen);
    return g;
}

static enum nr_err
group_all(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < w->n_groups; i++)
        w->groups[i]->seen = false;
    /* of the files of a state: their names are bases that were there once */
    for (size_t i = 0; i < w->n_files && !err; i++) {
        struct file *f = w->files[i];

        if (!f->group && !f->stream && f->mark.ino) {
            f->group = choose_group(w, f->name, 0);
            err = f->group ? NR_OK : nomem(d);
        }
        if (f->group)
            f->group->seen = true;
    }
    for (size_t i = 0; i < w->n_found && !err; i++) {
        struct found *f = &w->found[i];

        f->group = choose_group(w, f->path, f->source);
        err = f->group ? NR_OK : nomem(d);
    }
    return err;
}

/* --- which of them are known --- */

static void
bind(struct nr_watch *w, struct found *f, struct file *known)
{
    (void)pthread_mutex_lock(&w->known_lock);
    if (strcmp(known->path, f->path) != 0) {
        char *path = strdup(f->path);

        if (path) { /* else: only a message has the old one */
            free(known->path);
            known->path = path;
        }
    }
    known->mark.dev = f->dev;
    known->mark.ino = f->ino;
    known->seen_size = f->size;
    known->seen_mtime = f->mtime_ns;
    (void)pthread_mutex_unlock(&w->known_lock);
    known->found = true;
    known->group = f->group;
    f->file = known;
}

/* Its inode is that of KNOWN: is it still the same text? */
static enum nr_err
same_text(struct nr_watch *w, const struct found *f, struct file *known,
    bool *same, struct nr_diag *d)
{
    struct nr_bytes head = { 0 };
    enum nr_err err;

    *same = true;
    if (known->mark.head_n == 0 || known->stream ||
        (known->seen_size == f->size && known->seen_mtime == f->mtime_ns))
        return NR_OK;
    *same = false;
    if (known->plain_mode && f->size < known->read_at)
        return NR_OK;
    err = nr_file_probe(w, f->path, f->dev, f->ino, &head, NULL, NULL);
    if (err == NR_EBUSY || err == NR_ENOMEM)
        return nr_fail_name(d, err, "watch: moved", f->path);
    *same = !err && nr_mark_matches(&known->mark, head);
    if (*same && !known->mark.head && known->mark.head_n < NR_WATCH_HEAD_MAX) {
        uint32_t n = known->mark.head_n;

        known->mark.head_n = 0; /* of a state: take the octets, to grow */
        head.n = n;
        err = nr_mark_grow(w, known, 0, head, d);
    }
    return err == NR_ENOMEM ? err : NR_OK;
}

static enum nr_err
bind_by_inode(struct nr_watch *w, struct nr_diag *d)
{
    struct nr_table t;
    enum nr_err err = NR_OK;

    nr_table_init(&t, 0);
    for (size_t i = 0; i < w->n_files && !err; i++) {
        struct file *f = w->files[i];
        /* dev and ino stand side by side */
        struct nr_bytes key = { (const uint8_t *)&f->mark.dev,
            2 * sizeof(uint64_t) };

        f->found = false;
        if (f->mark.ino && !nr_table_put(&t, key, i, NULL))
            err = nomem(d);
    }
    for (size_t i = 0; i < w->n_found && !err; i++) {
        struct found *f = &w->found[i];
        uint64_t id[2] = { f->dev, f->ino };
        uint64_t *at = nr_table_get(&t,
            (struct nr_bytes){ (const uint8_t *)id, sizeof(id) });
        struct file *known = at ? w->files[*at] : NULL;
        bool same;

        if (!known || known->found)
            continue;
        err = same_text(w, f, known, &same, d);
        if (!err && same)
            bind(w, f, known);
        else if (!err)
            nr_read_lost(w, known);
    }
    nr_table_fini(&t);
    return err;
}

/* Files lost sight of whose text may be F's, or that F may be a copy of. */
static bool
worth_probing(const struct nr_watch *w, const struct found *f)
{
    for (size_t i = 0; i < w->n_files; i++)
        if (w->files[i]->group == f->group && w->files[i]->mark.head_n > 0)
            return true;
    return false;
}

static enum nr_err
bind_by_head(struct nr_watch *w, struct found *f, bool *copy, struct nr_diag *d)
{
    struct nr_bytes head = { 0 };
    struct file *best = NULL;
    enum nr_err err;

    *copy = false;
    if (!worth_probing(w, f))
        return NR_OK;
    err = nr_file_probe(w, f->path, f->dev, f->ino, &head, NULL, NULL);
    if (err == NR_EBUSY || err == NR_ENOMEM)
        return nr_fail_name(d, err, "watch: moved", f->path);
    if (err)
        return NR_OK; /* said when it is read */
    for (size_t i = 0; i < w->n_files; i++) {
        struct file *k = w->files[i];

        if (k->group != f->group || k->mark.head_n == 0 ||
            !nr_mark_matches(&k->mark, head))
            continue;
        if (!k->found && w->probe_flat && f->size < k->read_at)
            continue; /* cut short: a text that only begins alike */
        if (k->found)
            *copy = *copy || (k->current && strcmp(f->path, f->group->base));
        else if (!best || k->mark.head_n > best->mark.head_n)
            best = k;
    }
    if (!best)
        return NR_OK;
    *copy = false;
    bind(w, f, best);
    best->plain_mode = false; /* packed, perhaps: its size says nothing yet */
    best->done_size = UINT64_MAX;
    if (!best->mark.head && best->mark.head_n < NR_WATCH_HEAD_MAX) {
        head.n = best->mark.head_n;
        best->mark.head_n = 0;
        err = nr_mark_grow(w, best, 0, head, d);
    }
    return err;
}

/* --- new files --- */

static void
rank_of(const struct found *f, struct rank *r)
{
    if (!nr_name_is_rotated(name_of(f->path), name_of(f->group->base), r))
        *r = (struct rank){ .kind = RANK_OTHER, .text = name_of(f->path) };
    r->mtime_ns = f->mtime_ns;
}

/* Younger than all of its group that is known. */
static bool
is_younger(const struct nr_watch *w, const struct found *f)
{
    struct rank mine, other;
    uint64_t last = 0;
    bool any = false;

    rank_of(f, &mine);
    for (size_t i = 0; i < w->n_found; i++) {
        const struct found *k = &w->found[i];

        /* one of which nothing was read says nothing: it may have been copied
         * and cut short since */
        if (k->group != f->group || !k->file || k->is_new ||
            k->file->read_at == 0)
            continue;
        any = true;
        rank_of(k, &other);
        if (nr_rank_cmp(&mine, &other) < 0)
            return false;
    }
    if (any)
        return true;
    for (size_t i = 0; i < w->n_files; i++) {
        const struct file *k = w->files[i];

        if (k->group == f->group && !k->found && k->seen_mtime > last)
            last = k->seen_mtime;
    }
    return f->mtime_ns >= last;
}

static enum nr_err
take_new(struct nr_watch *w, struct found *f, struct nr_diag *d)
{
    struct file *n;

    if (!f->primary && (!f->group->seen || !is_younger(w, f)))
        return NR_OK;
    n = nr_file_add(w, f->path, d);
    if (!n)
        return d && d->err ? d->err : NR_ENOMEM;
    bind(w, f, n);
    n->unopened = true;
    f->is_new = true;
    return NR_OK;
}

/* Is F the packed form, perhaps not whole yet, of a file beside it? Packers
 * remove that one when they are done. */
static enum nr_err
is_packing(struct nr_watch *w, const struct found *f, bool *copy,
    struct nr_diag *d)
{
    size_t n = nr_name_unpacked(f->path);
    struct nr_bytes key = { (const uint8_t *)f->path, n }, head = { 0 };
    uint64_t *at = f->path[n] ? nr_table_get(&w->by_path, key) : NULL;
    const struct found *of = at ? &w->found[*at] : NULL;
    struct mark m = { 0 };
    enum nr_err err;

    *copy = false;
    if (!of || !of->regular)
        return NR_OK;
    err = nr_file_probe(w, f->path, f->dev, f->ino, &head, NULL, NULL);
    if (!err && head.n > 0) {
        m.head_n = (uint32_t)head.n;
        m.head_hash = nr_xxh64(head, head.n);
        err = nr_file_probe(w, of->path, of->dev, of->ino, &head, NULL, NULL);
    }
    if (err == NR_EBUSY || err == NR_ENOMEM)
        return nr_fail_name(d, err, "watch: moved", f->path);
    *copy = err || m.head_n == 0 || nr_mark_matches(&m, head);
    return NR_OK;
}

static enum nr_err
identify(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = bind_by_inode(w, d);

    for (size_t i = 0; i < w->n_found && !err; i++) {
        struct found *f = &w->found[i];
        bool copy = false;

        if (f->file)
            continue;
        if (w->keyed && f->regular)
            err = is_packing(w, f, &copy, d);
        if (w->keyed && f->regular && !copy && !err)
            err = bind_by_head(w, f, &copy, d);
        f->is_new = !err && !f->file && !copy;
    }
    for (size_t i = 0; i < w->n_found && !err; i++) {
        struct found *f = &w->found[i];

        if (f->file || !f->is_new)
            continue;
        err = take_new(w, f, d);
    }
    return err;
}

/* --- what is to be read --- */

static int
found_cmp(const void *a, const void *b)
{
    const struct found *const *x = a, *const *y = b;
    struct rank r, s;

    if ((*x)->group != (*y)->group)
        return (*x)->group < (*y)->group ? -1 : 1;
    rank_of(*x, &r);
    rank_of(*y, &s);
    return nr_rank_cmp(&r, &s);
}

static bool
queue_add(struct group *g, struct file *f)
{
    if (!nr_watch_room(&g->v, &g->cap, g->n, sizeof(struct file *)))
        return false;
    f->queued = true;
    g->v[g->n++] = f;
    return true;
}

static bool
has_more(const struct nr_watch *w, const struct found *f)
{
    const struct file *k = f->file;

    if (k->in || k->unopened)
        return true;
    if (!f->regular)
        return false;
    if (w->conf.follow && k->current)
        return k->done_size != f->size;
    return k->plain_mode ? f->size > k->read_at : k->done_size != f->size;
}

/* The queues of all groups anew: open files that were not found are older
 * than those that were. */
static enum nr_err
queue_all(struct nr_watch *w, struct nr_diag *d)
{
    struct found **v = calloc(w->n_found + 1, sizeof(struct found *));
    enum nr_err err = v ? NR_OK : nomem(d);

    for (size_t i = 0; !err && i < w->n_groups; i++) {
        struct group *g = w->groups[i];
        size_t n = 0;

        if (w->sources[g->source].kind == SOURCE_FD)
            continue;
        for (size_t k = 0; k < g->n; k++)
            if (!g->v[k]->found && g->v[k]->in)
                g->v[n++] = g->v[k];
            else
                g->v[k]->queued = false;
        g->n = n;
    }
    for (size_t i = 0; !err && i < w->n_files; i++)
        w->files[i]->current = false;
    for (size_t i = 0; !err && i < w->n_found; i++)
        v[i] = &w->found[i];
    if (!err && w->keyed)
        qsort(v, w->n_found, sizeof(struct found *), found_cmp);
    for (size_t i = 0; !err && i < w->n_found; i++) {
        struct found *f = v[i];

        if (!f->file)
            continue;
        f->file->current = i + 1 == w->n_found || v[i + 1]->group != f->group;
        if (!f->file->queued && has_more(w, f) && !queue_add(f->group, f->file))
            err = nomem(d);
    }
    free(v);
    return err;
}

/* Files of a state that are nowhere: what they got since is lost. */
static enum nr_err
tell_lost(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < w->n_files && !err; i++) {
        struct file *f = w->files[i];
        struct nr_diag why = { 0 };

        if (f->found || f->in || f->stream || w->searched || !f->current ||
            f->read_at == 0)
            continue;
        (void)nr_fail_name(&why, NR_ENOTFOUND,
            "watch: is gone since the state was written; lines that it got "
            "after that were not seen",
            f->name);
        err = nr_trouble(w, &why, d);
    }
    return err;
}

/* Forget files that were not there for long. */
static void
forget(struct nr_watch *w)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&w->known_lock);
    for (size_t i = 0; i < w->n_files; i++) {
        struct file *f = w->files[i];

        if (f->mark.head && f->mark.head_n == NR_WATCH_HEAD_MAX &&
            f->at >= NR_WATCH_HEAD_MAX) { /* its hash will do */
            free(f->mark.head);
            f->mark.head = NULL;
        }
        f->misses = f->found || f->in || f->stream ? 0 : f->misses + 1;
        if (f->misses > MISSES_MAX && f->inflight == 0 && !f->queued)
            nr_file_free(f);
        else
            w->files[n++] = f;
    }
    w->n_files = n;
    (void)pthread_mutex_unlock(&w->known_lock);
}

static enum nr_err
search(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = nr_collect(w, d);

    if (!err && w->keyed)
        err = group_all(w, d);
    if (!err && w->keyed)
        err = identify(w, d);
    return err;
}

/* Without follow and state each file is read once, in the order of naming. */
static enum nr_err
take_all(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    uint64_t size = 0;

    for (size_t i = 0; i < w->n_found && !err; i++) {
        struct found *f = &w->found[i];
        struct group *g = calloc(1, sizeof(*g));

        if (!g ||
            !nr_watch_room(&w->groups, &w->cap_groups, w->n_groups,
                sizeof(g))) {
            free(g);
            return nomem(d);
        }
        g->source = f->source;
        g->seq = w->n_groups;
        w->groups[w->n_groups++] = g;
        f->group = g;
        size += f->regular ? f->size : 0;
        err = take_new(w, f, d);
        if (!err && !queue_add(g, f->file))
            err = nomem(d);
    }
    w->size = size;
    return err;
}

static int
by_source(const void *a, const void *b)
{
    const struct group *const *x = a, *const *y = b;

    if ((*x)->source != (*y)->source)
        return (*x)->source < (*y)->source ? -1 : 1;
    return (*x)->seq < (*y)->seq ? -1 : 1;
}

enum nr_err
nr_find(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err;

    for (unsigned i = 0;; i++) {
        struct nr_diag why = { 0 };

        for (size_t k = 0; w->conf.follow && k < w->n_sources; k++)
            if (w->sources[k].kind == SOURCE_PATH ||
                w->sources[k].kind == SOURCE_GLOB)
                nr_folder_watch(w, w->sources[k].path);
        err = search(w, &why);
        for (size_t k = 0; w->conf.follow && !err && k < w->n_found; k++)
            if (w->sources[w->found[k].source].kind == SOURCE_GLOB)
                nr_folder_watch(w, w->found[k].path);
        if (err != NR_EBUSY || i + 1 == SEARCH_TRIES) {
            if (err && err != NR_EBUSY && d && d->err == NR_OK)
                *d = why;
            break;
        }
    }
    w->searched_us = nr_watch_now_us(w);
    w->search_due = err == NR_EBUSY;
    if (err == NR_EBUSY)
        return NR_OK; /* rotation goes on: soon again */
    if (!err && w->keyed)
        err = tell_lost(w, d);
    if (!err)
        err = w->keyed ? queue_all(w, d) : take_all(w, d);
    if (!err && w->keyed)
        forget(w);
    if (!err && !w->searched && !w->keyed && w->n_groups > 0)
        qsort(w->groups, w->n_groups, sizeof(struct group *), by_source);
    if (!err && !w->searched) { /* that these files are there is to be kept */
        const uint64_t one = 1;

        w->unsaved = true;
        (void)!write(w->done_fd, &one, sizeof(one));
    }
    w->searched = w->searched || !err;
    return err;
}

/* --- what changed --- */

/* Could PATH, NAME in its folder, be of a source? */
static bool
concerns(const struct nr_watch *w, const char *path, const char *name)
{
    size_t dir = strlen(path) - strlen(name);
    struct rank rank;

    for (size_t i = 0; i < w->n_sources; i++) {
        const struct source *s = &w->sources[i];

        if (s->kind == SOURCE_DIR || s->kind == SOURCE_GLOB ||
            (s->kind == SOURCE_PATH && strncmp(s->path, path, dir) == 0 &&
                nr_name_is_rotated(name, name_of(s->path), &rank)))
            return true;
    }
    return false;
}

static void
changed(struct nr_watch *w, const struct inotify_event *e)
{
    const char *dir = NULL;
    char path[NR_PATH_MAX];
    uint64_t *at;

    for (size_t i = 0; i < w->n_folders; i++)
        if (w->folders[i].wd == e->wd)
            dir = w->folders[i].path;
    if ((e->mask & IN_Q_OVERFLOW) || !dir || e->len == 0 ||
        (e->mask & IN_ISDIR)) {
        w->search_due = true;
        return;
    }
    if (strcmp(dir, ".") == 0 || nr_path_join(path, dir, e->name, NULL))
        (void)snprintf(path, sizeof(path), "%s", e->name);
    at = nr_table_get(&w->by_path,
        (struct nr_bytes){ (const uint8_t *)path, strlen(path) });
    if (at && *at < w->n_found && w->found[*at].file &&
        w->found[*at].file->in && (e->mask & (IN_MODIFY | IN_CLOSE_WRITE)))
        w->found[*at].file->dirty = true;
    else if (concerns(w, path, e->name))
        w->search_due = true;
}

void
nr_find_events(struct nr_watch *w)
{
    _Alignas(struct inotify_event) char buf[4096];
    ssize_t n;

    if (w->inotify < 0)
        return;
    while ((n = read(w->inotify, buf, sizeof(buf))) > 0)
        for (char *p = buf; p < buf + n;) {
            struct inotify_event e;

            memcpy(&e, p, sizeof(e));
            changed(w, (const void *)p);
            p += sizeof(e) + e.len;
        }
}

void
nr_find_fini(struct nr_watch *w)
{
    nr_found_reset(w);
    nr_table_fini(&w->by_path);
    nr_table_fini(&w->by_base);
    free(w->found);
    for (size_t i = 0; i < w->n_groups; i++) {
        free(w->groups[i]->base);
        free(w->groups[i]->v);
        free(w->groups[i]);
    }
    free(w->groups);
    for (size_t i = 0; i < w->n_folders; i++)
        free(w->folders[i].path);
    free(w->folders);
    free(w->troubles);
}
